"""The table of summaries."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from agent.base.report import Summary
from agent.desk.trace import truth as script
from agent.desk.trace.table import (
    COLUMNS,
    HEARD_COLUMNS,
    heard_row,
    heard_table,
    planted_row,
    planted_table,
    row,
    summaries_table,
)
from agent.desk.trace.truth import Comparison
from agent.privacy.policy.rules import resolve
from agent.privacy.releaser import Releaser
from tests.desk.trace.generated import perceived
from tests.privacy import people
from tests.privacy.people import Person, frames
from tests.privacy.voices import Reading, fused, heard_of, listening, tone, words

RATE = 1.2
"""False alarms per analysable face-minute."""


def summaries() -> list[Summary]:
    """The whole clip by ground truth, released under the demo profile."""
    config = people.config()
    policy = resolve(config, live=False)
    releaser = Releaser(config, policy, model="0" * 16, false_alarms_per_minute=RATE)
    done = [r for each in perceived(script.load()) for r in releaser.observe(each)]
    return [released.summary for released in done + releaser.finish()]


def test_every_visit_is_counted_once_in_the_table() -> None:
    rows = [dict(zip(COLUMNS, row(each), strict=True)) for each in summaries()]
    assert [r["window"] for r in rows] == ["0-10 s", "10-20 s", "20-30 s", "30-40 s", "40-50 s"]
    visits = [int(r["visits"]) for r in rows if r["visits"].isdigit()]
    assert sum(visits) == 4
    empty = rows[0]
    assert empty["visits"] == "below k"
    assert empty["expression"] == empty["micro"] == "-"


def test_cells_are_readable() -> None:
    rows = (dict(zip(COLUMNS, row(each), strict=True)) for each in summaries())
    first = next(each for each in rows if each["window"] == "10-20 s")
    assert first["expression"] == "neutral"
    assert first["in view"] == "15-30 s"
    assert first["facing"] == "5-15 s"
    cells = first["micro"].split("\n")
    assert {"positive", "surprise"} <= set(cells)
    assert [line.split()[0] for line in cells[-2:]] == ["chance", "in"]
    minutes = float(cells[-1].split()[1])
    assert 0.2 < minutes < 0.5  # one visit of 15 to 30 s
    assert float(cells[-2].split()[1]) == pytest.approx(RATE * minutes, abs=0.06 + 0.06 * RATE)
    assert float(first["valence"]) > 0
    assert "window merged" in first["flags"]


def test_the_table_has_a_row_per_summary_and_fits_80_columns() -> None:
    every = summaries()
    table = summaries_table(every, "title")
    assert table.row_count == len(every)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(table)
    text = console.export_text()
    assert "…" not in text
    assert "happiness" in text or "neutral" in text
    assert [str(column.header) for column in table.columns] == list(COLUMNS)


def test_what_was_heard_has_a_table_of_its_own() -> None:
    readings: list[Reading] = [
        tone(4, "angry", 1), words(5, "negative", 1), fused(6, "negative", 1, ("face", "voice")),
        tone(11, "happy"), words(12, "positive"),
    ]  # fmt: skip
    settings = listening(window=10)
    first, second = heard_of(frames([Person(1, 0, 8)], 20, 10), readings, settings)
    cells = dict(zip(HEARD_COLUMNS, heard_row(first), strict=True))
    assert cells == {
        "window": "0-10 s", "spoke": "< 5 s", "tone": "angry", "words": "negative",
        "together": "negative", "channels": "face\nvoice", "room": "-",
    }  # fmt: skip
    assert heard_row(second)[1:] == ("below k", "-", "-", "-", "-", "-")
    table = heard_table([first, second])
    assert table is not None
    out = io.StringIO()
    Console(file=out, width=80).print(table)
    assert max(map(len, out.getvalue().splitlines())) <= 80
    assert heard_table(summaries()) is None
    (deaf,) = heard_of(frames([Person(1, 0, 8)], 10, 10), [tone(9)], settings, sound=False)
    assert heard_row(deaf)[1] == "no microphone"


def test_the_room_stands_beside_the_visits() -> None:
    readings: list[Reading] = [tone(3, "sad"), words(4, "positive")]
    (summary,) = heard_of(frames([Person(1, 0, 8)], 10, 10), readings, listening())
    assert heard_row(summary)[-1] == "sad\npositive"


def test_what_was_planted_stands_beside_what_was_read() -> None:
    spoken = Comparison(4.5, 8.1, "happy", "angry", 4, "visit", "visit")
    room = Comparison(13.0, 16.0, "sad", "sad", 2, "room", "both")
    assert planted_row("voice", spoken) == ("4.5-8.1", "voice", "happy", "angry", "visit", "")
    assert planted_row("voice", room)[3:] == ("sad", "both (planted: room)", "right")
    missed = Comparison(9.0, 9.0, "negative", "", 0, "visit", "")
    assert planted_row("words", missed) == ("9.0", "words", "negative", "nothing", "-", "")
    stray = Comparison(1.0, 3.0, "", "neutral", 1, "", "room")
    assert planted_row("voice", stray)[2:] == ("nothing", "neutral", "room", "")
    table = planted_table([spoken, room], [missed])
    assert table is not None
    out = io.StringIO()
    Console(file=out, width=80).print(table)
    lines = out.getvalue().splitlines()
    assert [line.split()[0] for line in lines[-3:]] == ["4.5-8.1", "9.0", "13.0-16.0"]
    assert planted_table([], []) is None
