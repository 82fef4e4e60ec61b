"""What the verbs are given that are single modules of this room. Every start of `fleeting` reads
this: it imports nothing else."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.desk.coding.arguments import add_export


def add_demo(parser: argparse.ArgumentParser) -> None:
    """Of `fleeting demo`."""
    parser.add_argument("--plot", type=Path, default=Path("fleeting-demo.png"), metavar="OUT.png")
    parser.add_argument("--json", action="store_true", help="print what arrived as JSON")
    parser.add_argument(
        "--model-set",
        choices=("research", "clean"),
        default="research",
        help="clean: models trained only on sources whose terms allow any use",
    )


def add_replay(parser: argparse.ArgumentParser) -> None:
    """Of `fleeting replay`."""
    parser.add_argument("video", type=Path)
    parser.add_argument("--json", action="store_true", help="one summary per window, as published")
    parser.add_argument(
        "--events", action="store_true", help="with --json: also one line per micro-expression"
    )
    parser.add_argument(
        "--readings",
        action="store_true",
        help="with --json: also one line per tone of voice, and per reading of all channels",
    )
    parser.add_argument("--plot", type=Path, metavar="OUT.png", help="draw the timeline")
    parser.add_argument("--trace", type=Path, metavar="OUT.npz", help="write per-frame arrays")
    parser.add_argument(
        "--window", type=int, choices=(10, 60, 300, 900, 3600), help="seconds per summary"
    )
    add_export(parser)
    parser.add_argument(
        "--frames",
        type=Path,
        metavar="OUT.csv",
        help="a row per face and frame, as OpenFace 2 names",
    )
    parser.add_argument(
        "--landmarks", action="store_true", help="with --frames: also the landmarks, which identify"
    )


def add_listen(parser: argparse.ArgumentParser) -> None:
    """Of `fleeting listen`."""
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one line per stretch of speech")
    parser.add_argument("--plot", type=Path, metavar="OUT.png", help="draw the timeline")


def add_inspect(parser: argparse.ArgumentParser) -> None:
    """Of `fleeting inspect`."""
    parser.add_argument("paths", type=Path, nargs="+", metavar="IMAGE_OR_FOLDER")
    parser.add_argument("--json", action="store_true", help="one JSON line per picture")
    parser.add_argument("--crop", action="store_true", help="each picture is one cropped face")
    parser.add_argument(
        "--min-score",
        type=float,
        metavar="S",
        help="list every face whose score is at least S; by default only the certain ones",
    )


def add_check(parser: argparse.ArgumentParser) -> None:
    """Of `fleeting check`."""
    parser.add_argument("--json", action="store_true")
