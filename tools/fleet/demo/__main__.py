"""`python -m tools.fleet.demo`: the whole fleet's side, and devices, for a few minutes."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from agent.base.errors import AgentError
from tools.fleet.demo.run import Say, play, table
from tools.fleet.simulate.deployment import StoreKind

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0 where everything was as it should be, else 1."""
    given = argparse.ArgumentParser(prog="tools/fleet/run-demo", description=__doc__)
    given.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    given.add_argument("--keep", type=Path, metavar="FOLDER", help="leave logs and data there")
    given.add_argument("--json", action="store_true", help="end with one line of JSON")
    given.add_argument(
        "--console", action="store_true",
        help="no releases: the console in a browser, until Ctrl-C; --json: how to sign in",
    )  # fmt: skip
    args = given.parse_args(argv)
    for number in _ENDS:
        if signal.getsignal(number) is not signal.SIG_IGN or number != signal.SIGHUP:  # nohup
            signal.signal(number, _end)
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"[{time.monotonic() - began:4.0f} s] {what}", file=sys.stderr, flush=True)

    try:
        with tempfile.TemporaryDirectory(prefix="fleeting-fleet-demo-") as made:
            folder = args.keep or Path(made)
            folder.mkdir(parents=True, exist_ok=True)
            Path(made).chmod(0o711)
            if args.console:
                _watch(folder.resolve(), args.store, say, as_json=args.json)
                return 0
            outcome = play(folder.resolve(), args.store, say)
    except AgentError as error:
        print(f"run-demo: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    print(table(outcome), end="")
    if args.json:
        print(json.dumps(outcome.as_dict()))
    return 0 if outcome.passed else 1


def _end(number: int, frame: FrameType | None) -> None:
    """The first one ends everything in order; a second one would leave things behind."""
    for each in _ENDS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _watch(folder: Path, store: StoreKind, say: Say, *, as_json: bool) -> None:
    """Until Ctrl-C, which is its end and no failure."""
    from tools.fleet.demo.watched import watch

    try:
        watch(folder, store, say, as_json=as_json)
    except KeyboardInterrupt:
        say("ended")


if __name__ == "__main__":
    raise SystemExit(main())
