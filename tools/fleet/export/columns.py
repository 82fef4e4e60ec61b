"""What can be exported: each kind's columns with type, unit and meaning, and their source."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from agent.base.report.base import Ranges
from agent.base.report.summary import SECONDS as SECONDS_RANGES
from agent.base.report.summary import TENTHS
from agent.base.vocabulary import AnyCell
from agent.desk.read.figures import CELL_FIGURES, CHANCE
from agent.desk.read.noise import CELLS, SECONDS, Told, deviation, scales

Type = Literal["text", "integer", "number", "truth", "time"]
"""`time`: Unix seconds in the database; a timestamp in Parquet, ISO 8601 in CSV."""
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an export."""

    name: str
    type: Type
    unit: str
    """Empty for what has none."""
    about: str
    noise: str = ""
    """The column that holds b of its noise; empty: it carries none."""
    factor: float = 1.0
    """Its noise has so many times that b."""
    sql: str = ""
    """Expression that it is read from; empty: its name; `-`: it is computed."""

    @property
    def computed(self) -> bool:
        return self.sql == "-"


@dataclass(frozen=True, slots=True)
class Kind:
    """One table for analysts."""

    name: str
    source: str
    """Table or view."""
    columns: tuple[Column, ...]
    time: str
    """SQL that `--from` and `--to` compare with, Unix seconds."""
    order: str
    compute: Callable[[Row], Row] = dict
    """The computed columns of a row."""
    hidden: tuple[str, ...] = ()
    """Columns that `compute` reads and nobody is shown."""


def _summary_noise(row: Row) -> Row:
    told = Told.of(json.loads(row["body"]))
    return {"noised": told.epsilon_milli > 0, **_visits_noise(told, row)}


def _visits_noise(told: Told, row: Row) -> dict[str, float | None]:
    scale = scales(told).get("visits")
    spread = None if scale is None else deviation(scale, row["merged"] + 1)
    return {"visits_b": scale, "visits_deviation": spread}


def _slot_noise(row: Row) -> Row:
    pairs = [item.partition(":") for item in row["withheld"].split(",") if item]
    told = Told(
        row["policy"],
        row["epsilon_milli"],
        frozenset(cell for cell, _, reason in pairs if reason == "policy"),
        frozenset(
            cell
            for cell, names in CELL_FIGURES.items()
            if any(row[name] is not None for name in names)
        ),
        row["voice"],
        row["text"],
    )
    found = scales(told)
    return {
        "noised": told.epsilon_milli > 0,
        "timed": bool(row["timed"]),
        **{f"{cell}_b": found.get(cell) for cell in CELLS},
        _CHANCE_SCALE.name: _chance_scale(found.get("micro"), row),
        **_visits_noise(told, row),
    }


def _chance_scale(scale: float | None, row: Row) -> float | None:
    """b of the expected false alarms. They are the noised seconds times a rate that is not said, so
    the greatest rate that both rounded numbers allow is taken."""
    tenths, seconds = row[CHANCE], row["micro_analysable_seconds"]
    if not scale or tenths is None:
        return None if tenths is None else scale
    if not seconds or abs(tenths) >= TENTHS[-1][1]:  # the greatest that is said stands for more
        return None
    most = abs(tenths) + 0.5 + _rounding(TENTHS, tenths)
    least = abs(seconds) - _rounding(SECONDS_RANGES, seconds)
    return scale * SECONDS * float(most / least)


def _rounding(ranges: Ranges, value: int) -> int:
    """How far a reported number is from the whole number that it was, at most."""
    return next((step for _, high, step in ranges if abs(value) < high), ranges[-1][2]) // 2


def _receipt_fields(row: Row) -> Row:
    return dict(json.loads(row["body"])["statement"])


_DEVICE = Column("device", "text", "", "The device's id.")
_RECEIVED = Column("received", "time", "s", "When the collector stored it.")
_IDENTITY = (
    _DEVICE,
    Column("boot", "text", "", "Start of the device's seeing half, 8 hex digits."),
    Column("seq", "integer", "", "Number in the device's series; wraps at 2^24."),
    _RECEIVED,
)
_NOISED = Column("noised", "truth", "", "Whether noise was added to the counts.", sql="-")
_SPREAD = Column(
    "visits_deviation", "number", "visits",
    "Standard deviation of the noise of `visits`, all merged windows together.", sql="-",
)  # fmt: skip


