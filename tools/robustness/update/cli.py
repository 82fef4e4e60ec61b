"""`python -m tools.robustness update`: its arguments and its report as text."""

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
        "update",
        parents=[shared],
        help="kill -9 of the updater at random instants: the old or the new version, never neither",
        description="Kills the updater at random instants of signed updates, and starts it again. "
        "Exit code 1 when an update ended in neither version, or a link led to a slot that was not "
        "whole at any time; the evidence is then kept.",
    )
    parser.add_argument("--times", type=positive, default=500, metavar="N", help="default: 500")
    parser.add_argument("--seed", type=int, help="of the random instants; default: drawn")
    parser.add_argument(
        "--power",
        action="store_true",
        help="instead of a kill: cut the power, by a copied ext4 image (root, for a loop mount)",
    )
    parser.add_argument(
        "--bad",
        action="store_true",
        help="instead: releases with a fault planted, in a real `fleeting run` on the bundled "
        "clip: each has to be back on the old version within 3 minutes",
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="WORD", help="with --bad: cases that hold one"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the evidence here")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text; `passed` in the report is the verdict. Raises `ToolError`."""
    from tools.robustness.update import bad
    from tools.robustness.update import run as kills

    if args.bad or args.power:
        args.what = "update-bad" if args.bad else "update-power"  # stored by itself
    if args.bad:
        with bar("releases", len(bad.CASES)) as tell:
            report = bad.run(tuple(args.only), tell)
        return report, bad_text(report)
    with bar("updates killed", args.times) as tell:
        report, kept = kills.run(args.times, args.seed, args.keep, tell, power=args.power)
    if kept is not None:
        print(f"update: the evidence is in {kept}", file=sys.stderr)
    return report, text(report)


def bad_text(report: dict[str, Any]) -> str:
    """The report as a table."""
    lines = [f"{'release':<44} {'ends':<10} {'reason':<18} {'step':<12} {'seconds':>7}\n"]
    lines += [
        f"{each['case']:<44} {each['status']!s:<10} {each['reason'] or '-':<18} "
        f"{each['step']!s:<12} {each['seconds']:>7.1f}\n"
        for each in report["cases"]
    ]
    found = [f"  {each}\n" for each in report["violations"]]
    verdict = "passed\n" if report["passed"] else f"FAILED\n{''.join(found)}{report['log']}\n"
    return line(report["machine"]) + (
        f"{''.join(lines)}seconds: from the first step that the new version has a part in to both "
        f"services being well, the soak of a good one included\n{verdict}"
    )


def text(report: dict[str, Any]) -> str:
    """The report in a few lines."""
    found = report["violations"]
    steps = "".join(f"  {name:<14} {count:>5}\n" for name, count in report["steps"].items())
    ends = ", ".join(f"{count} {name}" for name, count in report["ends"].items())
    verdict = "passed\n" if report["passed"] else "FAILED\n" + "".join(f"  {e}\n" for e in found)
    how = (
        "power cuts (ext4)"
        if report["power"]
        else f"kill -9, {report['group_kills']} of them of the whole process group,"
    )
    return line(report["machine"]) + (
        f"{report['updates']} updates interrupted, {report['kills']} {how} in "
        f"{report['seconds'] / 60:.1f} minutes, seed {report['seed']}\n"
        f"by the step that was going on:\n{steps}"
        f"ends: {ends}, {report['neither']} neither; the longest took {report['longest']:.1f} s, "
        f"kills and all\n{verdict}"
    )
