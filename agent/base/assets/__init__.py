"""The bundled clip, its ground truth, and pictures of it. Imports no other package of `agent`."""

from pathlib import Path

CLIP = Path(__file__).with_name("clip.mp4")
CLIP_SCRIPT = CLIP.with_suffix(".json")
WARM_UP = CLIP.with_name("warm_up.jpg")
"""Successive grey pictures of a visitor, one below the other, made by `tools.warm_up`."""
WARM_UP_FRAMES = 4
