"""What `fleeting update` is given. Every start of `fleeting` reads this: it imports nothing."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """To the verb's parser."""
    parser.add_argument(
        "action",
        choices=("run", "install", "status"),
        help="run: do what the fleet asks for, finish what was begun, then end; install: the "
        "newest release on a stick; status: what is in force",
    )
    parser.add_argument(
        "--media", type=Path, metavar="FOLDER", help="where the stick is (default: update.media)"
    )
    parser.add_argument("--json", action="store_true", help="with status: as JSON")
