"""Upper bound of the information in a device's messages, computed from their schemas.

`python -m tools.capacity` prints, for each message, its longest form in bytes, the bits that can be
chosen freely in it (log2 of the number of different messages) and what that comes to in a day: the
numbers a day are those that the uplink's warden enforces (`agent.base.quotas`), for the default
configuration or the one given. Retained messages count when they change; a repetition says nothing
new. It fails where a schema is open, or where a day is more than promised.

A device on which microphone or words are on sends summaries of a second form. `--hearing` counts
them for any configuration.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, replace
from math import log2
from pathlib import Path

from rich.console import Console
from rich.table import Table

from agent.base.config import AgentConfig
from agent.base.errors import ConfigError
from agent.base.quotas import Quotas, quotas
from agent.base.schemas import registry as schemas
from agent.base.schemas.capacity import Capacity, OpenSchemaError, capacity, per_day
from agent.base.settings_file import load
from agent.privacy.policy.rules import resolve

SUMMARY_MOST = {False: 64, True: 96}
"""Bytes of freedom in one summary, as promised; True: of a device that hears or reads."""
DAY_MOST = {False: 14_336, True: 17_920}
"""Bytes of freedom in a day of one slot with windows of 15 minutes, all messages together."""
WINDOW = 900
SUMMARY = {False: "summary-1", True: "summary-2"}
REPORTED = {False: "reported-1", True: "reported-2"}
WORD = Capacity(bytes=len("offline"), bits=1.0)
"""`state`: `online` or `offline`, no JSON."""
ANNOUNCEMENT = {False: Capacity(bytes=3500, bits=1.0), True: Capacity(bytes=4000, bits=1.0)}
"""`discovery`: a text that depends on the device's id and the site's policy only, or nothing."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What the quotas depend on."""

    window: int
    """Seconds."""
    slots: int
    """Distinct content slots a day."""
    health_interval: int
    """Seconds."""
    hearing: bool = False
    """Whether microphone or words are on."""

    @property
    def quotas(self) -> Quotas:
        return quotas(self.window, self.slots, self.health_interval)


@dataclass(frozen=True, slots=True)
class Line:
    """One message's share."""

    message: str
    longest: int
    """Bytes."""
    bits: float
    """That can be chosen freely."""
    a_day: int
    """How many at most."""
    bytes_a_day: int
    """Of freedom."""


def account(setting: Setting) -> list[Line]:
    """Every message at its quota. Raises `OpenSchemaError` where one is not closed."""
    of = setting.quotas
    rates = {
        SUMMARY[setting.hearing]: of.summary,
        "health-1": of.health,
        "event-1": of.event,
        "receipt-1": of.receipt,
        "meta-1": of.meta,
        REPORTED[setting.hearing]: of.reported,
        "response-1": of.response,
        "job-1": of.job,
    }
    measured = {name: capacity(schemas.build(name)) for name in schemas.in_use(setting.hearing)}
    if setting.hearing:
        # A summary has either form, for a fleet may switch both off.
        del measured[REPORTED[False]]
        one, other = measured.pop(SUMMARY[False]), measured[SUMMARY[True]]
        bits = log2(2**one.bits + 2**other.bits)
        measured[SUMMARY[True]] = Capacity(max(one.bytes, other.bytes), bits)
    measured["response-1"] = _answer()
    measured["job-1"] = _execution()
    lines = [_line(name, most, rates[name]) for name, most in measured.items()]
    return [
        *lines,
        _line("state", WORD, 2 * of.connections),
        _line("discovery", ANNOUNCEMENT[setting.hearing], of.discovery),
    ]


def _answer() -> Capacity:
    """Of an answer: its `boot` is the one published in `meta`, or null."""
    schema = schemas.build("response-1")
    whole = capacity(schema)
    schema["properties"]["boot"] = {"type": "boolean"}
    return replace(whole, bits=capacity(schema).bits)


