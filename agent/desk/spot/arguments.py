"""What `fleeting spot` is given. Every start of `fleeting` reads this: it imports nothing else."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.desk.coding.arguments import add_export, rate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """To the verb's parser."""
    parser.add_argument(
        "track",
        type=Path,
        metavar="TRACK",
        help=".npz: timestamps [T] in s, landmarks [T, 68, 2] in px, iBUG order, confidence [T]; "
        ".csv: of OpenFace 2 or py-feat",
    )
    add_export(parser)
    parser.add_argument("--fps", type=rate, metavar="X", help="of a table that counts in frames")
    parser.add_argument("--face", metavar="ID", help="of a table with several")
    parser.add_argument("--json", action="store_true", help="one line per event, the last: counts")
    parser.add_argument("--render", type=Path, metavar="OUT.png", help="draw channels and events")
    parser.add_argument(
        "--threshold", type=float, metavar="X", help="instead of micro.threshold's default"
    )
