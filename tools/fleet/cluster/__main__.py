"""`python -m tools.fleet.cluster`: what a RabbitMQ cluster loses when its nodes are killed."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from agent.base.errors import AgentError
from tools.common.command import positive, store
from tools.common.files import ROOT
from tools.common.machine import line, machine
from tools.fleet.cluster import root
from tools.fleet.cluster.nodes import Cluster
from tools.fleet.cluster.run import run, table
from tools.fleet.simulate.limits import SPARE, allow_open_files

REFERENCE = ROOT / "tools" / "fleet" / "reference"
CACHE = Path("/var/cache/fleeting/rabbitmq")
"""Where Debian with RabbitMQ lies unless the command line says so."""


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 1 where anything was lost, doubled or altered."""
    given = sys.argv[1:] if argv is None else argv
    args = _parser().parse_args(given)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(args, given)
    except AgentError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _run(args: argparse.Namespace, given: list[str]) -> int:
    here = machine()
    allow_open_files(args.devices + 1024 + SPARE, "RabbitMQ")
    if not root.is_made(args.root):
        print(f"cluster: making {args.root}, 400 MB, some minutes", file=sys.stderr)
    place = root.make(args.root)
    with tempfile.TemporaryDirectory(prefix="fleeting-cluster-") as folder:
        Path(folder).chmod(0o711)
        with Cluster(place, Path(folder)) as cluster:
            result = run(
                cluster, Path(folder), devices=args.devices, interval=args.interval,
                seconds=60 * args.minutes,
            )  # fmt: skip
    shown = f"{line(here)}RabbitMQ {root.version(place)}, three nodes\n{table(result)}"
    print(shown, end="")
    report = {"machine": here, "rabbitmq": root.version(place), **result.as_dict()}
    if args.save:
        title = f"{here['name']}: RabbitMQ"
        store(REFERENCE / "rabbitmq.md", title, "tools.fleet.cluster", given, shown, report)
    if args.json:
        print(json.dumps(report))
    return 0 if result.passed else 1


def _parser() -> argparse.ArgumentParser:
    given = argparse.ArgumentParser(prog="python -m tools.fleet.cluster", description=__doc__)
    given.add_argument("--root", type=Path, default=CACHE, metavar="FOLDER",
                       help=f"Debian {root.SUITE} with RabbitMQ, made if absent")  # fmt: skip
    given.add_argument("--devices", type=positive, default=300, metavar="N")
    given.add_argument("--interval", type=float, default=5.0, help="seconds between summaries")
    given.add_argument("--minutes", type=float, default=3.0)
    given.add_argument("--json", action="store_true", help="end with one line of JSON")
    given.add_argument("--save", action="store_true", help="store under tools/fleet/reference")
    return given


if __name__ == "__main__":
    raise SystemExit(main())
