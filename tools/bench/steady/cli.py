"""`python -m tools.bench steady`: its arguments and its table."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tools.common.machine import line
from tools.common.tables import columns, text


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "steady",
        parents=[shared],
        help="landmark noise, lag, drift and cost of the stabiliser",
        description="Photographs come from the research packs where they are ($FLEETING_PACKS), "
        "else from the bundled clip.",
    )
    parser.add_argument(
        "--videos", type=Path, metavar="PATH", help="a video or a folder (default: bundled clip)"
    )
    parser.add_argument("--faces", type=int, default=6, metavar="N", help="default: 6")
    parser.add_argument("--seconds", type=float, default=60.0, help="of drift; default: 60")
    parser.add_argument("--seed", type=int, default=1)


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text. Raises `ToolError`."""
    from tools.bench.steady.measure import Options, measure

    report = measure(
        Options(videos=args.videos, faces=args.faces, seconds=args.seconds, seed=args.seed)
    )
    return report, steady_text(report)


def steady_text(report: dict[str, Any]) -> str:
    """The report in four tables and two lines."""
    head = line(report["machine"])
    head += "noise: median |second difference| of the rigid points, % of the outer eye distance\n"
    films = columns(
        "video", "frames", "IOD", "network", "stabilised", "stillest s", "in the head", "restarts"
    )
    for row in report["videos"]:
        films.add_row(
            row["video"], str(row["frames"]), f"{row['iod']:.0f}",
            *(f"{row[key]:.3f}" for key in ("network", "stabilised", "stillest_second")),
            f"{row['network_in_head']:.3f} > {row['stabilised_in_head']:.3f}",
            str(row["restarts"]),
        )  # fmt: skip
    still = columns("still face", "sensor noise", "network", "stabilised", "as white", "all points")
    for row in report["still"]:
        figures = ("network", "stabilised", "stabilised_white", "all_points")
        still.add_row(
            f"IOD {row['iod']:.0f} px, {row['faces']} faces", f"{row['sigma']:g}",
            *(f"{row[key]:.3f}" for key in figures),
        )  # fmt: skip
    quick = columns("moved for 200 ms", "movements", "lag, frames", "worst", "amplitude", "least")
    for row in report["movement"]:
        quick.add_row(
            f"IOD {row['iod']:.0f} px, {100 * row['amplitude']:g} %",
            str(row["movements"]),
            f"{row['lag_frames']:+.2f}",
            f"{row['lag_frames_worst']:.2f}",
            f"{row['share']:.0%}",
            f"{row['share_least']:.0%}",
        )
    drift = report["drift"]
    foot = f"drift over {drift['seconds']:g} s, {drift['faces']} swaying faces: "
    foot += f"{drift['from_network']:.2f} % from the network's mean "
    foot += f"({drift['from_network_last_10_s']:.2f} % in the last 10 s), "
    foot += f"wander about the truth {drift['wander']:.2f} %\n"
    foot += f"stabiliser {report['cost']['us_per_face_and_frame']:.0f} us per face and frame\n"
    return head + text(films, still, quick) + foot
