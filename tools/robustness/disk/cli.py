"""`python -m tools.robustness disk`: its arguments and its report as text."""

from __future__ import annotations

import argparse
from typing import Any

from tools.common.command import positive
from tools.common.machine import line
from tools.common.progress import bar


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "disk",
        parents=[shared],
        help="a disk that is full, read-only or broken at each call: named, nothing lost, mended",
        description="Lets the first, second, third ... call on perceive's, uplink's and updater's "
        "files fail in every way (needs a C compiler), and tears the outbox's last page. Exit code "
        "1 when something was lost, came as a traceback, or did not recover by itself.",
    )
    parser.add_argument("--scenes", nargs="+", choices=("perceive", "uplink", "updater"))
    parser.add_argument(
        "--step", type=positive, default=1, metavar="N", help="only every N-th call; default: all"
    )


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text; `passed` in the report is the verdict. Raises `ToolError`."""
    from tools.robustness.disk import run as disk

    with bar("calls that fail", None) as tell:
        report = disk.run(tell, tuple(args.scenes or disk.SCENES), step=args.step)
    return report, text(report)


def text(report: dict[str, Any]) -> str:
    """The report as a table."""
    rows = "".join(
        f"{row['process']:<10} {row['trouble']:<26} {row['cases']:>6} {row['named']:>6} "
        f"{row['wrong']:>6}\n"
        for row in report["rows"]
    )
    found = "".join(f"  {each}\n" for each in report["violations"][:10])
    return line(report["machine"]) + (
        f"{'':<10} {'trouble':<26} {'cases':>6} {'said':>6} {'wrong':>6}\n{rows}"
        f"{report['cases']} calls failed in {report['seconds'] / 60:.1f} minutes; said: an error "
        f"or a log line named it\n{'passed' if report['passed'] else 'FAILED'}\n{found}"
    )