_CHANCE_SCALE = Column(
    "micro_expected_false_alarms_b", "number", "",
    "Scale b of the noise of the expected false alarms: that of the seconds times the rate, as far "
    "as the two numbers tell it, never too small; empty: no such numbers, no seconds, or more "
    "false alarms than a summary can say.",
    sql="-",
)  # fmt: skip


def _scale(cell: str) -> Column:
    return Column(
        f"{cell}_b", "number", "",
        f"Scale b of the discrete Laplace noise of each number of `{cell}`; 0: none; empty: no "
        "numbers. 95 % of the noise lies within 3 b. Of `visits` each merged window has its own.",
        sql="-",
    )  # fmt: skip


def _number(cell: AnyCell, name: str) -> Column:
    scale, rest = f"{cell}_b", name.removeprefix(f"{cell}_").replace("_", " ")
    if name == "micro_analysable_seconds":
        return Column(name, "integer", "s", "Analysable seconds.", scale, SECONDS)
    if name == CHANCE:
        about = "Movements that are reported by chance in the analysable seconds."
        return Column(name, "integer", "0.1", about, _CHANCE_SCALE.name)
    if rest == "sum":
        return Column(name, "integer", "0.01", f"Sum over visits of {cell}, -100 to 100.", scale)
    if cell == "passing":
        about = "People who passed by: stays too short for a visit."
        return Column(name, "integer", "passers-by", about, scale)
    unit = "stretches of speech" if cell.startswith("room_") else "visits"
    about = "Visits in the window." if cell == "visits" else f"{cell.capitalize()}: {rest}."
    return Column(name, "integer", unit, about, scale)


