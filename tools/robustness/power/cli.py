"""`python -m tools.robustness power`: its arguments and its report as text."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tools.common.command import positive
from tools.common.machine import line
from tools.common.progress import bar


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "power",
        parents=[shared],
        help="cut the power at random instants: what was committed is there, once, and whole",
        description="Cuts the power under both processes' writes, by a copied ext4 image, and "
        "starts them again on it (root, for a loop mount). Exit code 1 when anything was lost, "
        "changed or inconsistent; the evidence is then kept.",
    )
    parser.add_argument("--times", type=positive, default=500, metavar="N", help="default: 500")
    parser.add_argument("--seed", type=int, help="of the random instants; default: drawn")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the evidence here")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text; `passed` in the report is the verdict. Raises `ToolError`."""
    from tools.robustness.power import run as cuts

    with bar("power cuts", args.times) as tell:
        report, kept = cuts.run(args.times, args.seed, args.keep, tell)
    if kept is not None:
        print(f"power: the evidence is in {kept}", file=sys.stderr)
    return report, text(report)


def text(report: dict[str, Any]) -> str:
    """The report in a few lines."""
    within = "".join(f"  {name:<26} {count:>5}\n" for name, count in report["within"].items())
    found = "".join(f"  {each}\n" for each in report["violations"][:20])
    return line(report["machine"]) + (
        f"{report['cuts']} power cuts (ext4) in {report['seconds'] / 60:.1f} minutes, "
        f"seed {report['seed']}; the disk held after them:\n{within}"
        f"summaries: {report['committed']} committed, {report['sent']} sent, "
        f"{report['sent_again']} sent again, {report['lost']} lost\n"
        f"receipts: {report['receipts']}; settings: {report['settings']} versions\n"
        f"{report['whole']} of {report['cuts']} whole: outbox, ledger, settings, receipts, quotas, "
        f"file system\n{'passed' if report['passed'] else 'FAILED'}\n{found}"
    )
