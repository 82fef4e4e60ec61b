"""What `fleeting aim` is given. Every start of `fleeting` reads this: it imports nothing."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """To the verb's parser."""
    parser.add_argument("video", type=Path, nargs="?", help="a film in place of the camera")
    parser.add_argument("--seconds", type=float, metavar="S", help="end after so many seconds")
    parser.add_argument("--json", action="store_true", help="print the score as JSON at the end")
