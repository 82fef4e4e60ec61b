"""`python -m tools.robustness flood`: its arguments and its report as text."""

from __future__ import annotations

import argparse
from typing import Any

from tools.common.command import positive
from tools.common.machine import line


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "flood",
        parents=[shared],
        help="everything a taken-over perceive can write: no more than the printed day arrives",
        description="Writes valid summaries, events, forged receipts, births and vitals into the "
        "outbox of a real uplink as fast as it can, kills the uplink, deletes and replaces the "
        "outbox, and compares what arrives at a real Mosquitto with what `python -m "
        "tools.capacity` prints. Exit code 1 when more arrived.",
    )
    parser.add_argument(
        "--rows", type=positive, default=3000, metavar="N", help="of each wave; default: 3000"
    )
    parser.add_argument("--seed", type=int, default=1, help="default: 1")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text; `passed` in the report is the verdict. Raises `ToolError`."""
    from tools.robustness.flood import run as flood

    report = flood.run(args.rows, args.seed)
    return report, text(report)


def text(report: dict[str, Any]) -> str:
    """The report as a table."""
    lines = [
        f"{report['written']} rows and {report['births']} births in {report['seconds']:.0f} s, "
        f"seed {report['seed']}; waves: {', '.join(report['waves'])}",
        f"{'':<16}{'arrived':>9}{'a day':>9}{'free, bytes':>13}{'of':>9}",
    ]
    for kind, each in report["kinds"].items():
        lines.append(
            f"{kind:<16}{each['arrived']:>9}{each['a_day']:>9}{each['bytes']:>13}"
            f"{each['bytes_a_day']:>9}"
        )
    lines.append(
        f"{'all together':<16}{'':>18}{report['bytes']:>13}{report['bytes_a_day']:>9}\n"
        f"sent twice on reconnection, byte for byte: {report['repeated']}"
    )
    lines += [f"PROBLEM: {each}" for each in report["problems"]]
    lines.append("passed" if report["passed"] else "FAILED")
    return line(report["machine"]) + "\n".join(lines) + "\n"
