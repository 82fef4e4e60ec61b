"""What `fleeting receipt` is given. Every start of `fleeting` reads this: it imports nothing."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """To the verb's parser."""
    parser.add_argument("action", choices=("verify",), help="check receipts, without a network")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="receipts, as sent")
    parser.add_argument("--key", metavar="HEX", help="the public key, from the device's meta")
    parser.add_argument(
        "--summaries",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="summaries that arrived, one per line: are they all, and unaltered?",
    )
    parser.add_argument(
        "--until",
        metavar="DAY",
        help="the chain must account for every day to the end of this one (UTC), as 2026-11-28",
    )
    parser.add_argument(
        "--meta",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="the device's meta messages: is this the chain it goes on with, to its end?",
    )
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")
