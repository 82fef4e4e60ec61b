"""CSV and Parquet say the same, and every column is explained."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from agent.desk.films import columns, tables
from agent.desk.films.findings import Findings
from agent.desk.films.rows import course_rows
from tests.desk.films.made import findings

HOSTILE = 'a,b;"quoted"\\xe9 \'=1.mp4'


def rows_of(found: Findings) -> dict[str, list[dict[str, Any]]]:
    return {
        "windows": list(found.windows),
        "visits": list(found.visits),
        "events": list(found.events),
    }


def written(folder: Path, label: str) -> Path:
    folder.mkdir(parents=True)
    found = findings()
    common = {"film": label, "page": folder.name}
    for name, rows in rows_of(found).items():
        tables.write_csv(folder / f"{name}.csv", columns.TABLES[name], rows, common)
    return folder


def test_films_tables_are_joined_in_csv_and_parquet(tmp_path: Path) -> None:
    folders = [written(tmp_path / "films" / each, f"{HOSTILE} {each}") for each in ("one", "two")]
    files = tables.merge(tmp_path, folders)
    assert {"visits.csv", "visits.parquet", "columns.md", "columns.json"} <= set(files)
    found = findings()
    for name, rows in rows_of(found).items():
        with (tmp_path / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            read = list(csv.DictReader(file))
        table = pyarrow.parquet.read_table(tmp_path / f"{name}.parquet").to_pylist()
        assert len(read) == len(table) == 2 * len(rows)
        assert [row["page"] for row in read] == ["one"] * len(rows) + ["two"] * len(rows)
        assert table[0]["film"] == f"{HOSTILE} one"
        for row, text, typed in zip(rows + rows, read, table, strict=True):
            for column in columns.TABLES[name][2:]:
                value = row.get(column.name)
                if value is None or value == "":
                    assert text[column.name] == ""
                    assert typed[column.name] is None
                else:
                    assert text[column.name] == str(value)
                    assert typed[column.name] == value


def test_the_parquet_file_explains_itself(tmp_path: Path) -> None:
    tables.merge(tmp_path, [written(tmp_path / "films" / "one", "one")])
    schema = pyarrow.parquet.read_schema(tmp_path / "visits.parquet")
    assert schema.field("dwell_s").metadata[b"unit"] == b"s"
    said = (tmp_path / "columns.md").read_text()
    for each in (*columns.WINDOWS, *columns.VISITS, *columns.EVENTS, *columns.COURSE):
        assert f"| `{each.name}` |" in said
        assert each.meaning


def test_rows_have_no_column_that_is_not_explained() -> None:
    found = findings()
    for name, rows in rows_of(found).items():
        known = {column.name for column in columns.TABLES[name]}
        assert {key for row in rows for key in row} <= known
    known = {column.name for column in columns.COURSE}
    rows = list(course_rows(found.course, found.cells))
    assert {key for row in rows for key in row} <= known
    assert sum(row["frames"] for row in rows) == found.frames


def test_a_policy_without_expressions_leaves_them_out() -> None:
    found = findings()
    (row, *_) = course_rows(found.course, {"visits", "dwell"})
    assert "valence" not in row
    assert "attentive" not in row
    assert "au12" not in row


def test_without_pyarrow_there_is_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "has_parquet", lambda: False)
    files = tables.merge(tmp_path, [written(tmp_path / "films" / "one", "one")])
    assert not [name for name in files if name.endswith("parquet")]
    assert not list(tmp_path.glob("*.parquet"))
