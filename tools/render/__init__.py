"""Rendered faces with exact landmarks and expression coefficients, from geometry alone."""

from tools.render.person import Person, person
from tools.render.scene import Face, Scene, faces, render, scene, sweep

__all__ = ["Face", "Person", "Scene", "faces", "person", "render", "scene", "sweep"]
