"""`fleeting-fleet`: everything that whoever operates a fleet runs. Each room brings its verbs."""

from __future__ import annotations

import argparse
import importlib
import sys

from agent.base.errors import AgentError

ROOMS = (
    "broker",
    "enrolment",
    "store",
    "collector",
    "controller",
    "operate",
    "repository",
    "export",
    "alerts",
    "content",
    "seen",
    "console",
)
"""Rooms with a module `cli` whose `add(verbs)` puts verbs into argparse's subparsers; each sets
`run`, which takes the arguments and returns the exit code, None meaning 0."""


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code."""
    args = parser().parse_args(argv)
    try:
        return args.run(args) or 0
    except AgentError as error:
        print(f"fleeting-fleet: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1


def parser() -> argparse.ArgumentParser:
    """Of all rooms' verbs."""
    whole = argparse.ArgumentParser(prog="fleeting-fleet", description="A fleet of devices.")
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="VERB")
    for room in ROOMS:
        importlib.import_module(f"tools.fleet.{room}.cli").add(verbs)
    return whole


if __name__ == "__main__":
    raise SystemExit(main())
