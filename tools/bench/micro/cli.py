"""`python -m tools.bench micro`: its arguments."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tools.common.command import positive
from tools.common.errors import ToolError


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "micro",
        parents=[shared],
        help="micro-expression spotting on synthetic tracks, beside the classic rules",
        description="Synthetic landmark tracks with known micro-expressions: F1 against noise, "
        "frame rate and distractors, false alarms, latency, cost. With --truth: your own tracks.",
    )
    parser.add_argument("--quick", action="store_true", help="8 tracks, the most telling lines")
    parser.add_argument("--tracks", type=positive, metavar="N", help="per line; default: 40")
    parser.add_argument("--no-peers", action="store_true", help="ours alone")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE.npz",
        help="of the spotter's network; default: shipped",
    )
    parser.add_argument("--picture", type=Path, metavar="OUT.png", help="the chart")
    parser.add_argument(
        "--workers", type=positive, default=2, metavar="N", help="processes; default: 2"
    )
    parser.add_argument(
        "--truth",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="EVENTS.csv TRACK.npz...: columns track,onset,apex,offset[,kind] in seconds; tracks "
        "as `fleeting spot` reads them",
    )


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text. Raises `AgentError`."""
    if args.truth:
        from tools.bench.micro.truth import measure_truth, truth_text

        if args.picture or args.quick or args.tracks:
            raise ToolError("--truth scores the tracks given; leave the other options out.")
        truth, *files = args.truth
        if not files:
            raise ToolError("--truth needs EVENTS.csv and after it at least one TRACK.npz.")
        report = measure_truth(truth, files, not args.no_peers, args.weights)
        return report, truth_text(report)

    from tools.bench.micro.measure import Options, measure
    from tools.bench.micro.tables import micro_text

    report = measure(
        Options(args.tracks, args.quick, not args.no_peers, args.workers, args.weights)
    )
    if args.picture:
        from tools.bench.micro.picture import draw

        draw(report, args.picture)
    return report, micro_text(report)
