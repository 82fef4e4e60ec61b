"""The process that has a release test itself: `python -P -m agent.update.helper FOLDER PORT`.

The updater starts it before it enters its own sandbox, in which no program can be started: a
release's sandbox can only be tried by a process that is in none yet. It is told of one of the two
slots, and runs that slot's code as it would be run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from agent.base.report.job import JobReason
from agent.host.supervise import die_with_parent
from agent.update.errors import UpdateError
from agent.update.soak import KNOWN

_TIMEOUT = 300.0
"""Seconds for one test."""
_MAX_LINE = 8_192
_DROPPED = ("FLEETING_HEARTBEAT", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "PYTHONPATH")


class SelfTest:
    """The updater's side: a running helper."""

    def __init__(self, folder: Path, port: int) -> None:
        """Starts it. `folder`: `update.folder`. `port`: the broker's. Raises `OSError`."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "agent.update.helper", str(folder), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=die_with_parent,
            env=_environment(Path(__file__).resolve().parents[2]),
        )

    def __call__(self, new: Path, old: Path) -> None:
        """Raises `UpdateError` where the release in the folder `new` does not pass, judged by the
        one in `old`, which is in force."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps([str(new), str(old)]).encode() + b"\n")
            self._process.stdin.flush()
            verdict = json.loads(self._process.stdout.readline(_MAX_LINE))
            why, text = verdict["reason"], str(verdict["text"])
        except (OSError, ValueError, KeyError, TypeError):
            raise UpdateError("internal", "The self-test could not be run.") from None
        if why is not None:
            raise UpdateError(_known(why), f"The new version fails its self-test: {text}.")

    def close(self) -> None:
        """End it."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()


def _known(why: object) -> JobReason:
    """What a release says of itself is looked at, too."""
    if why in ("no_start", "model_self_test", "sandbox_self_test"):
        return why
    return "internal"


def main(arguments: list[str]) -> int:
    """Answers one line for each line of standard input, until that ends."""
    folder, port = Path(os.path.realpath(arguments[0])), int(arguments[1])
    while line := sys.stdin.readline(_MAX_LINE):
        new, old = (Path(os.path.realpath(each)) for each in json.loads(line))
        if new.parent != folder or new.name not in ("a", "b"):
            verdict: tuple[str | None, str] = "internal", "it is in neither slot"
        else:
            verdict = examine(new, old, port)
        print(json.dumps({"reason": verdict[0], "text": verdict[1][:400]}), flush=True)
    return 0


def examine(new: Path, old: Path, port: int) -> tuple[str | None, str]:
    """Why the release does not pass, and what happened; None where it passes."""
    done = _run(new, ["agent.update.self_test"])
    try:
        verdict: dict[str, Any] = json.loads((done or b"").splitlines()[-1])
        why, text = verdict["reason"], str(verdict["text"])
    except (ValueError, KeyError, TypeError, IndexError):
        return "no_start", "it ended without a verdict"
    if why is not None:
        return _known(why), text
    try:
        were, are = _openings(old, port), _openings(new, port)
    except (ValueError, KeyError, TypeError, AttributeError):
        return "sandbox_self_test", "its sandbox could not be tried"
    for half, known in KNOWN.items():
        opened = (are[half] & set(known)) - were[half]
        if opened:
            return "sandbox_self_test", f"no longer closed to {half}: {', '.join(sorted(opened))}"
    return None, "passed"


def _openings(root: Path, port: int) -> dict[str, set[str]]:
    """What the sandboxes of a version do not refuse. Raises `ValueError` and others."""
    done = _run(root, ["agent.host.sandbox", "--json", "--port", str(port)])
    halves = json.loads(done or b"")
    found = {each["half"]: set(each["cage"]["found_open"]) for each in halves}
    return {half: found[half] for half in KNOWN}


def _run(root: Path, module: list[str]) -> bytes | None:
    """Output of a module of the version in `root`; None where it does not end."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", *module],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=_environment(root),
            timeout=_TIMEOUT,
            preexec_fn=die_with_parent,
            cwd="/",
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout[-65_536:]


def _environment(root: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in _DROPPED}
    return {**kept, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