_SLOTS = Kind(
    "slots",
    "slots",
    (
        *_IDENTITY,
        Column("at", "time", "s", "The window's start; where that is unknown, when it came."),
        Column("timed", "truth", "", "Whether `at` is the window's start.", sql="-"),
        Column("length", "integer", "s", "Of the window."),
        Column("slot", "integer", "", "Content slot on show."),
        Column(
            "shown",
            "integer",
            "%",
            "Of the window: the slot was on show, and the camera worked; "
            "empty: of an older release.",
        ),
        Column("merged", "integer", "", "Earlier windows, withheld then, that are counted here."),
        Column("policy", "text", "", "Privacy policy in force."),
        Column("epsilon_milli", "integer", "0.001", "Epsilon of a visit, all cells together."),
        Column("k", "integer", "visits", "Fewer noised visits than these are withheld."),
        _NOISED,
        Column("fps", "integer", "Hz", "Analysed frames."),
        Column("usable", "integer", "%", "Share of frames that were analysed."),
        Column("flags", "text", "", "Problems of the window, comma between."),
        Column("withheld", "text", "", "cell:reason, comma between."),
        Column("voice", "text", "", "Whether there are numbers of voices, or why not."),
        Column("text", "text", "", "Whether there are numbers of words, or why not."),
        Column("sound_flags", "text", "", "Problems of the window's sound, comma between."),
        *(
            column
            for cell in CELLS
            for column in (
                *(_number(cell, name) for name in CELL_FIGURES[cell]),
                *((_CHANCE_SCALE,) if cell == "micro" else ()),
                _scale(cell),
            )
        ),
        _SPREAD,
    ),
    time="at",
    order="device, received, boot, seq",
    compute=_slot_noise,
    hidden=("timed",),
)

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "summaries",
            "summaries",
            (
                *_IDENTITY,
                Column("start", "time", "s", "The window's start; empty: the device's clock was "
                       "not trusted.", sql="start_at"),
                Column("offset", "integer", "s", "Else: on the clock of this boot.",
                       sql="offset_s"),
                Column("length", "integer", "s", "Of the window."),
                Column("slot", "integer", "", "Content slot on show."),
                Column("clock", "text", "", "Who vouches for the time."),
                Column("merged", "integer", "", "Earlier windows that are counted here."),
                Column("visits", "integer", "visits", "Visits; empty: withheld.", "visits_b"),
                _NOISED,
                _scale("visits"),
                _SPREAD,
                Column("sha256", "text", "", "Of the message's bytes, hex."),
                Column("body", "text", "", "The message, byte for byte; JSON."),
            ),
            time="COALESCE(start_at, received)",
            order="device, boot, seq",
            compute=_summary_noise,
        ),
        _SLOTS,
        Kind(
            "events",
            "events",
            (
                *_IDENTITY,
                Column("at", "time", "s", "When it was said; empty: the clock was not trusted."),
                Column("offset", "integer", "s", "On the clock of this boot.", sql="offset_s"),
                Column("code", "text", "", "What happened; a closed list."),
                Column("count", "integer", "", "Times since it was last said; 1023: or more."),
            ),
            time="COALESCE(at, received)",
            order="device, boot, seq",
        ),
        Kind(
            "health",
            "health",
            (
                _DEVICE,
                _RECEIVED,
                Column("boot", "text", "", "Start of the seeing half; empty while there is none."),
                Column("perception", "text", "", "running, paused, quiet, stalled, hot, absent."),
                Column("fps", "integer", "Hz", "Analysed frames, in fives."),
                Column("temperature", "integer", "degC", "In tens; empty: unknown."),
                Column("power", "text", "", "good, undervolt, throttled, unknown."),
                Column("memory", "integer", "MiB", "Of the talking half, in 64s."),
                Column("disk", "text", "", "ample, low, full, unknown."),
                Column("waiting", "integer", "messages", "In the outbox: that many or more."),
                Column("trimmed", "integer", "messages", "Dropped so far; 1023: or more."),
                Column("clock", "text", "", "Who vouches for the device's time."),
            ),
            time="received",
            order="device, received",
        ),
        Kind(
            "devices",
            "device_status",
            (
                _DEVICE,
                Column("status", "text", "", "online, stale, offline, unknown, revoked."),
                Column("heard", "time", "s", "When it last said anything.", sql="heard_at"),
                Column("first_seen", "time", "s", "When it was first known."),
                Column("app", "text", "", "Version of the package in force."),
                Column("models", "text", "", "Version of the models in force."),
                Column("model", "text", "", "Hash of the models."),
                Column("policy", "text", "", "Privacy policy in force."),
                Column("policy_hash", "text", "", "Of the policy with its settings."),
                Column("k", "integer", "visits", "Fewer are withheld."),
                Column("window_length", "integer", "s", "Of a window."),
                Column("openings", "text", "", "Walls that it found open in itself; JSON list."),
                Column("settings", "integer", "", "Version of the settings in force."),
                Column("reported_version", "integer", "", "Newest wish that it looked at."),
                Column("receipt_key", "text", "", "Public key of its receipts, hex."),
                Column("group", "text", "", "Its group.", sql="grp"),
                Column("certificate_end", "time", "s", "When its certificate ends."),
                Column("revoked", "time", "s", "When it was revoked; empty: it is not.",
                       sql="revoked_at"),
            ),
            time="heard_at",
            order="device",
        ),
        Kind(
            "jobs",
            "jobs",
            (
                Column("job", "text", "", "Chosen at random by the fleet."),
                _DEVICE,
                Column("rollout", "text", "", "Empty: a job by itself."),
                Column("kind", "text", "", "app or models."),
                Column("version", "text", "", "That it is to have."),
                Column("status", "text", "", "As AWS IoT Jobs names it."),
                Column("step", "text", "", "The last one reached."),
                Column("reason", "text", "", "Why it was rejected or failed."),
                Column("created", "time", "s", "When it was made.", sql="created_at"),
                Column("queued", "time", "s", "When the device first answered.", sql="queued_at"),
                Column("started", "time", "s", "When it began.", sql="started_at"),
                Column("ended", "time", "s", "When it ended.", sql="ended_at"),
                Column("deadline", "time", "s", "After which it is TIMED_OUT."),
            ),
            time="created_at",
            order="created_at, job",
        ),
        Kind(
            "receipts",
            "receipts",
            (
                _DEVICE,
                Column("key", "text", "", "Public key that it is signed with, hex."),
                Column("number", "integer", "", "Of this key's receipts, from 1."),
                _RECEIVED,
                Column("start", "time", "s", "It accounts from here; empty: unknown.", sql="-"),
                Column("end", "time", "s", "To here; empty: unknown.", sql="-"),
                Column("outbox", "text", "", "Whether the ledger is the one seen before.",
                       sql="-"),
                Column("summaries", "integer", "", "Released in this time.", sql="-"),
                Column("messages", "integer", "", "Taken by the broker.", sql="-"),
                Column("bytes", "integer", "B", "Of their payloads.", sql="-"),
                Column("epsilon_milli", "integer", "0.001", "The most that a visit spent.",
                       sql="-"),
                Column("windows_withheld", "integer", "", "Windows that were withheld.", sql="-"),
                Column("visits_withheld", "integer", "visits", "In those; noised, in tens.",
                       sql="-"),
                Column("sha256", "text", "", "Of the receipt's bytes, hex."),
                Column("body", "text", "", "The receipt, byte for byte; JSON."),
            ),
            time="received",
            order="device, key, number",
            compute=_receipt_fields,
        ),
    )
}  # fmt: skip
