"""A subject with known cost, served as any other: `python -m tests.tools.bench.subject`."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.bench.pipeline.worker import serve


def burn(seconds: float) -> None:
    """Use that much of this thread's CPU time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


class Known:
    """Burns `own` in the call and `thread` in a thread; says what it saw by its answers."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._held = np.ones(options.get("hold_mib", 0) << 20, np.uint8)

    def __call__(
        self, picture: NDArray[np.uint8], seconds: float
    ) -> tuple[int, Mapping[str, float]]:
        if self._options.get("crash"):
            raise SystemExit("out of film")
        if self._options.get("fail"):
            raise ValueError("blurred")
        other = threading.Thread(target=burn, args=(self._options.get("thread", 0.0),))
        other.start()
        burn(self._options.get("own", 0.0))
        other.join()
        return 1, {"first_pixel": float(picture.flat[0]), "seconds": seconds}


def make(options: dict[str, Any]) -> tuple[Known, dict[str, Any]]:
    """As the options say."""
    print("what a subject prints must not get between the answers")
    return Known(options), {"what": "known"}


if __name__ == "__main__":
    serve(make)
