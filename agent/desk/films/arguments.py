"""What `fleeting report` is given. Every start of `fleeting` reads this: it imports nothing."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """To the verb's parser."""
    parser.add_argument(
        "paths", type=Path, nargs="+", metavar="FILM_OR_FOLDER",
        help="films by any name; in folders and below, those with a film's ending",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER",
        help="made where it is missing; what is done there and unchanged is not done again",
    )  # fmt: skip
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="films at once (default: one for each core)"
    )
    parser.add_argument(
        "--with-frames", action="store_true",
        help="also small grey stills at the highlights: the pages then show people",
    )  # fmt: skip
    parser.add_argument("--no-pdf", action="store_true", help="HTML and tables only")
    parser.add_argument("--json", action="store_true", help="one line per film, as it ends")
