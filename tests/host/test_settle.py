"""Memory given back while a process works."""

import os

from agent.host.settle import tidy
from tools.common.processes import own_memory


def test_what_lies_between_things_in_use_goes_back() -> None:
    """The C library alone gives back only what is free at the end."""
    held = [bytes(60_000) for _ in range(1_000)]
    kept = held[::50]
    del held
    before = own_memory(os.getpid())
    tidy()
    assert before - own_memory(os.getpid()) > 40_000  # KiB, of 57,000
    assert len(kept) == 20
