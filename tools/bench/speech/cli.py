"""`python -m tools.bench speech`: its arguments."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from agent.inference.manifest import SETS
from tools.common.command import positive


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "speech",
        parents=[shared],
        help="spotter and expression where a microphone hears speech, into their cards",
        description="Needs the research packs ($FLEETING_PACKS).",
    )
    parser.add_argument("--set", choices=SETS, default=SETS[0], help="which models")
    parser.add_argument(
        "--limit", type=positive, metavar="N", help="N photographs, minutes, seeds; no card"
    )
    parser.add_argument("--no-card", action="store_true", help="leave the model cards alone")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text. Raises `ToolError`, `ModelError`."""
    from tools.bench.speech import tables
    from tools.bench.speech.measure import evaluate
    from tools.eval.ours import open_set

    ours = open_set(args.set)
    report = evaluate(ours, args.limit)
    if not (args.limit or args.no_card):
        for path in tables.write(report, ours):
            print(f"bench: brought {path} up to date", file=sys.stderr)
    return report, tables.section(report)
