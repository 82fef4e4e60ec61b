"""Tables as CSV and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from agent.base.files import write_atomically
from agent.desk.films import columns
from agent.desk.films.columns import Column
from agent.desk.films.rows import Row

EXTRA = "pip install 'fleeting[report]'"
"""What installs the library for Parquet."""


def write_csv(path: Path, of: Sequence[Column], rows: Iterable[Row], common: Row) -> None:
    """Write rows, each with the `common` cells; UTF-8 with a header. Raises `OSError`."""

    def fill(file: IO[bytes]) -> None:
        text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow([column.name for column in of])
        for row in rows:
            whole = common | row
            writer.writerow([_cell(whole.get(column.name)) for column in of])
        text.detach()

    write_atomically(path, fill)


def _cell(value: Any) -> Any:
    return "" if value is None else value


def merge(out: Path, folders: Sequence[Path]) -> list[str]:
    """Join the films' tables in the order of their folders; returns the names of the files written.

    Memory does not grow with their number. Parquet is written where pyarrow is installed. Raises
    `OSError`.
    """
    written = []
    for name, of in columns.TABLES.items():

        def join(file: IO[bytes], name: str = name, of: Sequence[Column] = of) -> None:
            file.write((",".join(column.name for column in of) + "\r\n").encode())
            for folder in folders:
                with (folder / f"{name}.csv").open("rb") as each:
                    each.readline()  # the header
                    while block := each.read(1 << 20):
                        file.write(block)

        write_atomically(out / f"{name}.csv", join)
        written.append(f"{name}.csv")
    if has_parquet():
        for name, of in columns.TABLES.items():
            _parquet(out / f"{name}.csv", out / f"{name}.parquet", of)
            written.append(f"{name}.parquet")
    write_atomically(out / "columns.md", columns.as_markdown().encode())
    text = json.dumps(columns.as_json(), indent=1, ensure_ascii=False)
    write_atomically(out / "columns.json", text.encode())
    return [*written, "columns.md", "columns.json"]


def has_parquet() -> bool:
    """Whether pyarrow is installed."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True


def _parquet(source: Path, target: Path, of: Sequence[Column]) -> None:
    """The CSV's rows with types and, in each field's metadata, unit and meaning."""
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    kinds: Mapping[str, Any] = {
        "text": pyarrow.string(), "int": pyarrow.int64(), "float": pyarrow.float64(),
    }  # fmt: skip
    schema = pyarrow.schema(
        [
            pyarrow.field(c.name, kinds[c.type], metadata={"unit": c.unit, "meaning": c.meaning})
            for c in of
        ]
    )
    # text that is empty is text, numbers that are empty are null
    reading = pyarrow.csv.ConvertOptions(
        column_types={c.name: kinds[c.type] for c in of}, null_values=[""],
        strings_can_be_null=True, quoted_strings_can_be_null=True,
    )  # fmt: skip

    def fill(file: IO[bytes]) -> None:
        with (
            pyarrow.csv.open_csv(source, convert_options=reading) as rows,
            pyarrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer,
        ):
            for batch in rows:
                writer.write_batch(pyarrow.RecordBatch.from_arrays(batch.columns, schema=schema))

    write_atomically(target, fill)
