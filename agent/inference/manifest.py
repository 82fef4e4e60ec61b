"""`models/manifest.toml`: tensors, parameters and SHA-256 of each model file.

Standard library only, so that `tflite_runtime` on NumPy 1 can use it too.
"""

from __future__ import annotations

import hashlib
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NoReturn

from agent.base.errors import ModelError

FORMAT = 1
SETS = ("research", "clean")
"""Trained on all sources, or only on those whose licences allow any use. A table without `set`
belongs to the first."""
ADVICE = "Install the package again, or point `models` at a complete folder."
Parameter = float | int | str | bool | tuple[float, ...] | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Declaration of an input or output tensor."""

    name: str
    """Name used by the code."""
    tensor: str
    """Name in the model file."""
    index: int
    """Position in `get_input_details()` or `get_output_details()`."""
    shape: tuple[int, ...]
    dtype: Literal["int8", "float32"]
    scale: float
    """Real value = scale * (stored value - zero_point); 1.0 and 0 for float32."""
    zero_point: int
    range: tuple[float, float]
    """Least and greatest real value."""


@dataclass(frozen=True, slots=True)
class WeightsEntry:
    """Manifest entry of a weights file."""

    name: str
    file: Path
    """Inside the models folder."""
    sha256: str
    training_data: tuple[str, ...]
    terms: str
    parameters: Mapping[str, Parameter]
    """Parameters for decoding the outputs."""

    def read(self) -> bytes:
        """The file's bytes, verified. Raises `ModelError` when it is absent or altered."""
        try:
            content = self.file.read_bytes()
        except OSError as error:
            raise ModelError(
                f"Model {self.name!r}: {self.file} cannot be read ({error.strerror}). {ADVICE}"
            ) from None
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise ModelError(
                f"Model {self.name!r}: {self.file} is not the file that the manifest describes "
                f"(sha256 {found[:16]}… instead of {self.sha256[:16]}…). It was altered or only "
                f"half copied; nothing runs. {ADVICE}"
            )
        return content


@dataclass(frozen=True, slots=True)
class ModelEntry(WeightsEntry):
    """Manifest entry of a TFLite model."""

    delegated: float
    """Share of the graph's nodes delegated to XNNPACK, in [0, 1]."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    which: str = SETS[0]
    """Its set, of `SETS`."""
    optional: bool = False
    """Whether a set may lack it; what needs it is then off."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The models of one set."""

    path: Path
    models: Mapping[str, ModelEntry]
    which: str = SETS[0]
    """Which of `SETS`."""
    weights: Mapping[str, WeightsEntry] = field(default_factory=dict)
    """Of networks run by `agent.kernels`; shared by all sets."""

    @property
    def hash16(self) -> str:
        """16 hex digits that identify the set: SHA-256 over each entry's name and hash."""
        entries = [*self.models.values(), *self.weights.values()]
        lines = sorted(f"{entry.name} {entry.sha256}\n" for entry in entries)
        return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]

    def entry(self, name: str) -> ModelEntry:
        """The model called `name`. Raises `ModelError` when there is none."""
        try:
            return self.models[name]
        except KeyError:
            listed = ", ".join(self.models) or "none"
            raise ModelError(
                f"{self.path} has no model {name!r} (it lists: {listed}). {ADVICE}"
            ) from None

    def network(self, name: str) -> WeightsEntry:
        """The weights called `name`. Raises `ModelError` when there are none."""
        try:
            return self.weights[name]
        except KeyError:
            raise ModelError(f"{self.path} has no weights {name!r}. {ADVICE}") from None

    def parameters(self, name: str) -> Mapping[str, Any]:
        """The parameters of the model called `name`. Raises `ModelError` when there is none."""
        return self.entry(name).parameters


def models_folder(configured: Path | None) -> Path:
    """The models folder: the configured one, else `models` in the installed package, else `models`
    beside it as in a source tree. Raises `ModelError` when there is none.
    """
    package = Path(__file__).resolve().parents[1]
    folders = (configured,) if configured else (package / "models", package.parent / "models")
    for folder in folders:
        if (folder / "manifest.toml").is_file():
            return folder
    raise ModelError(
        f"No models: there is no manifest.toml in {' or '.join(map(str, folders))}. {ADVICE}"
    )


def load_manifest(folder: Path, which: str = SETS[0]) -> Manifest:
    """Read one set of `manifest.toml`.

    Raises `ModelError` when the manifest is absent, malformed, has unknown keys, or the set lacks a
    model that another set has and that is not optional. Model files are verified when
    `ModelEntry.read` opens them.
    """
    path = folder / "manifest.toml"
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}). {ADVICE}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not valid TOML: {error}. {ADVICE}") from None
    top = _Table(data, path, "the file")
    if (found := top.take("format", int)) != FORMAT:
        top.refuse("format", f"is {found}; this version reads {FORMAT}")
    entries = [_entry(table, folder) for table in top.tables("model")]
    weights = []
    if "weights" in top.data:
        weights = [_weights(table, folder) for table in top.tables("weights")]
    top.end()
    names = [(entry.which, entry.name) for entry in entries]
    if len(set(names)) != len(names):
        top.refuse("model", "has the same name twice")
    models = {entry.name: entry for entry in entries if entry.which == which}
    needed = dict.fromkeys(entry.name for entry in entries if not entry.optional)
    missing = [name for name in needed if name not in models]
    if missing:
        others = ", ".join(dict.fromkeys(e.which for e in entries if e.which != which))
        raise ModelError(
            f"{path}: the set of models {which!r} is incomplete, it lacks {', '.join(missing)}. "
            f"Set `model_set` to another ({others}), or install a complete set."
        )
    return Manifest(path, models, which, {entry.name: entry for entry in weights})


