"""Exports hold what the database holds, typed, with the noise of each count beside it."""

from __future__ import annotations

import csv
import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from agent.desk.read.figures import CELL_FIGURES
from agent.desk.read.noise import CELLS, SECONDS
from agent.privacy.window import SENSITIVITY
from tests.desk.read.test_noise import policy
from tests.summaries import LISTENING, summary
from tests.summaries import POLICY as DEMO
from tests.tools.fleet.filled import NOW, add_device, add_job, busy, insert, say
from tools.fleet.cli import main
from tools.fleet.export import write
from tools.fleet.export.cli import KINDS as NAMES
from tools.fleet.export.columns import KINDS
from tools.fleet.store import Store, open_store

Reports = pytest.CaptureFixture[str]
DAY = 86_400
FORMS = ("csv", "parquet")


@pytest.fixture
def store(tmp_path: Path, store_url: str) -> Store:
    (tmp_path / "fleet.toml").write_text(f"[store]\nurl = {json.dumps(store_url)}\n")
    store = open_store(store_url)
    add_device(store, "box-1", grp="shops", certificate_end=NOW + DAY)
    add_device(store, "box-2", grp="offices", state="offline")
    insert(store, "groups", name="not-shops", query="not group=shops")
    for seq in range(6):
        start = NOW - seq * DAY
        say(store, "box-1", busy(DEMO, seq, start=start), start + 10)
    empty = (summary(0, policy=policy("retail-eu")) for _ in range(1000))
    say(store, "box-2", next(each for each in empty if each.visits is None), NOW)
    say(store, "box-2", busy(policy("retail-eu"), 1), NOW)
    say(store, "box-2", busy(LISTENING, 2), NOW)
    insert(store, "events", device="box-1", boot="0a1b2c3d", seq=0, code="paused", count=1,
           at=None, offset_s=10, received=NOW, sha256="0" * 64)  # fmt: skip
    insert(store, "health", device="box-1", received=NOW, boot=None, perception="absent", fps=0,
           temperature=None, power="good", memory=64, disk="ample", waiting=0, trimmed=0,
           clock="ntp")  # fmt: skip
    add_job(store, "00" * 8, "box-1", "FAILED", reason="crashed", step="ROLLED_BACK",
            ended_at=NOW)  # fmt: skip
    return store


def export(folder: Path, *words: str) -> int:
    return main(["export", "--fleet", str(folder), *words])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", FORMS)
