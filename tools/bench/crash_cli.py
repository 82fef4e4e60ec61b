"""`python -m tools.bench crash`: its arguments, its progress and its words."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_SAY_EVERY = 50
"""Cycles from line to line where nobody watches a bar."""


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "crash",
        parents=[shared],
        help="kill -9 at random instants, or at every write: nothing released is lost",
        description="Kills both halves of the agent at random instants while summaries flow to a "
        "real Mosquitto that is itself stopped and started. Exit code 1 when anything was lost, "
        "changed or inconsistent; the evidence is then kept.",
    )
    parser.add_argument("--cycles", type=_positive, default=1000, metavar="N", help="default: 1000")
    parser.add_argument("--seed", type=int, help="of the random instants; default: drawn")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the evidence here")
    parser.add_argument(
        "--every-write",
        action="store_true",
        help="instead: kill a writer at its first, second, third ... system call that changes or "
        "locks a file (needs strace)",
    )


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text; `passed` in the report is the verdict. Raises `BenchError`."""
    from tools.bench import crash, crash_writes

    if args.every_write:
        with _bar(None, "Kills at a system call") as progress:
            report = crash_writes.run(progress)
        return report, writes_text(report)
    with _bar(args.cycles, "Kills") as progress:
        report, kept = crash.run(crash.Options(args.cycles, args.seed, args.keep), progress)
    if kept is not None:
        print(f"crash: the evidence is in {kept}", file=sys.stderr)
    return report, crash_text(report)


def crash_text(report: dict[str, Any]) -> str:
    """The report in a few lines."""
    place, kills, starts = report["machine"], report["kills"], report["starts"]
    first = report["first_summary"]
    return (
        f"{place['name']}, {place['cores']} cores, {place['system']}, load {place['load']}\n"
        f"{report['cycles']} kill -9 in {report['seconds'] / 60:.1f} minutes, "
        f"seed {report['seed']}: {kills['perceive']} of perceive, {kills['uplink']} of uplink, "
        f"{kills['both']} of both at once; {report['aimed']} while the journal grew\n"
        f"{report['broker_stops']} stops of the broker; "
        f"{starts['perceive']} starts of perceive, {report['boots']} of which released something; "
        f"{starts['uplink']} of uplink; from a start to a summary "
        f"{first['perceive']:.1f} s and {first['uplink']:.1f} s\n"
        f"summaries: {report['released']} released, {report['arrived']} arrived, "
        f"{report['duplicates']} arrived again, {report['lost']} lost, "
        f"{report['differing']} with other bytes\n"
        f"invariants examined {report['looks'] + 1} times\n{_verdict(report)}"
    )


def writes_text(report: dict[str, Any]) -> str:
    """The report in a few lines."""
    place = report["machine"]
    calls = ", ".join(f"{count} {name}" for name, count in sorted(report["calls"].items()))
    return (
        f"{place['name']}, {place['cores']} cores, {place['system']}, load {place['load']}\n"
        f"{report['kills']} kill -9 in {report['seconds']:.0f} s, one at every system call of "
        f"{report['script']}: {calls}\n{_verdict(report)}"
    )


def _verdict(report: dict[str, Any]) -> str:
    found = report["violations"]
    lines = "".join(f"  {each}\n" for each in found[:20])
    if len(found) > 20:
        lines += f"  and {len(found) - 20} more\n"
    return "passed\n" if report["passed"] else f"FAILED\n{lines}"


@contextmanager
def _bar(total: int | None, words: str) -> Iterator[Callable[[int, str], None]]:
    """A bar for a person, a line now and then for a file."""
    if not sys.stderr.isatty():

        def say(done: int, word: str) -> None:
            if done % _SAY_EVERY == 0 or done == total:
                print(f"crash: {done} of {total or '?'}, {word}", file=sys.stderr, flush=True)

        yield say
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed} of {task.total}, {task.fields[word]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as progress:
        task = progress.add_task(words, total=total, word="starting")
        yield lambda done, word: progress.update(task, completed=done, word=word)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value
