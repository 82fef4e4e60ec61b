"""The measured side: one process that holds one subject and times it, frame by frame, on request.

Standard library and NumPy only, because the peer runs under an interpreter of its own. Requests and
answers are JSON lines over stdin and stdout; what the subject itself prints goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray


class Subject(Protocol):
    """What is measured."""

    def __call__(
        self, picture: NDArray[np.uint8], seconds: float
    ) -> tuple[int, Mapping[str, float]]:
        """Take the picture of that time; return the faces found and seconds per stage."""


def serve(make: Callable[[dict[str, Any]], tuple[Subject, dict[str, Any]]]) -> None:
    """Answer requests until stdin ends.

    `open` makes the subject from its options; `run` feeds it the frames `first` to `last` of the
    file (wrapping round its end) and answers with process CPU seconds, wall seconds, stage seconds
    and faces; `memory` answers with the peak resident set.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    subject: Subject | None = None
    file: BinaryIO | None = None
    buffer = np.empty(0, np.uint8)
    stored, fps = 1, 30.0
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "open":
                subject, answer = make(request["options"])
                file = open(request["file"], "rb", buffering=0)  # noqa: SIM115  (until the end)
                buffer = np.empty(request["shape"], np.uint8)
                stored, fps = request["stored"], request["fps"]
            elif request["do"] == "run":
                assert subject is not None
                assert file is not None
                answer = _run(subject, file, buffer, stored, fps, request["first"], request["last"])
            else:
                answer = {"peak_rss_mib": peak_rss_mib()}
        except Exception as error:
            # the one boundary: the parent turns this into an error for a person
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


def _run(
    subject: Subject,
    file: BinaryIO,
    buffer: NDArray[np.uint8],
    stored: int,
    fps: float,
    first: int,
    last: int,
) -> dict[str, Any]:
    wall = reading = 0.0
    faces = 0
    stages: dict[str, float] = {}
    view = buffer.data.cast("B")
    # The whole chunk's process time, so that work which the subject leaves to threads of its own
    # between two calls counts as well; fetching the pictures is taken out.
    started = time.process_time()
    for index in range(first, last):
        before = time.thread_time()
        file.seek((index % stored) * buffer.nbytes)
        if file.readinto(view) != buffer.nbytes:  # type: ignore[attr-defined]
            raise OSError("the file of decoded frames ended early")
        reading += time.thread_time() - before
        begun = time.perf_counter()
        found, spent = subject(buffer, index / fps)
        wall += time.perf_counter() - begun
        faces += found
        for name, seconds in spent.items():
            stages[name] = stages.get(name, 0.0) + seconds
    cpu = time.process_time() - started - reading
    return {"cpu": cpu, "wall": wall, "faces": faces, "stages": stages}


def peak_rss_mib() -> float:
    """Peak resident set of this process, MiB.

    Not `getrusage`: its maximum survives exec and so contains the parent's.
    """
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no VmHWM line")
