"""Compiles every kernel and runs every model before the first real frame."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import cv2
import numpy as np

from agent.base.assets import CLIP, WARM_UP, WARM_UP_FRAMES
from agent.base.config import AgentConfig
from agent.base.errors import CaptureError
from agent.base.types import Frame, Grey
from agent.kernels import compiler
from agent.privacy.zones import StaffZones
from agent.vision.pipeline import Pipeline

log = logging.getLogger(__name__)

_FRAMES = 60
"""Frames with a face after which every kernel has run that is for one."""
_CROWD = 20
"""Then frames of four faces."""
_FPS = 30.0
_SECONDS = 10.0
"""Of sound, within which every kernel of the voice has run."""


def warm(config: AgentConfig, hears: bool) -> None:
    """Run a few pictures through a pipeline, and where one `hears` the bundled clip's sound, that
    are then discarded. Raises `ModelError`."""
    started = time.monotonic()
    pipeline = Pipeline(config, zones=StaffZones(config.privacy.staff_zones))
    for number, luma in enumerate(_pictures()):
        pipeline(Frame(number / _FPS, luma))
    if hears:
        try:
            _listen(pipeline)
        except CaptureError as error:
            log.warning("Not warmed up: %s The first words will take longer.", error)
            return
    compiler.release()
    log.info("Warm after %.1f s.", time.monotonic() - started)


def _pictures() -> Iterator[Grey]:
    """Stored ones, to and fro. A video would need its decoder, which a camera does not."""
    stored = np.fromfile(WARM_UP, np.uint8)
    tall = np.asarray(cv2.imdecode(stored, cv2.IMREAD_GRAYSCALE), np.uint8)
    pictures = tall.reshape(WARM_UP_FRAMES, -1, tall.shape[1])
    there_and_back = [*range(WARM_UP_FRAMES), *range(WARM_UP_FRAMES - 2, 0, -1)]
    for number in range(_FRAMES + _CROWD):
        picture = pictures[there_and_back[number % len(there_and_back)]]
        if number >= _FRAMES:
            picture = np.tile(cv2.resize(picture, None, fx=0.5, fy=0.5), (2, 2))
        yield np.ascontiguousarray(picture)


def _listen(pipeline: Pipeline) -> None:
    """Raises `CaptureError`."""
    from agent.perceive.capture.sound_file import SoundFile
    from agent.voice.listener import Listener

    listener = Listener(pipeline.models.manifest)
    for sound in SoundFile(CLIP).until(_SECONDS):
        listener(sound)
    listener.finish()
