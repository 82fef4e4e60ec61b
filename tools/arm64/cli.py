"""`python -m tools.arm64`: its arguments."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from agent.base.errors import AgentError
from tools.arm64 import boot, emulator, image_trial, install, product, running, table
from tools.arm64.root import SUITES, Root
from tools.arm64.trial import Step, go, start
from tools.arm64.wear import DAY, measure
from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.common.machine import line, machine

FOLDER = ROOT / "runs" / "arm64"
STEPS: dict[str, Step] = {
    "packages": install.packages,
    "clone": install.clone,
    "environment": install.environment,
    "check": product.check,
    "models": product.models,
    "sandbox": product.sandbox,
    "units": install.units,
    "compile": product.compiled,
    "run": running.run,
    "processes": running.processes,
    "kernels": product.kernels,
    "microphone": install.microphone,
    "imports": product.imports,
    "image": image_trial.image,
    "kernel": boot.kernel,
    "demo": product.demo,
}
"""In order; each needs those of the README before it."""


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0 where nothing failed, 1 where something did."""
    parser = argparse.ArgumentParser(prog="python -m tools.arm64", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="of the roots (default: runs/arm64)"
    )
    parser.add_argument("--nice", type=int, default=10, help="of all that is run (default: 10)")
    verbs = parser.add_subparsers(dest="verb", required=True)
    trial = verbs.add_parser("try", help="run the README's Raspberry Pi commands, and the tests")
    trial.add_argument("suite", nargs="*", choices=tuple(SUITES), help="default: all")
    trial.add_argument("--only", nargs="+", default=[], choices=tuple(STEPS), metavar="STEP",
                       help=f"of {', '.join(STEPS)}")  # fmt: skip
    trial.add_argument("--again", action="store_true", help="also what has been tried already")
    trial.add_argument("--fresh", action="store_true", help="make the environment anew")
    trial.add_argument("--save", action="store_true", help="store under tools/arm64/reference")
    wear = verbs.add_parser("wear", help="bytes that the agent writes in a day; not emulated")
    wear.add_argument("--windows", type=int, default=30, metavar="N", help="default: 30, 5 minutes")
    shell = verbs.add_parser("shell", help="run a command in a root, for instance to look around")
    shell.add_argument("suite", choices=tuple(SUITES))
    shell.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    args = parser.parse_args(argv)
    # asked to end it still ends what it started
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if args.verb == "wear":
            return _wear(args.windows)
        with _entered(args.folder.resolve(), args.nice):
            if args.verb == "shell":
                return _shell(args)
            return _try(args)
    except AgentError as error:
        print(f"arm64: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("arm64: stopped; the same command goes on from here", file=sys.stderr)
        return 130


def _wear(windows: int) -> int:
    """Raises `ToolError`."""
    _as_root()
    found = measure(windows)
    print(
        f"{line(machine())}{found.windows} windows: {found.written / 1e6:.2f} MB in "
        f"{found.requests} requests; of {DAY} windows a day at most {found.a_day / 1e6:.1f} MB"
    )
    return 0


def _as_root() -> None:
    """Raises `ToolError` for anybody else."""
    if os.geteuid() != 0:
        raise ToolError(
            "This makes system roots and mounts: only root can. Run it with sudo, in a clone whose "
            "environment is made (sh tools/setup-venv)."
        )
    os.environ["PATH"] += ":/usr/sbin:/sbin"


@contextlib.contextmanager
def _entered(folder: Path, nice: int) -> Iterator[None]:
    """Emulation is there. Raises `ToolError`."""
    _as_root()
    os.nice(nice)
    folder.mkdir(parents=True, exist_ok=True)
    program = emulator.find(folder / "qemu")
    print(f"arm64: QEMU {emulator.version(program)[1]}, roots in {folder}", file=sys.stderr)
    with emulator.registered(program):
        yield


def _root(folder: Path, suite: str) -> Root:
    root = Root(folder, suite)
    print(f"arm64: {suite} (making it takes some five minutes)", file=sys.stderr)
    root.make()
    root.borrow()
    return root


def _shell(args: argparse.Namespace) -> int:
    root = _root(args.folder.resolve(), args.suite)
    words = args.words or ["/bin/sh"]
    return subprocess.run(root.command(words), check=False).returncode


def _try(args: argparse.Namespace) -> int:
    """Raises `ToolError`."""
    here = machine()
    failed = False
    for suite in args.suite or SUITES:
        trial = start(_root(args.folder.resolve(), suite), fresh=args.fresh)
        parts = go(trial, STEPS, args.only, again=args.again)
        text = table.report(suite, trial.state.commit, here, trial.facts, parts, STEPS)
        print(text)
        failed |= any(row.result == "failed" for rows in parts.values() for row in rows)
        if args.save:
            print(f"arm64: stored {table.save(suite, text)}", file=sys.stderr)
    return int(failed)
