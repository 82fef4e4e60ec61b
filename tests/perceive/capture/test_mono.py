"""Many channels as one."""

from __future__ import annotations

import numpy as np
import pytest

from agent.perceive.capture.mono import mono

RNG = np.random.default_rng(0)
VOICE = RNG.normal(0, 0.1, 1600).astype(np.float32)


def test_equal_channels_keep_their_level() -> None:
    assert mono(np.stack([VOICE] * 8)) == pytest.approx(VOICE, abs=1e-6)
    assert mono(VOICE[None]) is not None
    assert mono(VOICE[None]).tolist() == VOICE.tolist()


def test_opposed_channels_do_not_cancel_out() -> None:
    assert mono(np.stack([VOICE, -VOICE])).std() == pytest.approx(VOICE.std(), rel=1e-3)


@pytest.mark.parametrize("channels", [2, 4, 8, 16])
def test_one_channel_among_silent_ones_is_heard(channels: int) -> None:
    block = np.zeros((channels, 1600), np.float32)
    block[channels // 2] = VOICE
    assert mono(block).std() >= VOICE.std() / channels * 0.99


def test_numbers_that_are_none_do_not_break_it() -> None:
    assert len(mono(np.full((2, 160), np.nan, np.float32))) == 160
