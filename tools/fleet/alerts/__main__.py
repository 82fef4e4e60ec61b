"""`python -m tools.fleet.alerts`: false-alarms, bench, kinds."""

from __future__ import annotations

import argparse
import json

from tools.fleet.alerts.kinds import KINDS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.fleet.alerts")
    acts = parser.add_subparsers(dest="act", required=True)
    one = acts.add_parser("false-alarms", help="made-up years, judged hour by hour")
    one.add_argument("--years", type=int, default=10, help="of each place")
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--left", type=float, default=0.0, help="share of visits after the change")
    one = acts.add_parser("bench", help="seconds and memory of a look at a large fleet")
    one.add_argument("--devices", type=int, default=10_000)
    one.add_argument("--days", type=int, default=64, help="of visits of each device")
    acts.add_parser("kinds", help="the table of docs/alerts.md")
    args = parser.parse_args()
    if args.act == "false-alarms":
        from tools.fleet.alerts.false_alarms import measure

        for row in measure(args.years, args.seed, args.left):
            print(json.dumps(row), flush=True)
    elif args.act == "bench":
        from tools.fleet.alerts.bench import run

        print(json.dumps(run(args.devices, args.days), indent=1))
    else:
        print(table())


def table() -> str:
    """Markdown: every kind, what raises and ends it, what to do."""
    lines = ["| kind | severity | raised when | ended when | what to do |", "|---|---|---|---|---|"]
    for kind in KINDS:
        raised = f"{kind.when}{_for(kind.raise_after)}"
        ended = f"{kind.until}{_for(kind.end_after)}"
        joint = " Many at once: one alert." if kind.joint else ""
        name = f'<a id="alert-{kind.name}"></a>`{kind.name}`'
        lines.append(f"| {name} | {kind.severity} | {raised} | {ended} | {kind.todo}{joint} |")
    return "\n".join(lines)


def _for(seconds: int) -> str:
    if not seconds:
        return ""
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds % length == 0:
            return f"; for {seconds // length} {unit}"
    return f"; for {seconds} s"


if __name__ == "__main__":
    main()
