"""Compiles every kernel and runs every model before the first real frame."""

from __future__ import annotations

import logging
import time

from agent.base.assets import CLIP
from agent.base.config import AgentConfig
from agent.base.errors import CaptureError
from agent.kernels import compiler
from agent.perceive.capture.sound_file import SoundFile
from agent.perceive.capture.video_file import VideoFile
from agent.privacy.zones import StaffZones
from agent.vision.pipeline import Pipeline

log = logging.getLogger(__name__)

_FACE_FRAMES = 40
"""Frames with a face after which every kernel has run."""
_MAX_FRAMES = 200
_SECONDS = 10.0
"""Of sound, within which every kernel of the voice has run."""


def warm(config: AgentConfig, hears: bool) -> None:
    """Run the bundled clip through a pipeline, and where one `hears` its sound, that are then
    discarded. Raises `ModelError`."""
    started = time.monotonic()
    pipeline = Pipeline(config, zones=StaffZones(config.privacy.staff_zones))
    seen = 0
    try:
        source = VideoFile(CLIP)
        for index, frame in enumerate(source):
            seen += bool(pipeline(frame).faces)
            if seen >= _FACE_FRAMES or index >= _MAX_FRAMES:
                break
        source.close()
        if hears:
            from agent.voice.listener import Listener

            listener = Listener(pipeline.models.manifest)
            for sound in SoundFile(CLIP).until(_SECONDS):
                listener(sound)
            listener.finish()
    except CaptureError as error:
        log.warning("Not warmed up: %s The first faces will take longer.", error)
        return
    compiler.release()
    log.info("Warm after %.1f s.", time.monotonic() - started)
