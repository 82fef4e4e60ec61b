from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agent.voice.ring import Ring


@given(st.lists(st.integers(0, 90), max_size=12), st.integers(0, 120))
def test_holds_the_latest(sizes: list[int], wanted: int) -> None:
    ring = Ring(50 / 16000)
    written = np.zeros(0, np.float32)
    for size in sizes:
        chunk = np.arange(len(written), len(written) + size, dtype=np.float32)
        ring.write(chunk)
        written = np.concatenate([written, chunk])
    count = min(wanted, 50, len(written))
    np.testing.assert_array_equal(ring.latest(wanted), written[len(written) - count :])


def test_forgets() -> None:
    ring = Ring(50 / 16000)
    ring.write(np.ones(70, np.float32))
    ring.forget()
    assert len(ring.latest(50)) == 0
    assert not ring._samples.any()
