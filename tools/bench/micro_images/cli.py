"""`python -m tools.bench micro-images`: its arguments."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tools.bench.micro_images.cases import Case
    from tools.bench.micro_images.measure import Outcome


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "micro-images",
        parents=[shared],
        help="micro-expressions injected into pictures, through the whole pipeline",
        description="Without --video: held-out photographs, clips and rendered faces of the "
        "research packs where they are ($FLEETING_PACKS), else the bundled clip's face.",
    )
    parser.add_argument("--video", type=Path, nargs="+", metavar="FILE", help="one face each")
    parser.add_argument("--enlarge", type=float, default=1.0, help="scale the videos' faces up")
    parser.add_argument(
        "--noise", type=float, default=1.0, help="sensor noise for --video, grey levels"
    )
    parser.add_argument(
        "--teacher", type=Path, metavar="FILE.tflite", help="FaceMesh v2, to locate the landmarks"
    )
    parser.add_argument("--bundled", action="store_true", help="the bundled clip's face anyway")
    parser.add_argument("--photographs", type=int, default=12, metavar="N", help="default: 12")
    parser.add_argument(
        "--training-part", action="store_true", help="photographs to learn noise from"
    )
    parser.add_argument("--clips", type=int, default=5, metavar="N", help="default: all 5")
    parser.add_argument(
        "--rendered", type=int, default=1, metavar="N", help="slow, a minute each; default: 1"
    )
    parser.add_argument("--seconds", type=float, default=40.0, help="per video; default: 40")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--amplitudes",
        type=float,
        nargs="+",
        default=[0.02, 0.03, 0.04],
        metavar="A",
        help="largest displacement, inter-ocular distances; default: .02 .03 .04",
    )
    parser.add_argument(
        "--replay",
        choices=("lossless", "mjpeg", "mpeg4"),
        help="through a video file and `fleeting replay --trace`: lossless gives the same figures "
        "as without, the others what compression costs",
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE.toml", help="the agent's configuration"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep tracks and truth as npz")
    parser.add_argument("--still", action="store_true", help="inject nothing: false alarms alone")
    parser.add_argument(
        "--speaking", action="store_true", help="as if a microphone heard speech throughout"
    )
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="a contact sheet")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text. Raises `ToolError`."""
    from tools.bench.micro_images.measure import Options, measure
    from tools.bench.micro_images.tables import draw, images_text
    from tools.common.errors import ToolError

    if args.speaking and args.replay:
        raise ToolError("A video has no microphone: give --speaking or --replay.")
    cases, said = _cases(args)
    print(f"bench: {said}", file=sys.stderr)
    options = Options(
        seconds=args.seconds,
        amplitudes=tuple(args.amplitudes),
        seed=args.seed,
        codec=args.replay,
        config=args.config,
        keep=args.keep,
        still=args.still,
        speech=1.0 if args.speaking else None,
    )
    report, outcomes = measure(cases, options, _progress)
    report["faces"] = said
    if args.picture:
        draw(outcomes, args.picture)
    return report, f"{said}\n{images_text(report)}"


def _cases(args: argparse.Namespace) -> tuple[list[Case], str]:
    """The faces, and in words what they are."""
    from tools.bench.micro_images.cases import HELD_OUT, TRAINING, bundled, packs, videos

    if args.video:
        by = "FaceMesh v2" if args.teacher else "this agent's own landmarks"
        cases = videos(args.video, args.enlarge, args.noise, args.teacher)
        return cases, f"{len(cases)} videos of yours, movements placed by {by}"
    if not args.bundled and _packs_there():
        part = TRAINING if args.training_part else HELD_OUT
        cases = packs(args.photographs, args.clips, args.rendered, args.seed, part)
        if args.training_part:
            return cases, "photographs of the training part of the research packs"
        return cases, "held-out photographs, clips and rendered faces of the research packs"
    count = max(args.photographs, 1)
    return bundled(count), (
        "one photographed face, of the bundled clip (the research packs are not used): "
        "movements placed by this agent's own landmarks"
    )


def _packs_there() -> bool:
    from tools.common.packs import packs_folder

    try:
        return packs_folder().is_dir()
    except SystemExit:
        return False


def _progress(outcome: Outcome, seconds: float) -> None:
    print(
        f"bench: {outcome.case.source.name}: {len(outcome.hits)} of {len(outcome.injected)} found, "
        f"{len(outcome.still.events)} where nothing was injected ({seconds:.0f} s)",
        file=sys.stderr,
        flush=True,
    )
