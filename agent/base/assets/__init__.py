"""The bundled clip and the script of what is planted in it. Imports nothing of ours."""

from pathlib import Path

CLIP = Path(__file__).with_name("clip.mp4")
CLIP_SCRIPT = CLIP.with_suffix(".json")