class _Table:
    """Strict reader of one TOML table; `end` refuses keys that were not read."""

    def __init__(self, data: Mapping[str, Any], path: Path, where: str) -> None:
        self.data = dict(data)
        self.path = path
        self.where = where

    def refuse(self, key: str, problem: str) -> NoReturn:
        raise ModelError(f"{self.path}: {key!r} in {self.where} {problem}. {ADVICE}")

    def take(self, key: str, kind: type[Any]) -> Any:
        if key not in self.data:
            self.refuse(key, "is missing")
        value = self.data.pop(key)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            self.refuse(key, f"must be {kind.__name__}, not {value!r}")
        if kind is float and not math.isfinite(value):
            self.refuse(key, "must be a finite number")
        return value

    def numbers(self, key: str, kind: type[Any]) -> tuple[Any, ...]:
        values = self.take(key, list)
        if any(type(v) is not kind and not (kind is float and type(v) is int) for v in values):
            self.refuse(key, f"must be a list of {kind.__name__}, not {values!r}")
        return tuple(kind(v) for v in values)

    def tables(self, key: str) -> list[_Table]:
        tables = self.take(key, list)
        if not tables or not all(isinstance(table, dict) for table in tables):
            self.refuse(key, f"must be one or more [[{key}]] tables")
        return [_Table(t, self.path, f"[[{key}]] {t.get('name', '?')}") for t in tables]

    def end(self) -> None:
        if self.data:
            self.refuse(sorted(self.data)[0], "is an unknown key")


def _entry(table: _Table, folder: Path) -> ModelEntry:
    which = table.take("set", str) if "set" in table.data else SETS[0]
    if which not in SETS:
        table.refuse("set", f"must be one of {', '.join(SETS)}, not {which!r}")
    entry = ModelEntry(
        **_common(table, folder),
        delegated=_share(table, "delegated"),
        inputs=tuple(_tensor(t) for t in table.tables("input")),
        outputs=tuple(_tensor(t) for t in table.tables("output")),
        which=which,
        optional=table.take("optional", bool) if "optional" in table.data else False,
    )
    names = [tensor.name for tensor in entry.outputs]
    if len(set(names)) != len(names):
        table.refuse("output", "has the same name twice")
    table.end()
    return entry


def _weights(table: _Table, folder: Path) -> WeightsEntry:
    entry = WeightsEntry(**_common(table, folder))
    table.end()
    return entry


def _common(table: _Table, folder: Path) -> dict[str, Any]:
    """Fields that both kinds of entry share."""
    return {
        "name": table.take("name", str),
        "file": _file(table, folder),
        "sha256": _sha256(table),
        "training_data": table.numbers("training_data", str),
        "terms": table.take("terms", str),
        "parameters": _parameters(table),
    }


def _file(table: _Table, folder: Path) -> Path:
    file = PurePosixPath(table.take("file", str))
    if file.is_absolute() or ".." in file.parts or "\\" in str(file) or not file.parts:
        table.refuse("file", f"must be a path inside the models folder, not {str(file)!r}")
    path = folder / file
    if not path.resolve().is_relative_to(folder.resolve()):
        table.refuse("file", f"leads out of the models folder: {str(file)!r}")
    return path


def _sha256(table: _Table) -> str:
    sha256 = table.take("sha256", str)
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        table.refuse("sha256", "must be 64 lower-case hex digits")
    return str(sha256)


def _share(table: _Table, key: str) -> float:
    share = float(table.take(key, float))
    if not 0.0 <= share <= 1.0:
        table.refuse(key, "must be in [0, 1]")
    return share


def _tensor(table: _Table) -> TensorSpec:
    spec = TensorSpec(
        name=table.take("name", str),
        tensor=table.take("tensor", str),
        index=table.take("index", int) if "index" in table.data else 0,
        shape=table.numbers("shape", int),
        dtype=table.take("dtype", str),
        scale=table.take("scale", float),
        zero_point=table.take("zero_point", int),
        range=table.numbers("range", float),  # two numbers: checked below
    )
    table.end()
    if spec.dtype not in ("int8", "float32"):
        table.refuse("dtype", f"must be int8 or float32, not {spec.dtype!r}")
    if not spec.shape or min(spec.shape) < 1:
        table.refuse("shape", f"must be positive sizes, not {list(spec.shape)}")
    if spec.scale <= 0 or not -128 <= spec.zero_point <= 127:
        table.refuse("scale", "must be above 0, with zero_point in [-128, 127]")
    if len(spec.range) != 2 or spec.range[0] >= spec.range[1]:
        table.refuse("range", f"must be [low, high], not {list(spec.range)}")
    return spec


def _parameters(table: _Table) -> Mapping[str, Parameter]:
    """Model-specific parameters: scalars or flat lists, under any name."""
    values = table.take("parameters", dict) if "parameters" in table.data else {}
    found: dict[str, Parameter] = {}
    for key, value in values.items():
        if isinstance(value, list) and all(
            isinstance(v, int | float | str) and not isinstance(v, bool) for v in value
        ):
            found[key] = tuple(value)
        elif isinstance(value, int | float | str):
            found[key] = value
        else:
            table.refuse(f"parameters.{key}", "must be a number, text or a flat list of them")
    return found
