"""`python -m tools.robustness SUBCOMMAND`: crashes, hostile messages, and leaks made on purpose."""

from __future__ import annotations

import argparse
import sys

from tools.common import command
from tools.robustness.crash import cli as crash
from tools.robustness.fuzz import cli as fuzz
from tools.robustness.leaks import cli as leaks

SUBCOMMANDS: dict[str, command.Subcommand] = {"crash": crash, "fuzz": fuzz, "leaks": leaks}


def parser() -> argparse.ArgumentParser:
    """Of the whole command."""
    return command.parser("tools.robustness", __doc__, SUBCOMMANDS)


def main(argv: list[str] | None = None) -> int:
    """Try it, print, perhaps store. Returns the exit code."""
    given = sys.argv[1:] if argv is None else argv
    return command.main("tools.robustness", __doc__, SUBCOMMANDS, given)


if __name__ == "__main__":
    raise SystemExit(main())
