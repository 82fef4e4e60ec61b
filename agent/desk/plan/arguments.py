"""What `fleeting plan` is given. Every start of `fleeting` reads this: it imports nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

QUESTION = ("rate", "visits", "difference", "share", "hours", "contents", "devices", "spread",
            "power", "level")  # fmt: skip
"""The arguments that say what is to be told."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """To the verb's parser."""
    parser.add_argument(
        "--visits", type=float, required=True, metavar="N",
        help="visits a day while a content is on show, for each content and device",
    )  # fmt: skip
    parser.add_argument(
        "--difference", type=float, required=True, metavar="D",
        help="of the two shares, to be told: 0.1 is ten points",
    )  # fmt: skip
    parser.add_argument(
        "--share", type=float, default=0.3, metavar="S",
        help="of the visits, with the first content (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--rate", default="attention", metavar="NAME",
        help="what is compared: attention, attention_5, happiness, stayed_15 … "
        "(default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--policy", metavar="NAME", help="instead of the configuration's")
    parser.add_argument(
        "--window", type=int, choices=(60, 300, 900, 3600), help="seconds; default: the policy's"
    )
    parser.add_argument("--epsilon", type=float, metavar="E", help="default: the policy's")
    parser.add_argument(
        "--contents", type=int, default=2, metavar="C",
        help="compared with one another, each pair (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--hours", type=float, metavar="H",
        help="a day that each content is on show, in whole windows (default: 10 for all together)",
    )  # fmt: skip
    parser.add_argument(
        "--devices", type=int, default=1, metavar="N", help="that show the same (default: 1)"
    )
    parser.add_argument(
        "--spread", type=float, default=1.0, metavar="X",
        help="variance of the share between days over that of independent visitors; people who "
        "come together look together: 1.5 to 3 (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--power", type=float, default=0.8, metavar="P",
                        help="probability to tell it (default: %(default)s)")  # fmt: skip
    parser.add_argument("--level", type=float, default=0.95, metavar="L",
                        help="of the interval (default: %(default)s)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.add_argument("--plot", type=Path, metavar="OUT.png", help="draw the power over days")
    parser.add_argument(
        "--simulate", type=int, default=0, metavar="TIMES",
        help="try it so often: made-up visitors through the device's own noise and release",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="of --simulate (default: 1)")
