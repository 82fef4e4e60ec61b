"""What `fleeting review` is given. Every start of `fleeting` reads this: it imports little."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.desk.coding.arguments import rate

ACTIONS = ("keys", "session", "withdraw", "import", "export", "agreement", "log")
FORMATS = ("openface", "elan", "boris", "bids", "csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """To the verb's parser."""
    parser.add_argument(
        "what", metavar="FOLDER|ACTION",
        help=f"a study's folder to look at; or one of {', '.join(ACTIONS)} (a folder of that name: "
        "./keys)",
    )  # fmt: skip
    parser.add_argument(
        "rest", nargs="*", metavar="ARGUMENT",
        help="withdraw: the code and, not on the device, folders; import: from where, to where; "
        "export, agreement, log: the folder",
    )  # fmt: skip
    look = parser.add_argument_group("to look at a study")
    look.add_argument("--rater", metavar="NAME", help="who answers; small letters and digits")
    look.add_argument(
        "--blind", action="store_true",
        help="hide the program's score and units of a movement until it is answered",
    )  # fmt: skip
    look.add_argument("--key", type=Path, metavar="FILE", help="the private key; for traces")
    look.add_argument("--passphrase-file", type=Path, metavar="FILE", help="its first line is it")
    look.add_argument("--fps", type=rate, metavar="X", help="of tables that count in frames")
    look.add_argument("--port", type=int, default=0, help="on 127.0.0.1 (default: a free one)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="keys, export: where to")
    parser.add_argument("--format", choices=FORMATS, help="export: of what kind")
    parser.add_argument("--raters", metavar="A,B", help="agreement: which two")
    parser.add_argument("--verify", action="store_true", help="log: check its chain")
    parser.add_argument("--head", metavar="HASH", help="log: what its last line is known to be")
    parser.add_argument(
        "--minutes", type=int, default=60, metavar="N",
        help="session: that it lasts, 1 to 480 (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--end", action="store_true", help="session: end the open one")
    parser.add_argument("--json", action="store_true", help="print what came of it as JSON")
