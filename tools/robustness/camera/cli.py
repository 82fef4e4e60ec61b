"""`python -m tools.robustness camera`: its arguments and its report as text."""

from __future__ import annotations

import argparse
from typing import Any

from tools.common.command import positive
from tools.common.machine import line
from tools.common.progress import bar


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "camera",
        parents=[shared],
        help="cameras that hang, lie and crash: each is back in 15 s, nothing is left behind",
        description="Runs the real perceive process with a V4L2 camera that fails on request (a "
        "preloaded library, compiled here), has it fail in each way in turn, kills the processes "
        "around it, and waits until frames are perceived again. Exit code 1 where that took 15 s, "
        "a process was left over, or descriptors or memory grew.",
    )
    parser.add_argument("--times", type=positive, default=200, metavar="N", help="default: 200")
    parser.add_argument(
        "--at-once", type=positive, default=5, metavar="N", help="perceive processes; default: 5"
    )
    parser.add_argument(
        "--stall", type=float, default=5.0, metavar="S", help="source.stall; default: 5 s"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the instants; default: 1")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text; `passed` in the report is the verdict. Raises `ToolError`."""
    from tools.robustness.camera import run as camera

    options = camera.Options(args.times, args.at_once, args.stall, args.seed)
    with bar("faults", args.times) as tell:
        report = camera.run(options, tell)
    return report, text(report)


def text(report: dict[str, Any]) -> str:
    """The report as a table."""
    lines = [
        f"{report['recovered']} of {report['times']} faults: frames perceived again, or (*) all "
        f"processes gone, in under 15 s; {report['at_once']} processes at once, "
        f"{report['seconds'] / 60:.0f} minutes, "
        f"source.stall {report['stall']:g} s, seed {report['seed']}",
        f"{'fault':<32}{'times':>7}{'back':>7}{'median, s':>11}{'longest, s':>12}",
    ]
    for kind, each in report["kinds"].items():
        median, longest = ("-" if each[key] is None else f"{each[key]:.1f}"
                           for key in ("median", "longest"))  # fmt: skip
        lines.append(f"{kind:<32}{each['times']:>7}{each['within']:>7}{median:>11}{longest:>12}")
    descriptors, memory = report["descriptors_slope"], report["memory_slope"]
    given_up = report["gives_up"]
    lines += [
        f"processes of a device, at most: {report['processes']}; zombies: {report['zombies']}; "
        f"left over: {len(report['left'])}",
        f"growth a recovery: {descriptors[0]:+.2f} +- {descriptors[1]:.2f} descriptors, "
        f"{memory[0]:+.1f} +- {memory[1]:.1f} KiB of memory",
        f"a camera that hangs for ever: opened {given_up['opens']} times, perceive ended by itself "
        f"after {given_up['seconds']:g} s with code {given_up['code']}, {given_up['left']} left "
        "over",
    ]
    lines += [f"PROBLEM: {each}" for each in (*report["left"], *report["errors"])[:20]]
    lines.append("passed" if report["passed"] else "FAILED")
    return line(report["machine"]) + "\n".join(lines) + "\n"
