"""What `fleeting convert` is given. Every start of `fleeting` reads this: it imports nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

EVENT_FILES = ".eaf (ELAN), .boris (BORIS), .tsv (BIDS) or .csv"


def rate(text: str) -> float:
    """Frames in a second. Raises `ArgumentTypeError`."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0.001 <= found <= 10_000.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0.001 to 10,000")
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """To the verb's parser."""
    parser.add_argument("source", type=Path, metavar="IN")
    parser.add_argument("target", type=Path, metavar="OUT", help=EVENT_FILES)
    parser.add_argument("--fps", type=rate, metavar="X", help="of a table that counts in frames")
    parser.add_argument("--film", default="", help="name of the video that was coded")
    parser.add_argument("--json", action="store_true", help="print what was converted as JSON")


def add_export(parser: argparse.ArgumentParser) -> None:
    """To the parser of a verb that finds micro-expressions."""
    parser.add_argument(
        "--export",
        type=Path,
        metavar="OUT",
        help=f"the micro-expressions as coded events: {EVENT_FILES}",
    )
