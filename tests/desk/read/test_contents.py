"""Catalogues: what is read, what is refused, whose midnights the days are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.desk import read
from agent.desk.read.contents import EVER, ON, Content, load, named
from tests.desk.read.site import frame
from tests.desk.read.test_captures import told

RED = '[[content]]\nslot = 3\nname = "Red"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "content.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_days_are_those_of_the_time_zone(tmp_path: Path) -> None:
    days = "from = 2026-03-28\nuntil = 2026-03-29\n"
    (utc,) = load(write(tmp_path, RED + days))
    (berlin,) = load(write(tmp_path, 'timezone = "Europe/Berlin"\n' + RED + days))
    assert utc.end - utc.start == 2 * 86_400
    assert berlin.start == utc.start - 3600
    assert berlin.end == utc.end - 7200, "summer time began meanwhile"


def test_what_is_left_out_is_open(tmp_path: Path) -> None:
    assert load(write(tmp_path, RED)) == [Content(3, EVER, ON, "Red", None)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no [[content]]"),
        ("slot = 3", "'slot' is no key"),
        ("content = 3", "[[content]]"),
        ("[[content]]\nname = 'a'", "slot is a number"),
        ("[[content]]\nslot = true\nname = 'a'", "slot is a number"),
        ("[[content]]\nslot = 256\nname = 'a'", "slot is a number"),
        ("[[content]]\nslot = 1\nname = ' a'", "name is a text"),
        ('[[content]]\nslot = 1\nname = "a\\nb"', "name is a text"),
        ('[[content]]\nslot = 1\nname = "a\\u202Eb"', "name is a text"),
        (RED + "campaign = 7", "campaign is a text"),
        (RED + "colour = 'red'", "'colour' is no key"),
        (RED + "from = '2026-11-01'", "from is a day"),
        (RED + "until = 2026-11-01T10:00:00", "until is a day"),
        (RED + "from = 2026-11-02\nuntil = 2026-11-01", "from is after until"),
        (RED + RED, "at the same time"),
        (RED + "until = 2026-11-10\n" + RED + "from = 2026-11-10", "at the same time"),
        ('timezone = "Mars"\n' + RED, "no time zone"),
        ("[[content]", "not valid TOML"),
    ],
)
def test_mistakes_are_named(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(read.ReadError) as raised:
        load(write(tmp_path, text))
    assert said in str(raised.value)


def test_a_slot_may_change_hands_overnight(tmp_path: Path) -> None:
    contents = load(
        write(tmp_path, RED + "from = 2026-11-10\n" + RED.replace("Red", "Blue")
              + "until = 2026-11-09")
    )  # fmt: skip
    assert [each.name for each in contents] == ["Blue", "Red"]
    assert contents[0].end == contents[1].start


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(read.ReadError, match="cannot be read"):
        load(tmp_path / "none.toml")


def test_windows_of_captures_get_names(tmp_path: Path) -> None:
    windows: Any = frame(told())
    slot = int(windows["slot"].iloc[0])
    path = write(tmp_path, RED.replace("3", str(slot)) + 'campaign = "spring"\n')
    known = named(windows, path)
    assert set(known.loc[known["slot"] == slot, "content"]) == {"Red"}
    assert set(known.loc[known["slot"] == slot, "campaign"]) == {"spring"}
    others = known[known["slot"] != slot]
    assert (others["content"] == "slot " + others["slot"].astype(str)).all()
    with pytest.raises(read.ReadError, match=r"read\.named"):
        read.totals(windows, "visits", by="content")
    sums = read.totals(known, "visits", by="content")
    assert sums["visits"].sum() == read.totals(windows, "visits", by="slot")["visits"].sum()


def test_all_who_could_look_are_visits_and_passers_by() -> None:
    windows: Any = frame(told())
    both = read.total(windows, ("visits", "passing"))
    assert both.unit == "stays"
    assert both.interval.value == sum(
        read.total(windows, name).interval.value for name in ("visits", "passing")
    )
    with pytest.raises(read.CannotAddError):
        read.total(windows, ("passing", "attention_over_15"))
    noticed = read.measure(windows, "noticed").visitors
    looked = read.measure(windows, "attention").visitors
    assert noticed.value <= looked.value
    assert noticed.low <= noticed.value <= noticed.high
