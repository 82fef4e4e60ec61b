"""`python -m tools.bench soak`: its arguments and its table."""

from __future__ import annotations

import argparse
from typing import Any

from tools.common.machine import line
from tools.common.progress import bar
from tools.common.tables import columns, text

_TITLES = {
    "frames": "every frame: the clip over and over at full speed, up to 24 h of frames at 30 fps, "
    "in windows of a minute, fifteen times a site's; slopes for 24 h of frames",
    "camera": "a camera at 30 fps, by the wall clock, in windows of a minute; slopes for 24 h, "
    "extrapolated",
    "day": "a day's windows: 15 minutes each, a visit in each; slopes for 24 h of media time",
    "week": "without a broker: 15-minute windows, a visit in each; slopes for a day of media time",
}


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "soak",
        parents=[shared],
        help="what both processes hold over a day of frames, or a week without a broker",
        description="Runs the real processes with a Mosquitto and a subscriber, and prints the "
        "slope of memory, descriptors, threads and outbox with a 95 % interval; how much they grew "
        "in the first 15 minutes, or third of the run, stands apart as settling. A slope is flat "
        "where its interval lies below the bound and reaches 0, in bounds where it lies between, "
        "GROWS where it lies above 0 even at 99.8 %, is not in bounds, and was not only some "
        "hundred kilobytes in this run ('suspected'); 'none seen': the run was too short to say "
        "more. Exit code 1 where something grows, is left over, or a summary did "
        "not arrive once, in order.",
    )
    parser.add_argument(
        "--hours", type=float, metavar="N", help="of media time; default: 24, with --week 168"
    )
    parser.add_argument(
        "--minutes", type=float, default=10.0, metavar="N",
        help="of every frame at full speed, at most, and of a camera; default: 10",
    )  # fmt: skip
    parser.add_argument(
        "--frames", type=int, metavar="N",
        help="pictures in each window of media time; default: 150, with --week 60",
    )  # fmt: skip
    parser.add_argument(
        "--interval", type=float, default=2.0, metavar="S", help="between samples; default: 2 s"
    )
    parser.add_argument("--week", action="store_true", help="a week without a broker instead")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text; `passed` in the report is the verdict. Raises `ToolError`."""
    from tools.bench.soak import run as soak

    options = soak.Options(
        hours=args.hours or (168.0 if args.week else 24.0),
        minutes=args.minutes,
        frames=args.frames or (60 if args.week else 150),
        interval=args.interval,
    )
    with bar("soak", None) as tell:
        report = (soak.week if args.week else soak.run)(options, tell)
    return report, soak_text(report)


def soak_text(report: dict[str, Any]) -> str:
    """The report: a table and some lines for each phase."""
    parts = [line(report["machine"])]
    for phase in report["phases"]:
        table = columns(
            "for a day", "of", "level", "settling", "slope", "95 % interval", "bound", "verdict",
            words=("of", "verdict"),
        )  # fmt: skip
        for row in phase["rows"]:
            ends = "-" if row["low"] is None else f"{row['low']:+.2f} .. {row['high']:+.2f}"
            before = "-" if row["settling"] is None else f"{row['settling']:+.2f}"
            table.add_row(
                row["what"], row["of"], f"{row['level']:.1f}", before, f"{row['slope']:+.3f}", ends,
                f"{row['bound']:g}", row["verdict"],
            )  # fmt: skip
        came = phase["came"]
        last, most = phase["memory_mb"]
        lines = [
            f"{phase['frames']} frames in {phase['seconds']} s, {phase['samples']} samples, "
            f"{phase['settling_s']} s of settling; {phase['ms_per_frame']:g} ms of processor time "
            "a frame",
            f"all processes, libraries once: {last:g} MB at the end, at most {most:g} MB (sum of "
            f"PSS: {phase['pss_mb']:g} MB); the design's figure is "
            f"{report['most_mb']:g} MB: " + ("kept" if most <= report["most_mb"] else "EXCEEDED"),
            f"summaries: {came['released']} released, {came['arrived']} arrived, "
            f"{came['repeated']} more than once, {came['disordered']} out of order, "
            f"{came['other']} altered; processes left over: {phase['other_processes']}",
        ]
        if phase["phase"] == "frames":
            lines[0] += f"; {phase['hours_of_frames']:g} h of frames at 30 fps"
        if "waiting" in phase:
            kept = phase["kept_days"]
            used = phase["used_mib"]
            lines += [
                f"{report['hours'] / 24:g} days without a broker: {phase['waiting']} summaries "
                f"waited, {phase['others']} other messages, {phase['bytes']} bytes; dropped: "
                f"{phase['trimmed']}",
                f"kept before the oldest is dropped: {kept['age']} days by age, {kept['rows']} by "
                f"rows, {kept['bytes']} by bytes",
                f"then the broker came: everything had arrived after {phase['took']:g} s, "
                f"{phase['left']} messages left; of the file {used[0]:g} MiB were in use, "
                f"{used[1]:g} after",
            ]
        title = _TITLES[phase["phase"]]
        parts.append(f"\n{title}\n" + text(table) + "\n".join(lines) + "\n")
    return "".join(parts) + ("passed\n" if report["passed"] else "FAILED\n")
