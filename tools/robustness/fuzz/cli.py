"""`python -m tools.robustness fuzz`: its arguments and its report as text."""

from __future__ import annotations

import argparse
import secrets
from typing import Any

from tools.common.command import positive
from tools.common.machine import line, machine
from tools.common.progress import bar

WIRE_SHARE = 50
"""One message in so many also goes through a real broker; and one outbox file for so many."""


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "fuzz",
        parents=[shared],
        help="hostile messages and files: no crash, no change of state, no growth",
        description="Sends malformed, replayed, oversized and misdirected messages to the handler "
        "of everything inbound, a share of them through a real broker to a real uplink process, "
        "bytes that are no MQTT, and outbox files that were tampered with. Exit code 1 when "
        "anything raised, changed or grew.",
    )
    parser.add_argument(
        "--messages", type=positive, default=100_000, metavar="N", help="default: 100000"
    )
    parser.add_argument("--seed", type=int, help="default: drawn")
    parser.add_argument("--no-wire", action="store_true", help="only the handler, no broker")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text; `passed` in the report is the verdict. Raises `ToolError`."""
    from tools.robustness.fuzz import files, wire
    from tools.robustness.fuzz import run as fuzz

    seed = secrets.randbits(32) if args.seed is None else args.seed
    with bar("messages", args.messages) as tell:
        report = fuzz.run(args.messages, seed, lambda done: tell(done, ""))
    report["machine"] = machine()
    report["files"] = files.run(max(args.messages // WIRE_SHARE, 100), seed)
    report["problems"] += report["files"].pop("problems")
    if not args.no_wire:
        report["wire"] = wire.run(max(args.messages // WIRE_SHARE, 100), seed)
        report["problems"] += report["wire"].pop("problems")
    report["passed"] = not report["problems"]
    return report, text(report)


def text(report: dict[str, Any]) -> str:
    """The report in a few lines."""
    lines = [
        f"{report['messages']} messages in {report['seconds']:.0f} s, seed {report['seed']}: "
        + ", ".join(f"{count} {name}" for name, count in report["flavours"].items()),
        "refused: " + ", ".join(f"{count} {name}" for name, count in report["refused"].items()),
        "answered: " + ", ".join(f"{count} {name}" for name, count in report["answers"].items()),
        f"changes of the settings, each of them valid: {report['changes']}; "
        f"events in the outbox: {report['events']}",
        f"memory between a fifth of the way and the end: {report['traced_growth'] / 1000:+.1f} kB "
        f"of Python's, {report['resident_growth'] / 1e6:+.2f} MB resident",
    ]
    wire = report.get("wire", {"broker": ""})
    lines.append(
        f"through {wire['broker']} to a real uplink: {wire['messages']} messages, "
        f"{wire['resident_growth'] / 1e6:+.2f} MB resident; then {wire['streams']} connections to "
        "a broker that sends what is no MQTT"
        if wire["broker"]
        else "no real broker took part"
    )
    files = report["files"]
    lines.append(
        f"{files['files']} outbox files tampered with: {files['aside']} moved aside, "
        f"{files['errors']} refused, longest {files['longest']:.2f} s"
    )
    lines += [f"PROBLEM: {each}" for each in report["problems"]]
    lines.append("passed" if report["passed"] else "FAILED")
    return line(report["machine"]) + "\n".join(lines) + "\n"
