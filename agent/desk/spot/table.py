"""Tables that other programs write, row by row: CSV with commas, semicolons or tabs.

A spreadsheet where the comma is the decimal mark separates by semicolons, and says so in a first
line `sep=;`, or saves tabs in UTF-16; R and pandas write `NA` where there is no number.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import itertools
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from agent.base.files import refuse_endless
from agent.base.names import one_line
from agent.desk.spot.track import TrackError

_PACKED = (b"PK\3\4", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"\xd0\xcf\x11\xe0")
"""Archives, compressed files and spreadsheets."""
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NONE = frozenset({"", "na", "n/a", "nan", "-nan", "nan(ind)", "-nan(ind)", "null", "none"})
"""No number, in small letters."""
_MOST_HEADER = 1_000_000
"""Characters."""


class TableError(TrackError):
    """A table cannot be read. The sentence names the file."""


class Table:
    """An open one, past its first line."""

    def __init__(self, file: IO[str], path: Path) -> None:
        """`file`: with `newline=""`. Raises `TableError`."""
        self._name = one_line(path)
        first = file.readline(_MOST_HEADER)
        self._skipped = int(first.lower().startswith("sep="))
        if self._skipped:
            first = file.readline(_MOST_HEADER)
        counts = {each: first.count(each) for each in ",;\t"}
        separator = max(counts, key=counts.__getitem__)
        self._comma = separator != ","
        self._reader = csv.reader(
            itertools.chain([first], file), delimiter=separator, skipinitialspace=True
        )
        self.columns = [name.strip() for name in next(self._reader, [])]
        """In order; names may be empty."""
        twice = [name for name, many in Counter(self.columns).items() if name and many > 1]
        if twice:
            raise TableError(
                f"{self._name} has the column {one_line(twice[0])} more than once. Leave one."
            )

    @property
    def line(self) -> int:
        """Of the row that was read last."""
        return self._reader.line_num + self._skipped

    def rows(self) -> Iterator[dict[str, str]]:
        """Cells by column; lines without any are left out. Raises `TableError`."""
        many = len(self.columns)
        for cells in self._reader:
            if len(cells) != many:
                if not any(map(str.strip, cells)):
                    continue
                if len(cells) < many or any(map(str.strip, cells[many:])):
                    raise TableError(
                        f"{self._name}, line {self.line} has {len(cells)} cells, the first "
                        f"{many}: the file was cut off or edited."
                    )
            yield dict(zip(self.columns, cells, strict=False))

    def number(self, row: dict[str, str], column: str) -> float:
        """NaN where there is none. Raises `TableError`."""
        cell = row[column].strip()
        try:
            return float(cell.replace(",", ".") if self._comma else cell)
        except ValueError:
            if cell.lower() in _NONE:
                return math.nan
        hint = (
            " Decimal points are needed, not commas." if "," in cell else " Leave such cells empty."
        )
        raise TableError(
            f"{self._name}, line {self.line}: {column} is {one_line(cell[:20])!r}, no number.{hint}"
        )


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Table]:
    """A table, for as long as it is read. Raises `TableError`, also for what goes wrong later."""
    name = one_line(path)
    table = None
    try:
        refuse_endless(path)
        with path.open("rb") as binary:
            head = binary.read(4096)
        if head.startswith(_PACKED):
            raise TableError(
                f"{name} is compressed, or a spreadsheet's own file. Unpack it, or save the table "
                "as CSV."
            )
        wide = head.startswith(_UTF16)
        if b"\0" in head and not wide:
            raise TableError(f"{name} is no text. Save the table as CSV in UTF-8.")
        encoding = "utf-16" if wide else "utf-8-sig"
        with path.open(newline="", encoding=encoding) as file:
            table = Table(file, path)
            yield table
    except OSError as error:
        raise TableError(f"{name} cannot be read: {error.strerror}. Check the path.") from None
    except UnicodeError:
        raise TableError(f"{name} is no UTF-8: save it as such.") from None
    except csv.Error as error:
        line = 1 if table is None else table.line
        raise TableError(f"{name}, line {line}: {error}. Save the table anew.") from None
