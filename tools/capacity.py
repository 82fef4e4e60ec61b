"""Upper bound of the information in a device's messages, computed from their schemas.

`python -m tools.capacity` prints, for each message, its longest form in bytes, the bits that can be
chosen freely in it (log2 of the number of different messages) and what that comes to in a day. It
fails where a schema is open, or where the day is more than promised.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from agent.base.config import MqttConfig
from agent.base.errors import AgentError
from agent.base.schemas import registry as schemas
from agent.base.schemas.capacity import Capacity, capacity, per_day
from agent.wall.outbox import MAX_EVENTS_PER_DAY

DAY = 86_400
SUMMARY_MOST = 64
"""Bytes of freedom in one summary, as promised."""
DAY_MOST = 8192
"""Bytes of freedom in a day of one slot with windows of 15 minutes, all messages together."""
WINDOW = 900
STATE = Capacity(bytes=len("offline"), bits=1.0)
"""`online` or `offline`: a word, no JSON."""
CONNECTIONS = 4
"""Births in a day; more repeat what was said."""


@dataclass(frozen=True, slots=True)
class Line:
    """One message's share."""

    message: str
    longest: int
    """Bytes."""
    bits: float
    """That can be chosen freely."""
    a_day: float | None
    """How many; None for answers, which come only when somebody asks."""
    bytes_a_day: int
    """Of freedom."""


def account(window: int = WINDOW, slots: int = 1) -> list[Line]:
    """Every message at its highest rate. Raises `OpenSchemaError` where one is not closed.

    `window`: seconds; `slots`: content slots shown within each window.
    """
    rates: dict[str, float | None] = {
        "summary-1": slots * DAY / window,
        "health-1": DAY / MqttConfig.model_fields["health_interval"].default,
        "event-1": MAX_EVENTS_PER_DAY,
        "receipt-1": 1,
        "meta-1": CONNECTIONS,
        "reported-1": None,
        "response-1": None,
    }
    measured = {name: capacity(schemas.build(name)) for name in schemas.MESSAGES}
    lines = [_line(name, most, rates[name]) for name, most in measured.items()]
    return [*lines, _line("state", STATE, 2 * CONNECTIONS)]


def _line(name: str, most: Capacity, rate: float | None) -> Line:
    return Line(name, most.bytes, round(most.bits, 1), rate, per_day(most, rate or 0))


def main(argv: list[str] | None = None) -> int:
    """Returns 1 where a schema is open or a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tools.capacity", description=__doc__)
    parser.add_argument("--window", type=int, default=WINDOW, metavar="S", help="seconds")
    parser.add_argument("--slots", type=int, default=1, metavar="N", help="shown in each window")
    parser.add_argument("--json", action="store_true", help="print the account as JSON")
    args = parser.parse_args(argv)
    if args.window < 10 or not 1 <= args.slots <= 256:
        parser.error("--window is at least 10 s, and there are 1 to 256 slots")
    try:
        lines = account(args.window, args.slots)
    except AgentError as error:
        print(f"A schema is open: {error}. Bound it in agent/base/report.", file=sys.stderr)
        return 1
    total = sum(line.bytes_a_day for line in lines)
    summary = next(line for line in lines if line.message == "summary-1")
    as_promised = summary.bits <= 8 * SUMMARY_MOST and (
        (args.window, args.slots) != (WINDOW, 1) or total <= DAY_MOST
    )
    if args.json:
        rows = [asdict(line) for line in lines]
        print(json.dumps({"messages": rows, "bytes_a_day": total, "as_promised": as_promised}))
    else:
        _show(lines, total, args.window, args.slots)
    if not as_promised:
        print(
            f"More than promised: {SUMMARY_MOST} bytes in a summary, {DAY_MOST} in a day.",
            file=sys.stderr,
        )
    return 0 if as_promised else 1


def _show(lines: list[Line], total: int, window: int, slots: int) -> None:
    table = Table(title=f"What can be said at most: windows of {window} s, {slots} slot(s)")
    table.add_column("message")
    for name in ("longest, bytes", "free, bits", "free, bytes", "a day", "free, bytes a day"):
        table.add_column(name, justify="right")
    for line in lines:
        often = "on request" if line.a_day is None else f"{line.a_day:g}"
        table.add_row(
            line.message,
            f"{line.longest:,}",
            f"{line.bits:,.1f}",
            f"{line.bits / 8:,.1f}",
            often,
            f"{line.bytes_a_day:,}",
        )
    table.add_section()
    table.add_row("all together", "", "", "", "", f"{total:,}")
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
