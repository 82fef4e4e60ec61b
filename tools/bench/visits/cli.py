"""`python -m tools.bench visits`: its arguments and its table."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tools.common.machine import line
from tools.common.tables import columns, text


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "visits",
        parents=[shared],
        help="stays against visits, in scripted videos",
        description="Faces of the bundled clip in its empty room, through the whole agent.",
    )
    parser.add_argument("--videos", type=Path, metavar="FOLDER", help="also its one-face .mkv")
    parser.add_argument("--rendered", action="store_true", help="also rendered faces (data packs)")
    parser.add_argument("--crossing", action="store_true", help="only paths that cross")
    parser.add_argument("--only", default="", metavar="WORDS", help="cases whose name has them")
    parser.add_argument("--gap", type=float, metavar="SECONDS", help="visit_gap; default: ours")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text. Raises `ToolError`."""
    from tools.bench.visits.cases import cases
    from tools.bench.visits.crossing import crossing
    from tools.bench.visits.measure import measure

    scripted = [*([] if args.crossing else cases(args.videos)), *crossing()]
    if args.rendered:
        from tools.bench.visits.turning import turning

        scripted += turning()
    chosen = [case for case in scripted if args.only in case.name]
    report = measure(chosen, args.gap, with_queue=not (args.only or args.crossing))
    return report, visits_text(report)


def visits_text(report: dict[str, Any]) -> str:
    """The report as a table."""
    table = columns(
        "case", "stays", "visits", "passers", "passing", "tracks", "micro", "", words=("",)
    )
    for row in report["cases"]:
        wrong = [f"expected {row['expected']}"] if row["visits"] != row["expected"] else []
        if row["passing"] != row["passers_expected"]:
            wrong.append(f"{row['passers_expected']} passers-by expected")
        if row["micro"] is not None and row["micro"] > row["micro_expected"]:
            wrong.append(f"{row['micro_expected']} micro-expressions expected")
        table.add_row(
            row["case"], str(row["stays"]), str(row["visits"]), str(row["passers"]),
            str(row["passing"]), str(row["tracks"]),
            "" if row["micro"] is None else str(row["micro"]),
            ", ".join(wrong) or row["note"],
        )  # fmt: skip
    head = line(report["machine"]) + f"visit_gap {report['visit_gap']:g} s\n"
    tables = [table]
    if report["queue"] is not None:
        gaps = [f"{gap:g} s" for gap in report["queue"]["gaps"]]
        people = report["queue"]["rows"][0]["people"]
        tables.append(columns(f"visits of a queue of {people}, by visit_gap", *gaps))
        for row in report["queue"]["rows"]:
            tables[-1].add_row(row["way"], *map(str, row["visits"]))
    foot = (
        f"{report['stays']} stays, {report['visits']} visits; {report['passers']} passers-by, "
        f"{report['passing']} counted; {report['seconds']} s\n"
    )
    return head + text(*tables) + foot
