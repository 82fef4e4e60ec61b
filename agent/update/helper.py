"""The process that has a release test itself: `python -P -m agent.update.helper FOLDER PORT`.

The updater starts it before it enters its own sandbox, in which no program can be started: a
release's sandbox can only be tried by a process that is in none yet. It is told of one of the two
slots, and runs that slot's code as it would be run. It imports little, to be there at once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from agent.host.supervise import die_with_parent

_TIMEOUT = 300.0
"""Seconds for one test."""
MAX_LINE = 8_192
_DROPPED = ("FLEETING_HEARTBEAT", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "PYTHONPATH")


def known(why: object) -> Literal["no_start", "model_self_test", "sandbox_self_test", "internal"]:
    """What a release says of itself is looked at, too."""
    if why in ("no_start", "model_self_test", "sandbox_self_test"):
        return why
    return "internal"


def main(arguments: list[str]) -> int:
    """Answers one line for each line of standard input, until that ends."""
    folder, port = Path(os.path.realpath(arguments[0])), int(arguments[1])
    while line := sys.stdin.readline(MAX_LINE):
        first, second, known_openings = json.loads(line)
        new, old = Path(os.path.realpath(first)), Path(os.path.realpath(second))
        if new.parent != folder or new.name not in ("a", "b"):
            verdict: tuple[str | None, str] = "internal", "it is in neither slot"
        else:
            verdict = examine(new, old, known_openings, port)
        try:
            print(json.dumps({"reason": verdict[0], "text": verdict[1][:400]}), flush=True)
        except BrokenPipeError:  # the updater was killed
            os._exit(1)
    return 0


def examine(
    new: Path, old: Path, tried: Mapping[str, Sequence[str]], port: int
) -> tuple[str | None, str]:
    """Why the release in `new` does not pass, and what happened; None where it passes. `tried`:
    what the version in force tries of each sandbox."""
    done = _run(new, ["agent.update.self_test"])
    try:
        verdict: dict[str, Any] = json.loads((done or b"").splitlines()[-1])
        why, text = verdict["reason"], str(verdict["text"])
    except (ValueError, KeyError, TypeError, IndexError):
        return "no_start", "it ended without a verdict"
    if why is not None:
        return known(why), text
    try:
        were, are = _openings(old, tried, port), _openings(new, tried, port)
    except (ValueError, KeyError, TypeError, AttributeError):
        return "sandbox_self_test", "its sandbox could not be tried"
    for half, names in tried.items():
        opened = (are[half] & set(names)) - were[half]
        if opened:
            return "sandbox_self_test", f"no longer closed to {half}: {', '.join(sorted(opened))}"
    return None, "passed"


def _openings(root: Path, halves: Iterable[str], port: int) -> dict[str, set[str]]:
    """What the sandboxes of a version do not refuse. Raises `ValueError` and others."""
    done = _run(root, ["agent.host.sandbox", "--json", "--port", str(port)])
    found = {each["half"]: set(each["cage"]["found_open"]) for each in json.loads(done or b"")}
    return {half: found[half] for half in halves}


def _run(root: Path, module: list[str]) -> bytes | None:
    """Output of a module of the version in `root`; None where it does not end."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", *module],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=environment(root),
            timeout=_TIMEOUT,
            preexec_fn=die_with_parent,
            cwd="/",
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout[-65_536:]


def environment(root: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in _DROPPED}
    return {**kept, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
