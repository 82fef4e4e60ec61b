"""Processor time of one call."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tools.eval.peers.runtime import open_network

SECONDS = 2.0
"""How long a call is repeated."""


def latency(run: Callable[[], Any]) -> dict[str, float]:
    """Processor milliseconds of one call: least and median over `SECONDS`, of 30 calls at least.

    Processor time of this process, on one thread: on a busy machine the clock on the wall would
    count what others do.
    """
    for _ in range(3):
        run()
    times: list[float] = []
    stop = time.perf_counter() + SECONDS
    while len(times) < 30 or time.perf_counter() < stop:
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return {
        "min_ms": round(min(times) * 1e3, 4),
        "median_ms": round(float(np.median(times)) * 1e3, 4),
    }


def network_latency(path: Path) -> dict[str, float]:
    """Of a peer's network alone, on noise. Raises `ToolError` where it cannot be opened."""
    network = open_network(path)
    tensor = np.random.default_rng(1).random(network.shape, np.float32)
    return latency(lambda: network(tensor))
