"""Several worker processes at once, each with one film."""

from __future__ import annotations

import json
import queue
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from agent.base.names import one_line
from agent.desk.films.worker import Job
from agent.host.supervise import child_environment

STALL = 900.0
"""Seconds without a word from a worker after which its film counts as one that hangs."""
_TICK = 0.2
_LONGEST = 1 << 20
"""Bytes of an answer."""
_TAIL = 2000
"""Bytes of stderr that are kept for an error."""
PROGRAM = [sys.executable, "-P", "-m", "agent.desk.films.worker"]


class Outcome(NamedTuple):
    """How a job ended: `entry` of the index, or why there is none."""

    job: Job
    entry: dict[str, Any] | None
    error: str
    seconds: float


Report = Callable[[Job, int, int | None], None]
"""Is told of frames done, and how many there are in all, from any thread."""


class Crew:
    """Runs jobs by `size` workers at once. `stop` ends them all."""

    def __init__(self, size: int, report: Report, stall: float = STALL) -> None:
        self._size, self._report, self._stall = size, report, stall
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def run(self, jobs: Iterable[Job], done: Callable[[Outcome], None]) -> None:
        """Run all jobs, each taken when its turn comes; `done` is called in this thread, in the
        order in which they end. Raises what `jobs` raises."""
        waiting, taking = iter(jobs), threading.Lock()
        ended: queue.SimpleQueue[Outcome | BaseException | None] = queue.SimpleQueue()

        def serve() -> None:
            try:
                while not self._stopped.is_set():
                    with taking:
                        job = next(waiting, None)
                    if job is None:
                        return
                    began = time.monotonic()
                    entry, error = self._one(job)
                    if not self._stopped.is_set():
                        ended.put(Outcome(job, entry, error, time.monotonic() - began))
            except BaseException as error:  # for the other thread
                ended.put(error)
            finally:
                ended.put(None)

        threads = [threading.Thread(target=serve) for _ in range(self._size)]
        for thread in threads:
            thread.start()
        left = len(threads)
        try:
            while left:
                outcome = ended.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                if outcome is None:
                    left -= 1
                else:
                    done(outcome)
        finally:
            self.stop()
            for thread in threads:
                thread.join()

    def _one(self, job: Job) -> tuple[dict[str, Any] | None, str]:
        """The entry of a job that a worker did, or why it did not."""
        try:
            process = subprocess.Popen(
                PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=child_environment(),
            )  # fmt: skip
        except OSError as error:
            return None, f"No worker could be started: {error.strerror}."
        tail = _Tail(process)
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(job._asdict()).encode() + b"\n")
            process.stdin.close()
            last = self._follow(job, process)
        except BrokenPipeError:
            last = {}
        finally:
            if process.poll() is None and (self._stopped.is_set() or last is None):
                process.kill()
            code = process.wait()
            tail.join()
        if last is None:
            return None, f"{job.label} did not go on for {self._stall:.0f} s; it was given up."
        if code == 0 and "entry" in last:
            return last["entry"], ""
        if "error" in last:
            return None, str(last["error"])
        why = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return None, f"The worker for {job.label} {why}.{tail.last_line()}"

    def _follow(self, job: Job, process: subprocess.Popen[bytes]) -> dict[str, Any] | None:
        """Read answers until the last; None where the worker hangs, or all are to stop."""
        assert process.stdout is not None
        last: dict[str, Any] = {}
        heard, rest = time.monotonic(), b""
        while not self._stopped.is_set():
            ready, _, _ = select.select([process.stdout], [], [], _TICK)
            if not ready:
                if time.monotonic() - heard > self._stall:
                    return None
                continue
            block = process.stdout.read1(1 << 16)  # type: ignore[attr-defined]
            if not block:
                return last
            heard = time.monotonic()
            *lines, rest = (rest + block)[-_LONGEST:].split(b"\n")
            for line in lines:
                answer = _read(line)
                if "done" in answer:
                    self._report(job, answer["done"], answer["of"])
                last = answer or last
        return None


class _Tail(threading.Thread):
    """Reads a worker's stderr, so that it never waits for a reader, and keeps its end."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(daemon=True)
        assert process.stderr is not None
        self._pipe, self._kept = process.stderr, b""
        self.start()

    def run(self) -> None:
        while block := self._pipe.read(512):
            self._kept = (self._kept + block)[-_TAIL:]

    def last_line(self) -> str:
        lines = self._kept.decode("utf-8", "replace").strip().splitlines()
        return f" It said: {one_line(lines[-1])}" if lines else ""


def _read(line: bytes) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(line)
        return answer if isinstance(answer, dict) else {}
    except ValueError:
        return {}
