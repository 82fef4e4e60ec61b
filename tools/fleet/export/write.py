"""CSV and Parquet: a file that is there whole or not at all, written in constant memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from agent.base.files import write_atomically
from tools.common.errors import ToolError
from tools.fleet.export.columns import Column, Kind

Batches = Iterable[Sequence[Sequence[Any]]]
Written = Callable[[int], None]
"""Told the number of rows so far."""
_GROUP = 20_000
"""Rows of a row group of Parquet."""


def write(path: Path, form: str, kind: Kind, batches: Batches, told: Written) -> int:
    """Write `csv` or `parquet`; returns the number of rows. Raises `ToolError`: then the file is
    as it was before."""
    writer = {"csv": _csv, "parquet": _parquet}[form]
    number = 0

    def counted() -> Batches:
        nonlocal number
        for batch in batches:
            yield batch
            number += len(batch)
            told(number)

    try:
        write_atomically(path, lambda file: writer(file, kind, counted()), 0o600)
    except OSError as error:
        raise ToolError(
            f"{path} cannot be written: {error.strerror or error}. Nothing was exported."
        ) from None
    return number


def check_target(path: Path) -> None:
    """Raises `ToolError` before the work begins, where the file cannot be one."""
    if not path.absolute().parent.is_dir():
        raise ToolError(f"The folder {path.absolute().parent} is not there. Make it first.")
    if path.exists() and not path.is_file():
        raise ToolError(f"{path} is no ordinary file. Name another.")


def _csv(file: IO[bytes], kind: Kind, batches: Batches) -> None:
    """RFC 4180, UTF-8, a header, ISO 8601 times; an empty field is a value that is missing."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        out = csv.writer(text)
        out.writerow([column.name for column in kind.columns])
        shapes = [_TEXT.get(column.type, _plain) for column in kind.columns]
        for batch in batches:
            out.writerows(
                [
                    "" if value is None else shape(value)
                    for shape, value in zip(shapes, row, strict=True)
                ]
                for row in batch
            )
    finally:
        text.detach()  # flushes; the file stays open


def _plain(value: Any) -> Any:
    return value


def _iso(value: Any) -> str:
    return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_TEXT: dict[str, Callable[[Any], Any]] = {
    "time": _iso,
    "truth": lambda value: "true" if value else "false",
    "number": lambda value: format(value, ".6g"),
}


def _parquet(file: IO[bytes], kind: Kind, batches: Batches) -> None:
    """Typed columns; unit, meaning and noise stand in each field's metadata."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ToolError(
            "Parquet needs pyarrow. Install it: pip install 'fleeting[fleet]', or choose csv."
        ) from None
    types = {
        "text": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "truth": pa.bool_(),
        "time": pa.timestamp("ms", tz="UTC"),  # Parquet knows no seconds
    }
    schema = pa.schema(
        [
            pa.field(column.name, types[column.type], metadata=metadata(column))
            for column in kind.columns
        ],
        metadata={"fleeting.kind": kind.name},
    )
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        waiting: list[Sequence[Any]] = []
        for batch in batches:
            waiting += batch
            if len(waiting) >= _GROUP:
                writer.write_table(_table(pa, schema, waiting))
                waiting = []
        if waiting:
            writer.write_table(_table(pa, schema, waiting))


def _table(pa: Any, schema: Any, rows: Sequence[Sequence[Any]]) -> Any:
    values = zip(*rows, strict=True)
    seconds = pa.timestamp("s", tz="UTC")
    return pa.table(
        [
            pa.array(each, type=seconds).cast(field.type)
            if pa.types.is_timestamp(field.type)
            else pa.array(each, type=field.type)
            for each, field in zip(values, schema, strict=True)
        ],
        schema=schema,
    )


def metadata(column: Column) -> dict[str, str]:
    """Of a Parquet field."""
    noise = {"noise_b": column.noise, "noise_factor": f"{column.factor:g}"} if column.noise else {}
    return {"unit": column.unit, "about": column.about, **noise}
