"""Audit halves that leak: `python -m tools.leaks KIND VIDEO`; without arguments, the kinds."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agent.base.errors import AgentError
from agent.desk.audit.run import audit
from tools.leaks import processes
from tools.leaks.kinds import KINDS


def main(argv: list[str] | None = None) -> int:
    """The audit's own exit code: 1 where it found the leak."""
    parser = argparse.ArgumentParser(prog="python -m tools.leaks", description=__doc__)
    parser.add_argument("kind", nargs="?", metavar="KIND", help="or several joined by +")
    parser.add_argument("video", nargs="?", type=Path, metavar="VIDEO")
    parser.add_argument("--list", action="store_true", help="print the kinds of leaks")
    parser.add_argument("--json", action="store_true", help="the audit's report as JSON")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the evidence")
    args = parser.parse_args(argv)
    if args.list or args.kind is None:
        for name, (_, what) in KINDS.items():
            print(f"{name:10} {what}")
        return 0
    unknown = set(args.kind.split("+")) - set(KINDS)
    if unknown:
        parser.error(f"no such kind: {', '.join(sorted(unknown))}; --list names them")
    if args.video is None:
        parser.error("name a VIDEO to play")
    try:
        return audit(args.video, as_json=args.json, keep=args.keep, processes=processes(args.kind))
    except AgentError as error:
        print(f"leaks {args.kind}: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
