from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.vision.micro.outputs import CENTRE, LOOK_AHEAD, OUTPUTS, UNITS, decode, encode
from agent.vision.micro.stream import STEP


@given(
    onset=st.floats(0, 100),
    duration=st.floats(0.11, 0.6),
    apex=st.floats(0, 1),
    amplitude=st.floats(0.004, 0.15),
    steps=st.integers(-4, 4),
)
def test_what_is_encoded_is_decoded(
    onset: float, duration: float, apex: float, amplitude: float, steps: int
) -> None:
    movement = (onset, onset + apex * duration, onset + duration, amplitude)
    described = onset + duration / 2 + steps * STEP
    outputs = np.zeros(OUTPUTS, np.float32)
    outputs[CENTRE : UNITS.start] = encode(np.array([described]), *movement)
    assert decode(described + LOOK_AHEAD * STEP, outputs) == pytest.approx(movement, abs=1e-5)
