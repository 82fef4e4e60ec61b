"""What `fleeting enrol` is given. Every start of `fleeting` reads this: it imports nothing."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """To the verb's parser."""
    parser.add_argument(
        "bundle", type=Path, nargs="?", metavar="BUNDLE", help="as the operator gave it; once"
    )
    parser.add_argument(
        "--renew", action="store_true", help="the next certificate, if two thirds are over"
    )
    parser.add_argument(
        "--early",
        action="store_true",
        help="with --renew: now, which the fleet grants from the half on",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("/var/lib/fleeting-enrol"),
        metavar="FOLDER",
        help="where key and certificate lie (default: /var/lib/fleeting-enrol)",
    )
    parser.add_argument(
        "--wait",
        type=float,
        metavar="SECONDS",
        help="for approval; then exit 75, to be run again (default: for ever; --renew: 120)",
    )
    parser.add_argument("--json", action="store_true")