def _execution() -> Capacity:
    """Of a job's step: its `job` is one that the fleet has chosen."""
    schema = schemas.build("job-1")
    whole = capacity(schema)
    schema["properties"]["job"] = {"const": ""}
    return replace(whole, bits=capacity(schema).bits)


def _line(name: str, most: Capacity, rate: int) -> Line:
    return Line(name, most.bytes, round(most.bits, 1), rate, per_day(most, rate))


def total(lines: list[Line]) -> int:
    """Bytes of freedom in a day."""
    return sum(line.bytes_a_day for line in lines)


def setting_of(config: AgentConfig, window: int | None, slots: int | None) -> Setting:
    """Of a configuration, with other windows or slots if they are given. Raises `ConfigError`."""
    policy = resolve(config, live=False)
    return Setting(
        window or policy.window, slots or policy.slots, config.mqtt.health_interval, policy.listens
    )


def main(argv: list[str] | None = None) -> int:
    """Returns 1 where a schema is open or a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tools.capacity", description=__doc__)
    parser.add_argument("--config", type=Path, metavar="FILE.toml", help="default: the defaults")
    parser.add_argument("--window", type=int, metavar="S", help="seconds, instead of the policy's")
    parser.add_argument("--slots", type=int, metavar="N", help="a day, instead of the policy's")
    parser.add_argument("--hearing", action="store_true", help="as if microphone or words were on")
    parser.add_argument("--json", action="store_true", help="print the account as JSON")
    args = parser.parse_args(argv)
    if (args.window or WINDOW) < 10 or not 1 <= (args.slots or 1) <= 256:
        parser.error("--window is at least 10 s, and there are 1 to 256 slots")
    try:
        config = load(args.config) if args.config else AgentConfig()
        setting = setting_of(config, args.window, args.slots)
        setting = replace(setting, hearing=setting.hearing or args.hearing)
        lines, single = account(setting), total(account(replace(setting, slots=1)))
        hearing, interval = setting.hearing, AgentConfig().mqtt.health_interval
        promised = total(account(Setting(WINDOW, 1, interval, hearing)))
    except OpenSchemaError as error:
        print(f"A schema is open: {error}. Bound it in agent/base/report.", file=sys.stderr)
        return 1
    except ConfigError as error:
        parser.error(str(error))
    summary = next(line for line in lines if line.message == SUMMARY[hearing])
    as_promised = summary.bits <= 8 * SUMMARY_MOST[hearing] and promised <= DAY_MOST[hearing]
    if args.json:
        report = {
            "setting": asdict(setting),
            "quotas": asdict(setting.quotas),
            "messages": [asdict(line) for line in lines],
            "bytes_a_day": total(lines),
            "bytes_a_day_with_one_slot": single,
            "as_promised": as_promised,
        }
        print(json.dumps(report))
    else:
        _show(lines, setting, single)
    if not as_promised:
        print(
            f"More than promised: {SUMMARY_MOST[hearing]} bytes in a summary, {DAY_MOST[hearing]} "
            "in a day of one slot with windows of 15 minutes.",
            file=sys.stderr,
        )
    return 0 if as_promised else 1


def _show(lines: list[Line], setting: Setting, single: int) -> None:
    table = Table(
        title=f"What can be said at most: windows of {setting.window} s, {setting.slots} slot(s)"
    )
    table.add_column("message")
    for name in ("longest, bytes", "free, bits", "free, bytes", "a day", "free, bytes a day"):
        table.add_column(name, justify="right")
    for line in lines:
        table.add_row(
            line.message,
            f"{line.longest:,}",
            f"{line.bits:,.1f}",
            f"{line.bits / 8:,.1f}",
            f"{line.a_day:,}",
            f"{line.bytes_a_day:,}",
        )
    table.add_section()
    table.add_row("all together", "", "", "", "", f"{total(lines):,}")
    table.add_row("the same with one slot", "", "", "", "", f"{single:,}")
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
