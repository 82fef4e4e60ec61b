"""kill -9 at every write: a writer of the outbox dies at each of its system calls in turn.

strace delivers SIGKILL on entering the N-th call of a kind, so that the call itself does not happen
(strace(1), `--inject`; ptrace(2): a tracee killed at syscall-entry skips the call). N grows until
the writer comes through untouched. After every death the outbox is opened as the agent would, held
against what the writer had finished, and the script is repeated on it.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from agent.base.config import StoreConfig
from agent.base.errors import StoreError
from agent.base.report import to_json
from agent.wall.outbox import Outbox
from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.common.machine import machine
from tools.robustness.crash.check import Stored, digest, read
from tools.robustness.crash.writer import SCRIPT, summaries

CALLS = (
    "openat", "pwrite64", "write", "fsync", "fdatasync", "ftruncate", "fallocate", "fcntl",
    "flock", "mmap", "munmap", "close", "unlink", "unlinkat", "rename", "renameat", "renameat2",
)  # fmt: skip
"""Kinds of calls that change, lock, open or let go of a file; one that this processor's Linux does
not have is left out by strace (`?`)."""
_MOST = 2000
"""Calls of a kind after which something is wrong with the test itself."""

Steps = tuple[str, ...]


def run(
    progress: Callable[[int, str], None] = lambda done, word: None, calls: tuple[str, ...] = CALLS
) -> dict[str, Any]:
    """Kill at every call of every kind; `passed` says whether all went well.

    Raises `ToolError` where strace is absent or may not trace.
    """
    strace = shutil.which("strace")
    if strace is None:
        raise ToolError("strace is not installed. Install it: apt install strace.")
    begun, place = time.monotonic(), machine()
    counts: dict[str, int] = {}
    found: list[str] = []
    kills = 0
    with tempfile.TemporaryDirectory(prefix="fleeting-writes-") as folder, _server() as server:
        for call in calls:
            for number in range(1, _MOST):
                path = Path(folder) / f"{call}-{number}" / "outbox.db"
                steps, code = _one(strace, server, path, call, number)
                found += [f"{call} {number}: {each}" for each in examine(path, steps)]
                shutil.rmtree(path.parent, ignore_errors=True)
                if code == 0:
                    break
                if code != -signal.SIGKILL:
                    found.append(f"{call} {number}: the writer ended with code {code}")
                    break
                kills += 1
                counts[call] = counts.get(call, 0) + 1
                progress(kills, call)
            else:
                raise ToolError(f"The writer calls {call} without end. Look at it with strace.")
    return {
        "what": "crash-writes",
        "machine": place,
        "script": ", ".join(SCRIPT),
        "kills": kills,
        "calls": counts,
        "violations": found,
        "seconds": round(time.monotonic() - begun, 1),
        "passed": not found and kills > 0,
    }


def examine(path: Path, steps: Steps) -> list[str]:
    """What is wrong with an outbox whose writer died after `steps`; then repeat the script on it.

    Afterwards the file has the state that an undisturbed script leaves behind, or that is wrong.
    """
    made = summaries(2)
    bodies = [to_json(each) for each in made]
    try:
        with Outbox(StoreConfig(outbox=path)) as outbox:
            found = _compare(read(path), [digest(body) for body in bodies], steps)
            if outbox.moved_aside:
                found.append("the file was found damaged")
            for each in made:
                outbox.add(each)
            outbox.acknowledge(*(row.id for row in outbox.peek(10) if row.body == bodies[0]))
            after = read(path)
            if [sha256 for _, sha256 in after.waiting] != [digest(bodies[1])]:
                found.append("repeating the script leaves other records")
            if [key[1] for key, _ in after.ledger] != [0, 1] or outbox.next_seq != 2:
                found.append("repeating the script leaves another ledger")
    except (StoreError, ToolError) as error:
        found = [f"cannot be used any more: {error}"]
    return found


def _compare(stored: Stored, written: list[str], steps: Steps) -> list[str]:
    """The file as the dead writer left it, against what it said that it had done; `written`: the
    SHA-256 of its summaries."""
    found = []
    listed = [sha256 for _, sha256 in stored.ledger]
    waiting = [sha256 for _, sha256 in stored.waiting]
    if stored.verdict != "ok":
        found.append(f"integrity check: {stored.verdict}")
    if listed != written[: len(listed)]:
        found.append("the ledger has a line that was not written so")
    if not set(waiting) <= set(written) or len(waiting) != len(set(waiting)):
        found.append("the outbox has a record that was not written so")
    for number, sha256 in enumerate(written):
        here = sha256 in listed
        taken = number == 0 and "begun acknowledge 0" in steps
        if f"done add {number}" in steps and not here:
            found.append(f"summary {number} was added and is gone from the ledger")
        if f"begun add {number}" not in steps and here:
            found.append(f"summary {number} is there before it was added")
        if here and sha256 not in waiting and not taken:
            found.append(f"summary {number} has a ledger line and no record")
        if sha256 in waiting and not here:
            found.append(f"summary {number} has a record and no ledger line")
    if "done acknowledge 0" in steps and written[0] in waiting:
        found.append("summary 0 was taken out and is back")
    return found


def _one(
    strace: str, server: subprocess.Popen[str], path: Path, call: str, number: int
) -> tuple[Steps, int]:
    """A writer on a new file, killed at its N-th call of the kind; what it did, its exit code."""
    path.parent.mkdir()
    child = int(_ask(server, f"{path}"))
    tracer = subprocess.Popen(
        [strace, "-p", str(child), "-o", "/dev/null", "-e", f"trace=?{call}",
         "-e", f"inject=?{call}:signal=KILL:when={number}"],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        said = _line(tracer.stderr)
        if "attached" not in said:
            raise ToolError(f"strace cannot trace: {said.strip()}. Allow ptrace, or run as root.")
        answer = json.loads(_ask(server, "go"))
    finally:
        tracer.terminate()
        tracer.communicate()
    return tuple(answer["steps"]), int(answer["code"])


def _ask(server: subprocess.Popen[str], line: str) -> str:
    assert server.stdin is not None
    server.stdin.write(line + "\n")
    server.stdin.flush()
    answer = _line(server.stdout)
    if not answer:
        raise ToolError("The process that makes the writers ended. Look above for its reason.")
    return answer


def _line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


@contextmanager
def _server() -> Iterator[subprocess.Popen[str]]:
    server = subprocess.Popen(
        [sys.executable, "-m", "tools.robustness.crash.writer"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    try:
        yield server
    finally:
        server.kill()
        server.communicate()
