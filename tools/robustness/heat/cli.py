"""`python -m tools.robustness heat`: its arguments and its report as text."""

from __future__ import annotations

import argparse
from typing import Any

from tools.common.command import positive
from tools.common.machine import line

_STEPS = ("all", "20 frames/s, no micro, no microphone", "10 frames/s, one face", "pause")


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "heat",
        parents=[shared],
        help="days in a sunny shop window, a weak supply and odd sensors: what the ladder does",
        description="Writes the files of a simulated Raspberry Pi every five seconds of a day, "
        "whose warmth follows its surroundings and what it does, and has the agent's own reader "
        "and ladder follow them. Prints every step that was taken. Exit code 1 where one was taken "
        "in the midst of a window, by one odd reading, or not at all.",
    )
    parser.add_argument("--days", type=positive, default=1, metavar="N", help="default: 1")
    parser.add_argument(
        "--window", type=positive, default=900, metavar="S", help="of the policy; default: 900 s"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the sensor's noise; default: 1")
    parser.add_argument(
        "--typical", action="store_true", help="do not measure what each step saves"
    )


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text; `passed` in the report is the verdict."""
    from tools.robustness.heat import run as heat

    report = heat.run(heat.Options(args.days, args.window, args.seed, not args.typical))
    return report, text(report)


def text(report: dict[str, Any]) -> str:
    """The report as a table."""
    lines = [
        f"{report['readings']:,} readings, {report['days']} days, windows of {report['window']} s, "
        f"seed {report['seed']}; simulated board, measured CPU time",
    ]
    if report["cpu"] is not None:
        whole, *others = report["cpu"]
        lines.append(
            f"CPU seconds for a second of two people in view: {whole:.3f}; at step 1 "
            f"{others[0]:.3f}, at step 2 {others[1]:.3f}"
        )
    lines.append(f"{'time':>9}{'degrees C':>11}  step")
    for at, degrees, step, _ in report["rows"]:
        clock = f"{int(at // 3600):02}:{int(at % 3600 // 60):02}:{int(at % 60):02}"
        lines.append(f"{clock:>9}{degrees:>11.1f}  {step}: {_STEPS[step]}")
    share = ", ".join(f"{name.lower()} {part:g} %" for name, part in report["share"].items())
    said = ", ".join(f"{count} {code}" for code, count in sorted(report["events"].items())) or "-"
    lines += [
        f"of the time: {share}; {report['changes']} changes; events: {said}",
        f"hottest: {report['highest']:.1f} degrees C; without the ladder {report['unlimited']:.1f}",
        *(f"PROBLEM: {each}" for each in report["problems"]),
        "passed" if report["passed"] else "FAILED",
    ]
    return line(report["machine"]) + "\n".join(lines) + "\n"
