"""What `fleeting notice` is given. Every start of `fleeting` reads this: it imports nothing."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """To the verb's parser."""
    parser.add_argument("--out", type=Path, default=Path("fleeting-notice"), metavar="FOLDER")
    parser.add_argument("--language", choices=("en", "de", "fr", "es"))
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")
