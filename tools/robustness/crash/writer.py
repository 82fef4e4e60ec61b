"""Processes that write to an outbox under strace, forked so that each starts at once.

    python -m tools.robustness.crash.writer

For every line `FILE` on standard input: fork, print the child's process id, wait for a line, let
the child go; then print what it had finished as a line of JSON. A child adds the first two of
`summaries()`, takes the first out again and closes the file.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path

from agent.base.clock import FILE_CLOCK
from agent.base.config import StoreConfig
from agent.base.report import Summary
from agent.base.settings_file import parse
from agent.privacy.noise import discrete_laplace
from agent.privacy.policy.rules import resolve
from agent.privacy.release import PendingRelease, ReleaseContext, release
from agent.privacy.window import ExactCounts, Window
from agent.wall.outbox import Outbox

SCRIPT = ("add 0", "add 1", "acknowledge 0", "close")
"""The steps, in order; each is noted in the diary when it begins and when it is done."""
_BOOT = "0a1b2c3d"
_PR_SET_PTRACER = 0x59616D61
_ANY = ctypes.c_ulong(-1)


def summaries(count: int) -> list[Summary]:
    """Windows without visitors, numbered from 0."""
    deaf = {"policy": "demo", "microphone": False, "words": False}
    policy = resolve(parse({"privacy": deaf}, "the crash test"))
    made = []
    for seq in range(count):
        window = Window(seq, 10, {0: ExactCounts()}, frames=300, last=9.9, seconds=10)
        pending = PendingRelease()
        pending.add_window(window, 0, policy, discrete_laplace)
        context = ReleaseContext(_BOOT, seq, "0123456789abcdef", FILE_CLOCK, micro_enabled=True)
        made.append(release(pending, window, 0, policy, context, discrete_laplace))
    return made


def write(path: Path, made: list[Summary], note: int) -> None:
    """Follow the script; `note`: file descriptor of the diary."""
    with Outbox(StoreConfig(outbox=path)) as outbox:
        for step in SCRIPT:
            os.write(note, f"begun {step}\n".encode())
            verb, _, number = step.partition(" ")
            if verb == "add":
                outbox.add(made[int(number)])
            elif verb == "acknowledge":
                outbox.acknowledge(outbox.peek(1)[0].id)
            else:
                outbox.close()
            os.write(note, f"done {step}\n".encode())


def serve() -> None:
    """One child after another, as standard input asks for them."""
    made = summaries(2)
    libc = ctypes.CDLL(None)
    for line in iter(sys.stdin.readline, ""):
        path = Path(line.rstrip("\n"))
        gate, go = os.pipe()
        diary, note = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.close(go)
                os.close(diary)
                libc.prctl(_PR_SET_PTRACER, _ANY, 0, 0, 0)  # strace is no parent of ours
                os.read(gate, 1)
                write(path, made, note)
                code = 0
            finally:
                os._exit(code)
        os.close(gate)
        os.close(note)
        print(child, flush=True)
        sys.stdin.readline()
        os.write(go, b"!")
        os.close(go)
        with os.fdopen(diary, encoding="ascii") as lines:
            steps = lines.read().splitlines()
        _, status = os.waitpid(child, 0)
        print(json.dumps({"steps": steps, "code": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    serve()
