"""`python -m tools.bench pipeline`: its arguments."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tools.common.command import positive
from tools.common.errors import ToolError


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "pipeline", parents=[shared], help="the whole pipeline, perhaps beside a peer"
    )
    parser.add_argument("--video", type=Path, required=True, help="what both look at")
    parser.add_argument(
        "--frames", type=positive, default=300, help="how many; a shorter video repeats"
    )
    parser.add_argument(
        "--size", type=_size, metavar="WxH", help="scale to fit this size (default: the video's)"
    )
    parser.add_argument(
        "--fps", type=float, help="frame rate to pretend (default: the video's own)"
    )
    parser.add_argument(
        "--stages", action="store_true", help="time each step of ours instead; no peer"
    )
    parser.add_argument("--peer", choices=("mediapipe",), help="compare with it")
    parser.add_argument(
        "--peer-python",
        type=Path,
        metavar="PATH",
        help="interpreter that has the peer (default: this one, else one made in runs/peer)",
    )
    task = parser.add_mutually_exclusive_group()
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


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text. Raises `AgentError`."""
    from tools.bench.pipeline.measure import Options, measure
    from tools.bench.pipeline.tables import pipeline_text, stages_text

    if args.stages:
        from tools.bench.pipeline import stages

        if not args.video.exists():
            raise ToolError(f"{args.video} does not exist. Check the path.")
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


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.partition("x")
    if not (cross and width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise argparse.ArgumentTypeError("give it as 640x480")
    return int(width), int(height)
