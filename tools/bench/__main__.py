"""`python -m tools.bench WHAT`: pipeline, models, micro, micro-images, steady, crash, fuzz."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from agent.base.errors import AgentError
from tools.bench import crash_cli, fuzz_cli, micro_images_cli, steady_cli
from tools.bench.errors import BenchError
from tools.bench.machine import slug, words_of
from tools.bench.micro import cli as micro_cli

REFERENCE = Path(__file__).resolve().parent / "reference"


def main(argv: list[str] | None = None) -> int:
    """Measure, print, perhaps store. Returns the exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    args = _parser().parse_args(given)
    try:
        report, text = _RUN[args.what](args)
        if args.save:
            what = "stages" if getattr(args, "stages", False) else args.what
            _store(what, given, report, text)
    except AgentError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("bench: stopped; nothing was measured", file=sys.stderr)
        return 130
    print(text, end="")
    if args.json:
        print(json.dumps(report))
    return 0 if report.get("passed", True) else 1


def _pipeline(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from tools.bench.pipeline import Options, measure
    from tools.bench.tables import pipeline_text, stages_text

    if args.stages:
        from tools.bench import stages

        if not args.video.exists():
            raise BenchError(f"{args.video} does not exist. Check the path.")
        report = stages.measure(args.video, args.frames, args.size, args.fps)
        return report, stages_text(report)
    report = measure(
        Options(
            video=args.video,
            frames=args.frames,
            size=args.size,
            fps=args.fps,
            peer=bool(args.peer or args.peer_python or args.peer_model or args.peer_networks),
            python=args.peer_python,
            task=args.peer_model,
            networks=args.peer_networks,
        )
    )
    return report, pipeline_text(report)


def _models(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from tools.bench.models import measure
    from tools.bench.tables import models_text

    report = measure(args.models, args.runs)
    return report, models_text(report)


def _micro_images(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    return micro_images_cli.run(args)


_RUN = {
    "pipeline": _pipeline,
    "models": _models,
    "micro-images": _micro_images,
    "micro": micro_cli.run,
    "steady": steady_cli.run,
    "crash": crash_cli.run,
    "fuzz": fuzz_cli.run,
}


def _store(what: str, given: list[str], report: dict[str, Any], text: str) -> None:
    """`reference/<board>-<what>-<peer>.md`: the command, the table, and the line of JSON."""
    words = [_public(word) for word in given if word != "--save"]
    command = shlex.join(["python", "-m", "tools.bench", *words])
    REFERENCE.mkdir(exist_ok=True)
    peer = words_of(report["peer"].partition(",")[0]) if report.get("peer") else ""
    target = REFERENCE / f"{'-'.join(filter(None, (slug(report['machine']), what, peer)))}.md"
    half = target.with_suffix(".part")
    half.write_text(
        f"# {report['machine']['name']}: {what}\n\n    {command}\n\n```\n{text}```\n\n"
        f"```json\n{json.dumps(report)}\n```\n",
        encoding="utf-8",
    )
    half.replace(target)
    print(f"bench: stored {target}", file=sys.stderr)


def _public(word: str) -> str:
    """Where things lie on this machine concerns nobody."""
    path = Path(word)
    if not path.is_absolute():
        return word
    return "FOLDER" if path.is_dir() else f"FILE{path.suffix}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="end with one line of JSON")
    shared.add_argument("--save", action="store_true", help="store under tools/bench/reference")
    what = parser.add_subparsers(dest="what", required=True)

    pipeline = what.add_parser(
        "pipeline", parents=[shared], help="the whole pipeline, perhaps beside a peer"
    )
    pipeline.add_argument("--video", type=Path, required=True, help="what both look at")
    pipeline.add_argument(
        "--frames", type=_positive, default=300, help="how many; a shorter video repeats"
    )
    pipeline.add_argument(
        "--size", type=_size, metavar="WxH", help="scale to fit this size (default: the video's)"
    )
    pipeline.add_argument(
        "--fps", type=float, help="frame rate to pretend (default: the video's own)"
    )
    pipeline.add_argument(
        "--stages", action="store_true", help="time each step of ours instead; no peer"
    )
    pipeline.add_argument("--peer", choices=("mediapipe",), help="compare with it")
    pipeline.add_argument(
        "--peer-python",
        type=Path,
        metavar="PATH",
        help="interpreter that has the peer (default: this one, else one made in runs/peer)",
    )
    task = pipeline.add_mutually_exclusive_group()
    task.add_argument(
        "--peer-model",
        type=Path,
        metavar="FILE.task",
        help="FaceLandmarker's bundle; without it the peer is Face Mesh",
    )
    task.add_argument(
        "--peer-networks",
        "--peer-teachers",
        type=Path,
        metavar="FOLDER",
        help="folder with face_detection_short_range, face_landmarks_detector and "
        "face_blendshapes (.tflite), from which that bundle is put together",
    )

    models = what.add_parser("models", parents=[shared], help="each model alone")
    models.add_argument("--models", type=Path, metavar="FOLDER", help="default: the package's own")
    models.add_argument("--runs", type=_positive, default=500, help="calls per model")
    micro_images_cli.add(what, shared)
    micro_cli.add(what, shared)
    steady_cli.add(what, shared)
    crash_cli.add(what, shared)
    fuzz_cli.add(what, shared)
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.partition("x")
    if not (cross and width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise argparse.ArgumentTypeError("give it as 640x480")
    return int(width), int(height)


if __name__ == "__main__":
    raise SystemExit(main())
