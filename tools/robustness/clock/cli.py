"""`python -m tools.robustness clock`: its arguments and its report as text."""

from __future__ import annotations

import argparse
from typing import Any

from tools.common.command import positive
from tools.common.machine import line
from tools.common.progress import bar


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "clock",
        parents=[shared],
        help="clocks that lie and step: no summary lost, repeated, reordered or misdated",
        description="Both processes' own classes on made-up machines, weeks each: starts in "
        "1970, after 2038 or two weeks back, real-time clocks that lie, steps by hand, NTP that "
        "comes and goes, time zones, days without a broker. Exit code 1 when a summary was lost, "
        "repeated, reordered or misdated, or a day was longer than a day.",
    )
    parser.add_argument("--times", type=positive, default=50, metavar="N", help="default: 50")
    parser.add_argument("--days", type=float, default=20.0, help="of each; default: 20")
    parser.add_argument("--seed", type=int, help="of what the clocks do; default: drawn")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text; `passed` in the report is the verdict."""
    from tools.robustness.clock import run as clock

    with bar("machines", args.times) as tell:
        report = clock.run(args.times, args.seed, args.days, tell)
    return report, text(report)


def text(report: dict[str, Any]) -> str:
    """The report in a few lines."""
    steps = "".join(f"  {name:<32} {count:>5}\n" for name, count in report["steps"].items())
    timed = ", ".join(f"{count} {name}" for name, count in report["timed"].items())
    found = "".join(f"  {each}\n" for each in report["violations"][:10])
    return line(report["machine"]) + (
        f"{report['machines']} machines, {report['days']} days in {report['seconds'] / 60:.1f} "
        f"minutes, seed {report['seed']}; their clocks:\n{steps}"
        f"summaries: {report['released']} released, each sent, in order; time by: {timed}\n"
        f"receipts: {report['receipts']}\n{'passed' if report['passed'] else 'FAILED'}\n{found}"
    )
