"""Silero VAD (MIT), the teacher: probability of speech per 32 ms, brought to our frames."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from agent.base.types import Float
from agent.voice.sound import FRAME, HOP, RATE
from tools.common.packs import packs_folder

CHUNK, CONTEXT = 512, 64
"""Samples that are new, and of the chunk before that are given again."""


@cache
def _session() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = packs_folder() / "teachers" / "silero_vad_16k_op15.onnx"
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def answers(sounds: Sequence[Float]) -> list[Float]:
    """Probability of each chunk, float32[C] per sound; all sounds at once, each from silence."""
    session = _session()
    names = [each.name for each in session.get_inputs()]
    chunks = [len(sound) // CHUNK for sound in sounds]
    wide = np.zeros((len(sounds), CONTEXT + max(chunks) * CHUNK), np.float32)
    for row, sound, count in zip(wide, sounds, chunks, strict=True):
        row[CONTEXT : CONTEXT + count * CHUNK] = sound[: count * CHUNK]
    state = np.zeros((2, len(sounds), 128), np.float32)
    rate = np.array(RATE, np.int64)
    out = np.empty((len(sounds), max(chunks)), np.float32)
    for k in range(max(chunks)):
        given = wide[:, k * CHUNK : (k + 1) * CHUNK + CONTEXT]
        probability, state = session.run(None, dict(zip(names, (given, state, rate), strict=True)))
        out[:, k] = probability[:, 0]
    return [row[:count] for row, count in zip(out, chunks, strict=True)]


def at_frames(chunks: Float, count: int) -> Float:
    """float32[count]: the answer for the chunk that holds each frame's middle, between chunks'
    middles linearly."""
    middle = np.arange(count) * HOP + FRAME / 2
    return np.interp(middle, (np.arange(len(chunks)) + 0.5) * CHUNK, chunks).astype(np.float32)
