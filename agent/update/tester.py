"""The updater's side of a release's self-test (`agent.update.helper`)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from agent.host.supervise import die_with_parent
from agent.update.errors import UpdateError
from agent.update.helper import MAX_LINE, environment, known
from agent.update.soak import KNOWN


class SelfTest:
    """The updater's side: a running helper."""

    def __init__(self, folder: Path, port: int) -> None:
        """Starts it. `folder`: `update.folder`. `port`: the broker's. Raises `OSError`."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "agent.update.helper", str(folder), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=die_with_parent,
            env=environment(Path(__file__).resolve().parents[2]),
        )

    def __call__(self, new: Path, old: Path) -> None:
        """Raises `UpdateError` where the release in the folder `new` does not pass, judged by the
        one in `old`, which is in force."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps([str(new), str(old), KNOWN]).encode() + b"\n")
            self._process.stdin.flush()
            verdict = json.loads(self._process.stdout.readline(MAX_LINE))
            why, text = verdict["reason"], str(verdict["text"])
        except (OSError, ValueError, KeyError, TypeError):
            raise UpdateError("internal", "The self-test could not be run.") from None
        if why is not None:
            raise UpdateError(known(why), f"The new version fails its self-test: {text}.")

    def close(self) -> None:
        """End it."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()
