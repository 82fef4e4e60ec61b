"""`python -m tools.fleet.simulate`: a fleet of simulated devices."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from agent.base.errors import AgentError
from tools.common.command import positive
from tools.common.errors import ToolError
from tools.fleet.simulate import compare, faults, jobs, run, scale
from tools.fleet.simulate.bodies import Software
from tools.fleet.simulate.world import Plan, resolve


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code."""
    given = sys.argv[1:] if argv is None else argv
    args = parser().parse_args(given)
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell has it ignored
        signal.signal(number, signal.default_int_handler)
    try:
        return int(args.run(args, given))
    except AgentError as error:
        print(f"simulate: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """Of all subcommands; without one devices are simulated."""
    whole = argparse.ArgumentParser(
        prog="python -m tools.fleet.simulate", description="A fleet of simulated devices."
    )
    whole.add_argument("--json", action="store_true", help="end with one line of JSON")
    whole.add_argument("--processes", type=positive, metavar="N", help="default: by cores")
    add_plan(whole)
    whole.set_defaults(run=_simulate)
    verbs = whole.add_subparsers(metavar="SUBCOMMAND")
    measured = verbs.add_parser(
        "run-scale",
        help="a whole fleet's side here, parts of it killed on the way: is anything lost?",
    )
    add_plan(measured)
    scale.add(measured)
    measured.set_defaults(run=_scale)
    told = verbs.add_parser("compare", help="a --truth file with a database")
    told.add_argument("truth", type=Path, metavar="TRUTH")
    told.add_argument("url", metavar="URL", help="sqlite:///PATH or postgresql://…")
    told.add_argument("--json", action="store_true", help="end with one line of JSON")
    told.set_defaults(run=_compare)
    return whole


def add_plan(given: argparse.ArgumentParser) -> None:
    """The arguments that say what is simulated; see `plan_of`."""
    given.add_argument("--devices", type=positive, default=100, metavar="N")
    given.add_argument(
        "--broker", action="append", metavar="HOST:PORT",
        help="MQTT 5; several share the devices (default: localhost:1883)",
    )  # fmt: skip
    given.add_argument("--interval", type=_seconds, default=60.0, help="seconds between summaries")
    given.add_argument("--minutes", type=_seconds, default=10.0, help="how long windows are made")
    given.add_argument("--ramp", type=_seconds, help="seconds to connect all (default: 1 per 500)")
    given.add_argument("--drain", type=_seconds, default=60.0, metavar="SECONDS",
                       help="at the end, for what is not acknowledged")  # fmt: skip
    given.add_argument("--seed", type=int, default=1)
    given.add_argument("--fault", default="", metavar="NAME=SHARE,…", help=faults.help_text())
    given.add_argument("--jobs", default="", metavar="NAME=SHARE,…",
                       help="of jobs: rejected, failed, rolled_back")  # fmt: skip
    given.add_argument("--release", action="append", default=[], metavar="KIND-VERSION=REASON",
                       help="a bad one; with :SHARE on that share of devices; repeat")  # fmt: skip
    given.add_argument("--step", type=_seconds, default=1.0, help="seconds a step of a job takes")
    given.add_argument("--soak", type=_seconds, default=5.0, help="seconds an update is watched")
    given.add_argument("--app", default="0.9.0", metavar="X.Y.Z", help="version at the start")
    given.add_argument("--prefix", default="sim", help="of the devices' names")
    given.add_argument("--group", default="", help="whose defaults the devices follow")
    given.add_argument("--health", type=float, default=900.0, help="seconds; 0: none")
    given.add_argument("--truth", type=Path, metavar="FILE",
                       help="remember there what was made and acknowledged (SQLite)")  # fmt: skip
    given.add_argument("--tls", type=Path, metavar="FOLDER",
                       help="of the fleet: its authority signs their certificates")  # fmt: skip
    given.add_argument("--user", default="", metavar="NAME:PASSWORD", help="instead of that")


def plan_of(args: argparse.Namespace, truth: Path) -> Plan:
    """Raises `ToolError`."""
    user, _, password = args.user.partition(":")
    if args.prefix.strip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"):
        raise ToolError(f"--prefix {args.prefix!r}: letters, digits, - and _ only.")
    return Plan(
        brokers=tuple(resolve(each) for each in args.broker or ["localhost:1883"]),
        devices=args.devices,
        interval=args.interval,
        seconds=args.minutes * 60,
        ramp=args.devices / 500 if args.ramp is None else args.ramp,
        drain=args.drain,
        seed=args.seed,
        faults=faults.parse(args.fault),
        outcomes=jobs.parse_outcomes(args.jobs, args.release, args.step, args.soak),
        software=Software(args.app, args.app),
        truth=truth,
        prefix=args.prefix,
        group=args.group,
        health=args.health,
        tls=args.tls,
        credentials=(user, password) if user else None,
    )


def _scale(args: argparse.Namespace, given: list[str]) -> int:
    return scale.main(args, plan_of(args, Path()), given)


def _compare(args: argparse.Namespace, given: list[str]) -> int:
    found = compare.compare(args.truth, args.url)
    print(compare.table(found), end="")
    if args.json:
        print(json.dumps(found.as_dict()))
    return 0 if found.passed else 1


def _simulate(args: argparse.Namespace, given: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="fleeting-simulate-") as folder:
        plan = plan_of(args, args.truth or Path(folder, "truth.db"))
        outcome = run.simulate(plan, run.processes_for(plan.devices, args.processes))
    print(run.table(outcome), end="")
    if args.json:
        print(json.dumps(outcome.as_dict()))
    return 0 if not outcome.pending else 1


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e7:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value