def test_every_kind_in_every_form(
    store: Store, tmp_path: Path, capsys: Reports, name: str, form: str
) -> None:
    out = tmp_path / f"{name}.{form}"
    assert export(tmp_path, name, "--format", form, "--out", str(out), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    kind = KINDS[name]
    names = [column.name for column in kind.columns]
    expected = store.tuples(f"SELECT COUNT(*) FROM {kind.source}")[0][0]
    assert told == {"file": str(out), "kind": name, "rows": expected}
    assert (out.stat().st_mode & 0o777) == 0o600
    if form == "csv":
        assert out.read_text().splitlines()[0].split(",") == names
        assert len(rows(out)) == expected
        return
    table = pq.read_table(out)
    assert (table.column_names, table.num_rows) == (names, expected)
    for column in kind.columns:
        found = {key.decode(): value.decode()
                 for key, value in table.schema.field(column.name).metadata.items()}  # fmt: skip
        assert found["about"].endswith(".")
        assert found["unit"] == column.unit
        if column.type == "time":
            assert str(table.schema.field(column.name).type) == "timestamp[ms, tz=UTC]"
        assert found.get("noise_b", "") in ("", *names)


def test_both_forms_say_the_same(store: Store, tmp_path: Path) -> None:
    for form in FORMS:
        assert export(tmp_path, "slots", "--format", form, "--out", str(tmp_path / form)) == 0
    for text, typed in zip(
        rows(tmp_path / "csv"), pq.read_table(tmp_path / "parquet").to_pylist(), strict=True
    ):
        for column in KINDS["slots"].columns:
            value = typed[column.name]
            shown = "" if value is None else value
            if column.type == "time":
                shown = value.strftime("%Y-%m-%dT%H:%M:%SZ")
            elif column.type == "truth":
                shown = "true" if value else "false"
            elif column.type == "number" and value is not None:
                shown = format(value, ".6g")
            assert text[column.name] == str(shown), column.name


def test_each_count_says_how_much_noise_it_carries(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "slots.csv"
    assert export(tmp_path, "slots", "--device", "box-1", "--out", str(out)) == 0
    exact = rows(out)
    assert {row["noised"] for row in exact} == {"false"}
    assert {row["visits_b"] for row in exact} == {"0"}
    assert {row["visits_deviation"] for row in exact} == {"0"}
    counts = KINDS["slots"].columns
    noisy = {column.name: column for column in counts if column.noise}
    assert set(noisy) == {name for names in CELL_FIGURES.values() for name in names}
    assert noisy["micro_analysable_seconds"].factor == SECONDS
    own = {noisy.pop("micro_expected_false_alarms_tenths").noise}
    assert own == {"micro_expected_false_alarms_b"}
    assert {column.noise for column in noisy.values()} == {f"{cell}_b" for cell in CELLS}
    assert export(tmp_path, "slots", "--device", "box-2", "--out", str(out)) == 0
    assert {row["noised"] for row in rows(out)} == {"true", "false"}
    withheld, noised, _ = rows(out)
    assert withheld["visits"] == withheld["visits_b"] == ""
    assert "visits:below_k" in withheld["withheld"]
    rules = policy("retail-eu")
    for cell in rules.cells:
        assert float(noised[f"{cell}_b"]) == pytest.approx(
            float(SENSITIVITY[cell] / rules.epsilon(cell)), rel=1e-4
        )
    assert float(noised["visits_deviation"]) == pytest.approx(5.5 * 2**0.5, rel=0.01)


@pytest.mark.parametrize("visits", [30, 1_000, 60_000, 80_000])
def test_expected_false_alarms_have_the_noise_of_the_seconds_times_the_rate(
    store: Store, tmp_path: Path, visits: int
) -> None:
    for seq in range(20):
        each = busy(policy("retail-eu"), 10 + seq, visits=visits, false_alarms=0.66)
        say(store, "box-3", each, NOW)
    say(store, "box-3", busy(DEMO, 1, visits=visits, false_alarms=0.66), NOW)
    out = tmp_path / "slots.csv"
    assert export(tmp_path, "slots", "--device", "box-3", "--out", str(out)) == 0
    *noised, exact = rows(out)[1:] + rows(out)[:1]
    assert exact["micro_expected_false_alarms_b"] == "0"
    for row in noised:
        most = row["micro_expected_false_alarms_tenths"] in ("10200", "-10200")
        if most or row["micro_analysable_seconds"] in ("", "0"):  # withheld, or as the noise had it
            assert row["micro_expected_false_alarms_b"] == ""
            continue
        found = float(row["micro_expected_false_alarms_b"])
        tenths, seconds = (
            abs(int(row[f"micro_{name}"]))
            for name in ("expected_false_alarms_tenths", "analysable_seconds")
        )
        true = float(row["micro_b"]) * SECONDS * 10 * 0.66 / 60
        assert found >= true
        # as close as the rounded numbers allow
        half_tenths = 50.5 if tenths >= 2000 else 10.5 if tenths >= 100 else 0.5
        half_seconds = 300 if seconds >= 24_000 else 60 if seconds >= 1000 else 0
        off = (half_tenths / 0.11 + half_seconds) / seconds
        assert found <= true * (1 + 2.5 * off)


def test_columns_are_those_of_the_database(store: Store) -> None:
    """Every column is read from one that is there; `slots` leaves none out."""
    (row,) = store.execute("SELECT * FROM slots LIMIT 1")
    shown = {column.sql or column.name for column in KINDS["slots"].columns}
    assert set(row) - shown == {"timed"}


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ((), 9),
        (("--device", "box-1"), 6),
        (("--device", "box-1", "--device", "box-2"), 9),
        (("--group", "shops"), 6),
        (("--group", "not-shops"), 3),
        (("--group", "not-shops", "--device", "box-1", "--device", "box-2"), 3),
        (("--from", "2027-01-13", "--device", "box-1"), 3),
        (("--to", "2027-01-13", "--device", "box-1"), 4),
        (("--from", "2027-01-13", "--to", "2027-01-13", "--device", "box-1"), 1),
        (("--from", "2027-01-15T09:00", "--device", "box-1"), 0),
    ],
)
def test_rows_are_chosen(
    store: Store, tmp_path: Path, capsys: Reports, words: Sequence[str], number: int
) -> None:
    out = tmp_path / "x.csv"
    assert export(tmp_path, "summaries", "--out", str(out), "--json", *words) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == number == len(rows(out))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--device", "nobody"), "knows no device nobody"),
        (("--device", "a;DROP"), "is no device's id"),
        (("--group", "nowhere"), "No such device is in the group"),
        (("--group", "shops", "--device", "box-2"), "No such device is in"),
        (("--from", "soon"), "is no time"),
        (("--from", "2027-01-13", "--to", "2027-01-12"), "Exchange them"),
        (("--out", "no/such/x.csv"), "Make it first"),
        (("--out", "."), "no ordinary file"),
    ],
)
def test_what_is_asked_wrongly_is_refused(
    store: Store, tmp_path: Path, capsys: Reports, monkeypatch: pytest.MonkeyPatch,
    words: Sequence[str], said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    assert export(tmp_path, "slots", *words) == 1
    assert said in capsys.readouterr().err
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path, form: str) -> None:
    out = tmp_path / "events"
    out.write_text("old")
    row = ("box-1", "0a1b2c3d", 0, NOW, None, 10, "paused", 1)

    def batches() -> Any:
        yield [row]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write.write(out, form, KINDS["events"], batches(), lambda _: None)
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]
    assert write.write(out, form, KINDS["events"], [[row]], lambda _: None) == 1
    assert out.read_bytes() != b"old"


def test_what_is_written_meanwhile_is_not_read_by_halves(store: Store) -> None:
    """A stream is of one instant, and writers go on."""
    found = store.stream("SELECT seq FROM summaries ORDER BY device, seq", (), batch=3)
    first = next(found)
    store.execute("DELETE FROM summaries")
    assert [*first, *(row for batch in found for row in batch)] == [
        (0,), (1,), (2,), (3,), (4,), (5,), (0,), (1,), (2,),
    ]  # fmt: skip
    assert store.tuples("SELECT COUNT(*) FROM summaries") == [(0,)]


@pytest.mark.slow
@pytest.mark.parametrize(("form", "batches"), [("csv", 3), ("parquet", 11)])
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, form: str, batches: int) -> None:
    row = ("box-1", NOW, "0a1b2c3d", "running", 10, 50, "good", 64, "ample", 0, 0, "ntp")

    def peak(batches: int) -> int:
        tracemalloc.start()
        write.write(
            tmp_path / "health", form, KINDS["health"],
            ([row] * 2000 for _ in range(batches)), lambda _: None,
        )  # fmt: skip
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)
    small, large = peak(batches), peak(4 * batches)
    assert large < 1.3 * small + 1_000_000


def test_columns_are_described(capsys: Reports) -> None:
    assert main(["export", "slots", "--columns"]) == 0
    output = capsys.readouterr().out
    assert "micro_b x 120" in output
    assert "visits_deviation" in output
