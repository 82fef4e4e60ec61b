"""Tables as spreadsheets and other programs save them."""

from __future__ import annotations

import gzip
import math
import os
from pathlib import Path

import pytest

from agent.desk.spot.table import TableError, opened

TEXT = "frame,timestamp,x\n1,0.5,2.25\n2,NA,\n"


def read(path: Path, data: bytes) -> list[tuple[float, float, float]]:
    path.write_bytes(data)
    with opened(path) as table:
        assert table.columns == ["frame", "timestamp", "x"]
        return [
            (table.number(row, "frame"), table.number(row, "timestamp"), table.number(row, "x"))
            for row in table.rows()
        ]


GERMAN = TEXT.replace(",", ";").replace(".", ",")


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        TEXT.replace("\n", "\r").encode(),
        TEXT.replace("\n", "\r\n\r\n").encode(),
        TEXT.replace(",", ", ").encode(),
        TEXT.replace(",", '", "').replace("\n", '"\n"').removesuffix('"').join(['"', ""]).encode(),
        TEXT.replace(",", "\t").encode("utf-16"),
        TEXT.replace(",", ";").encode(),
        GERMAN.encode(),
        GERMAN.replace(";", "\t").encode(),
        b"sep=;\r\n" + GERMAN.encode("cp1252"),
        TEXT.replace("\n1", "\n , \n1").encode(),
        TEXT.replace("2.25\n", "2.25,,\n").encode(),
        TEXT.replace("NA", "-nan(ind)").encode(),
    ],
)
def test_each_way_to_save_it_is_the_same_table(tmp_path: Path, data: bytes) -> None:
    first, second = read(tmp_path / "a.csv", data)
    assert first == (1.0, 0.5, 2.25)
    assert second[0] == 2.0
    assert math.isnan(second[1])
    assert math.isnan(second[2])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress(TEXT.encode()), "is compressed.*Unpack it"),
        (b"PK\3\4" + bytes(90), "spreadsheet's own file"),
        (TEXT.encode("utf-16-le"), "is no text"),
        (bytes(100), "is no text"),
        (b"fr\xe9me,x\n", "no UTF-8"),
        (b"\xff\xfea", "no UTF-8"),
        (b"x,y,x\n1,2,3\n", "column x more than once"),
        (TEXT.replace("2.25", '"2,25"').encode(), "line 2: x is '2,25', no number. Decimal points"),
        (b"sep=,\n" + TEXT.replace("2.25", "few").encode(), "line 3: x is 'few', no number"),
        (TEXT.replace("2.25", "9" * 200_000).encode(), "line 2: field larger"),
        (TEXT.replace(",2.25", "").encode(), "line 2 has 2 cells, the first 3"),
        (TEXT.replace("2.25", "2.25,7").encode(), "line 2 has 4 cells, the first 3"),
    ],
)
def test_what_is_none_is_named(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(TableError, match=said):
        read(tmp_path / "a.csv", data)


def test_pipes_and_folders_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    for path in (tmp_path / "a.csv", tmp_path, tmp_path / "none.csv"):
        with (
            pytest.raises(TableError, match=r"cannot be read: .*\. Check the path\."),
            opened(path),
        ):
            pass
