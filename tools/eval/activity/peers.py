"""Who else tells speech from other sound: Silero, WebRTC's detector, and plain energy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.base.types import Float
from agent.voice.activity import Contrast
from agent.voice.frames import Frames
from agent.voice.sound import FRAME, HOP, RATE
from tools.train.activity import teacher


def silero(sounds: Sequence[Float]) -> list[Float]:
    """Probability at every frame of each sound."""
    told = teacher.answers(sounds)
    return [
        teacher.at_frames(each, (len(sound) - FRAME) // HOP + 1)
        for each, sound in zip(told, sounds, strict=True)
    ]


def webrtc(sound: Float) -> Float:
    """float32[N]: how many of the four degrees of aggressiveness call the frame speech. Raises
    `ModuleNotFoundError` without the package webrtcvad-wheels."""
    import webrtcvad

    content = np.clip(np.rint(sound * 32767), -32768, 32767).astype("<i2")
    count = (len(sound) - FRAME) // HOP + 1
    votes = np.zeros(len(sound) // HOP, np.float32)
    for mode in range(4):
        detector = webrtcvad.Vad(mode)
        for k in range(len(votes)):
            part = content[k * HOP : (k + 1) * HOP].tobytes()
            votes[k] += detector.is_speech(part, RATE)
    middle = FRAME // 2 // HOP
    return votes[middle : middle + count]


def energy(frames: Frames) -> Float:
    """float32[N]: level over a noise floor that adapts, smoothed over 50 ms."""
    _, excess = Contrast()(frames.bands)
    return excess
