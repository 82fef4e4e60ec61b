"""The bundled clip and its ground truth. Imports no other package of `agent`."""

from pathlib import Path

CLIP = Path(__file__).with_name("clip.mp4")
CLIP_SCRIPT = CLIP.with_suffix(".json")
