"""`python -m tools.robustness leaks KIND VIDEO`: audit processes that leak; alone: the kinds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from agent.desk.audit.run import audit
from tools.robustness.leaks import processes
from tools.robustness.leaks.registry import KINDS


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action; it has its own options."""
    parser = verbs.add_parser(
        "leaks", help="audit an agent with a leak built in", description=__doc__
    )
    parser.add_argument("kind", nargs="?", metavar="KIND", help="or several joined by +")
    parser.add_argument("video", nargs="?", type=Path, metavar="VIDEO")
    parser.add_argument("--list", action="store_true", help="print the kinds of leaks")
    parser.add_argument("--json", action="store_true", help="the audit's report as JSON")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the evidence")
    parser.set_defaults(complain=parser.error, save=False)


def run(args: argparse.Namespace) -> int:
    """The audit's own exit code: 1 where it found the leak. Raises `AgentError`."""
    if args.list or args.kind is None:
        for name, (_, what) in KINDS.items():
            print(f"{name:12} {what}")
        return 0
    unknown = set(args.kind.split("+")) - set(KINDS)
    if unknown:
        args.complain(f"no such kind: {', '.join(sorted(unknown))}; --list names them")
    if args.video is None:
        args.complain("name a VIDEO to play")
    return audit(args.video, as_json=args.json, keep=args.keep, processes=processes(args.kind))
