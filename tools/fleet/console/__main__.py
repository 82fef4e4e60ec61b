"""`python -m tools.fleet.console`: bench measures the list of devices, tour shows everything."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import Any

from tools.common import command
from tools.common.files import ROOT
from tools.fleet.console import bench

REFERENCE = ROOT / "tools" / "fleet" / "reference"


class _Tour:
    """A newcomer's five minutes."""

    def add(self, verbs: Any, shared: argparse.ArgumentParser) -> None:
        one = verbs.add_parser(
            "tour", help="a newcomer's five minutes with a real agent, in Chromium"
        )
        one.add_argument("--out", type=Path, metavar="FOLDER", help="for screenshots")
        one.add_argument("--chromium", default="/usr/bin/chromium", metavar="FILE")

    def run(self, args: argparse.Namespace) -> int:
        from tools.fleet.console.tour import tour

        tour(args.out, args.chromium)
        return 0


SUBCOMMANDS: dict[str, command.Subcommand] = {"bench": bench, "tour": _Tour()}


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return command.main("tools.fleet.console", __doc__, SUBCOMMANDS, argv, REFERENCE)


if __name__ == "__main__":
    raise SystemExit(main())
