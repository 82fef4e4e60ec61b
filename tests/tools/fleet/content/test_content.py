"""The catalogue in the database, names in what is read, proof of play."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.desk import read
from tests.tools.fleet.filled import NOW, RETAIL, add_device, busy, say
from tests.tools.fleet.postgres import postgres, store_url
from tools.fleet.cli import main
from tools.fleet.content.catalogue import names
from tools.fleet.store import open_store

__all__ = ["postgres", "store_url"]
Printed = pytest.CaptureFixture[str]
DAY = 86_400
MIDNIGHT = NOW - NOW % DAY
CATALOGUE = """
[[content]]
slot = 3
name = "The red chair"
campaign = "spring"
until = {first}

[[content]]
slot = 3
name = "The blue chair"
from = {second}

[[content]]
slot = 4
name = "The red chair"
campaign = "summer"
"""


def day(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


@pytest.fixture
def fleet(tmp_path: Path, store_url: str) -> Path:
    """Four windows a day for two days: slot 3 half of each window, slot 4 a tenth, slot 9 all."""
    (tmp_path / "fleet.toml").write_text(f"[store]\nurl = {json.dumps(store_url)}\n")
    with open_store(store_url) as store:
        add_device(store, "box-1")
        seq = 0
        for today in (0, 1):
            for hour in range(8, 12):
                for slot, shown in ((3, 50), (4, 10), (9, 100)):
                    start = MIDNIGHT + today * DAY + hour * 3600
                    made = busy(RETAIL, seq, start=start, slot=slot, visits=100)
                    say(store, "box-1", made.model_copy(update={"shown": shown}), NOW)
                    seq += 1
    (tmp_path / "content.toml").write_text(
        CATALOGUE.format(first=day(MIDNIGHT), second=day(MIDNIGHT + DAY))
    )
    return tmp_path


def run(fleet: Path, *words: str) -> int:
    return main(["content", *words, "--fleet", str(fleet)])


def take(fleet: Path) -> None:
    assert run(fleet, "import", str(fleet / "content.toml")) == 0


def played(fleet: Path, capsys: Printed, *words: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert run(fleet, "played", "--json", *words) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_an_import_takes_the_place_of_the_one_before(fleet: Path, capsys: Printed) -> None:
    take(fleet)
    assert run(fleet, "list", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == [
        {"slot": 3, "name": "The red chair", "campaign": "spring", "from": None,
         "until": MIDNIGHT + DAY},
        {"slot": 3, "name": "The blue chair", "campaign": None, "from": MIDNIGHT + DAY,
         "until": None},
        {"slot": 4, "name": "The red chair", "campaign": "summer", "from": None, "until": None},
    ]  # fmt: skip
    (fleet / "content.toml").write_text('[[content]]\nslot = 7\nname = "Only this"\n')
    take(fleet)
    assert run(fleet, "list") == 0
    told = capsys.readouterr().out
    assert "Only this" in told
    assert "chair" not in told


def test_a_wrong_catalogue_changes_nothing(fleet: Path, capsys: Printed) -> None:
    take(fleet)
    (fleet / "content.toml").write_text('[[content]]\nslot = 300\nname = ""\n')
    assert run(fleet, "import", str(fleet / "content.toml")) != 0
    said = capsys.readouterr().err
    assert "slot is a number from 0 to 255" in said
    assert "name is a text" in said
    assert run(fleet, "import", "--check", str(fleet / "content.toml")) != 0
    assert run(fleet, "list", "--json") == 0
    assert "The red chair" in capsys.readouterr().out


def test_a_catalogue_is_checked_without_being_taken(fleet: Path, capsys: Printed) -> None:
    assert run(fleet, "import", "--check", str(fleet / "content.toml")) == 0
    assert run(fleet, "list", "--json") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "[]"


def test_views_name_what_was_on_show_and_say_for_how_long(fleet: Path, store_url: str) -> None:
    take(fleet)
    with open_store(store_url) as store:
        rows = store.execute(
            "SELECT day, slot, content, campaign, windows, seconds FROM content_played"
            " ORDER BY day, slot"
        )
        first, second = (
            [(row["slot"], row["content"], row["campaign"], row["seconds"]) for row in rows
             if row["day"] == MIDNIGHT + today * DAY]
            for today in (0, 1)
        )  # fmt: skip
        assert {row["windows"] for row in rows} == {4}
        passing = store.execute("SELECT content, passing FROM content_slots WHERE slot = 3")
    assert first == [(3, "The red chair", "spring", 1800), (4, "The red chair", "summer", 360),
                     (9, "slot 9", None, 3600)]  # fmt: skip
    assert second[0] == (3, "The blue chair", None, 1800)
    assert {row["content"] for row in passing} == {"The red chair", "The blue chair"}
    assert all(0 < row["passing"] < 300 for row in passing), "100 and noise"


def test_frames_of_the_database_can_go_by_name(fleet: Path, store_url: str) -> None:
    take(fleet)
    if store_url.startswith("sqlite:///"):
        windows = read.sqlite(store_url.removeprefix("sqlite:///"))
    else:
        windows = read.postgresql(store_url)
    by_name = read.totals(windows, ["visits", "passing"], by="content").set_index("content")
    assert list(by_name.index) == ["The blue chair", "The red chair", "slot 9"]
    assert list(by_name["windows"]) == [4, 12, 8]
    for figure in ("visits", "passing"):
        for name, count in (("The blue chair", 400), ("The red chair", 1200), ("slot 9", 800)):
            row = by_name.loc[name]
            assert abs(row[figure] - count) < 10 * 12 * 8  # of its noise
            assert row[f"{figure}_low"] < row[figure] < row[f"{figure}_high"]


def test_proof_of_play_and_what_people_did(fleet: Path, capsys: Printed) -> None:
    take(fleet)
    rows = {row["content"]: row for row in played(fleet, capsys)}
    red = rows["The red chair"]
    assert red["slots"] == [3, 4]
    assert red["campaign"] == "spring, summer"
    assert red["seconds"] == 4 * 450 + 8 * 90
    assert (red["windows"], red["published"], red["devices"]) == (12, 12, 1)
    value, low, high = red["noticed"]
    assert 0 <= low < value < high <= 1
    assert abs(value - 0.6) < 0.1, "of 400 visits 300 looked, and 100 passed by"
    by_day = played(fleet, capsys, "--by-day")
    assert [(row["content"], row["day"], row["seconds"]) for row in by_day][:3] == [
        ("The blue chair", day(MIDNIGHT + DAY), 1800),
        ("The red chair", day(MIDNIGHT), 2160),
        ("The red chair", day(MIDNIGHT + DAY), 360),
    ]
    assert run(fleet, "played") == 0
    assert "The red chair" in capsys.readouterr().out


def test_played_is_of_the_days_and_devices_that_were_asked_for(
    fleet: Path, capsys: Printed
) -> None:
    rows = played(fleet, capsys, "--from", day(MIDNIGHT + DAY), "--to", day(MIDNIGHT + DAY))
    assert {row["content"]: row["windows"] for row in rows} == {"slot 3": 4, "slot 4": 4,
                                                                "slot 9": 4}  # fmt: skip
    assert played(fleet, capsys, "--device", "nobody") == []


def test_days_that_are_none_are_refused(fleet: Path) -> None:
    assert run(fleet, "played", "--from", "yesterday") != 0
    assert run(fleet, "played", "--timezone", "Mars") != 0


def test_slots_are_called_what_they_hold_now(fleet: Path, store_url: str) -> None:
    take(fleet)
    with open_store(store_url) as store:
        assert names(store, MIDNIGHT) == {3: "The red chair", 4: "The red chair"}
        assert names(store, MIDNIGHT + DAY) == {3: "The blue chair", 4: "The red chair"}


def test_a_name_is_shown_as_it_is(fleet: Path, store_url: str, capsys: Printed) -> None:
    """Brackets are no markup; whoever writes into the database turns no terminal."""
    with open_store(store_url) as store:
        for slot, name in ((3, "Chairs [/sale]"), (4, "[bold]\x1b[2J")):
            store.execute("INSERT INTO contents VALUES (?, 0, 9999999999, ?, NULL)", (slot, name))
    for act in ("list", "played"):
        main(["content", act, "--fleet", str(fleet)])
        said = capsys.readouterr().out
        assert "Chairs [/sale]" in said
        assert "[bold]\\x1b[2J" in said
        assert "\x1b" not in said
