"""Writing `models/manifest.toml`: one table per file, read from the file itself."""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.common.files import MODELS, save_atomically
from tools.train.lite import LiteModel, Tensor, delegated_share

FORMAT = 1
SETS = {"all": "research", "clean": "clean"}
"""Set of models by the training data, as `--data` names it."""
OPTION = {"research": "", "clean": " --data clean"}
"""Option of the training command, by set."""
ORDER = ("detector", "landmarks", "expression", "activity")
_NESTED = ("input", "output", "parameters")
Number = float | int | Sequence[float]


def entry(
    name: str,
    file: Path,
    outputs: Sequence[str],
    training_data: Sequence[str],
    terms: str,
    parameters: Mapping[str, Number],
    ranges: Mapping[str, tuple[float, float]] | None = None,
    models: Path = MODELS,
    which: str = "research",
    optional: bool = False,
) -> dict[str, Any]:
    """The table of one model.

    Parameters
    ----------
    name
        `detector`, `landmarks`, `expression`, …
    file
        The int8 `.tflite` file, already in its place below `models`.
    outputs
        Names of the outputs, in the order of the converted network's tuple.
    ranges
        Value range per float32 output (int8 outputs give their own).
    which
        The set that the model belongs to, a value of `SETS`.
    parameters
        Numbers and lists of numbers that the code needs to read the outputs.
    optional
        Whether a set may lack the model.
    """
    content = file.read_bytes()
    model = LiteModel(content)
    if len(outputs) != len(model.outputs):
        raise ValueError(f"{file} has {len(model.outputs)} outputs; {len(outputs)} names given.")
    return {
        "name": name,
        "set": which,
        **({"optional": True} if optional else {}),
        "file": file.relative_to(models).as_posix(),
        "sha256": hashlib.sha256(content).hexdigest(),
        "delegated": round(delegated_share(content), 4),
        "training_data": list(training_data),
        "terms": terms,
        "input": [_table("image", model.input, None)],
        "output": [
            _table(output, tensor, (ranges or {}).get(output))
            for output, tensor in zip(outputs, model.outputs, strict=True)
        ],
        "parameters": dict(parameters),
    }


def write(table: Mapping[str, Any], models: Path = MODELS) -> None:
    """Add `table` to the manifest, or put it in the place of the one of its name and set.

    The other tables stay as they are. The file is replaced whole, under a lock, so that two
    trainings that end together lose nothing.
    """
    _replace("model", table, models)


def write_weights(
    name: str,
    file: Path,
    training_data: Sequence[str],
    terms: str,
    parameters: Mapping[str, Number],
    models: Path = MODELS,
) -> None:
    """As `write`, for a file of numbers that a kernel of our own runs: a `[[weights]]` table."""
    table = {
        "name": name,
        "file": file.relative_to(models).as_posix(),
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "training_data": list(training_data),
        "terms": terms,
        "parameters": dict(parameters),
    }
    _replace("weights", table, models)


def _replace(kind: str, table: Mapping[str, Any], models: Path) -> None:
    path = models / "manifest.toml"
    folder = os.open(models, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        known = tomllib.loads(path.read_text()) if path.is_file() else {}
        tables = {name: list(known.get(name, [])) for name in ("model", "weights")}
        kept = [other for other in tables[kind] if _key(other) != _key(table)]
        tables[kind] = sorted([*kept, table], key=_key)
        text = render(tables["model"], tables["weights"])
        back = tomllib.loads(text)
        if any(back.get(name, []) != tables[name] for name in tables):
            raise ValueError("The manifest does not read back as it was written.")
        save_atomically(path, text.encode())
    finally:
        os.close(folder)


def render(tables: Sequence[Mapping[str, Any]], weights: Sequence[Mapping[str, Any]] = ()) -> str:
    """The whole file as TOML 1.0."""
    lines = [
        "# Written by tools/train; read and verified by agent/inference.",
        f"format = {FORMAT}",
    ]
    for kind, entries in (("model", tables), ("weights", weights)):
        for table in entries:
            lines += ["", f"[[{kind}]]"]
            lines += [f"{k} = {_value(table[k])}" for k in table if k not in _NESTED]
            for part in ("input", "output"):
                for tensor in table.get(part, ()):
                    lines += ["", f"[[{kind}.{part}]]"]
                    lines += [f"{k} = {_value(v)}" for k, v in tensor.items()]
            lines += ["", f"[{kind}.parameters]"]
            lines += [f"{k} = {_value(v)}" for k, v in table["parameters"].items()]
    return "\n".join(lines) + "\n"


def model_folder(name: str, which: str, models: Path = MODELS) -> Path:
    """Where a model of a set lies: `models/<name>`, or `models/<name>/clean`."""
    return models / name if which == SETS["all"] else models / name / which


def _key(table: Mapping[str, Any]) -> tuple[bool, str, int, str]:
    """Tables of one set together; a table without `set` is of the first."""
    which, name = table.get("set", SETS["all"]), table["name"]
    place = ORDER.index(name) if name in ORDER else len(ORDER)
    return which != SETS["all"], which, place, name


def _table(name: str, tensor: Tensor, span: tuple[float, float] | None) -> dict[str, Any]:
    low, high = span if span and tensor.dtype == "float32" else tensor.range
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"Output {name!r} is float32: state its range.")
    return {
        "name": name,
        "tensor": tensor.tensor,
        "index": tensor.index,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype,
        "scale": tensor.scale,
        "zero_point": tensor.zero_point,
        "range": [round(low, 6), round(high, 6)],
    }


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=True)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no place in a manifest.")
        return repr(value)
    if isinstance(value, Sequence):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    raise TypeError(f"{type(value).__name__} has no place in a manifest.")
