"""`python -m tools.fleet.console`: bench measures the list of devices, tour shows everything."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from agent.base.errors import AgentError


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code."""
    given = argparse.ArgumentParser(prog="python -m tools.fleet.console", description=__doc__)
    acts = given.add_subparsers(dest="act", required=True, metavar="ACT")
    bench = acts.add_parser("bench", help="server time of the list of devices")
    bench.add_argument("--devices", type=int, default=10_000, metavar="N")
    bench.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    bench.add_argument("--times", type=int, default=40, metavar="N", help="of each page")
    bench.add_argument("--json", action="store_true", help="one line of JSON")
    tour = acts.add_parser("tour", help="a newcomer's five minutes with a real agent, in Chromium")
    tour.add_argument("--out", type=Path, metavar="FOLDER", help="for screenshots")
    tour.add_argument("--chromium", default="/usr/bin/chromium", metavar="FILE")
    args = given.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if args.act == "bench":
            from tools.fleet.console.bench import run

            run(args.devices, args.store, args.times, as_json=args.json)
        else:
            from tools.fleet.console.tour import tour as go

            go(args.out, args.chromium)
    except AgentError as error:
        print(f"console: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
