"""Golden vectors: what a model answered where it was made, to see that it answers so here.

They lie beside each model file (`model.tflite`, `model.golden.npz`). Inputs are patterns of whole
numbers, the same on every machine, and are not stored; of long outputs a part is.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.base.errors import ModelError, reason
from agent.base.types import Float, Grey

PATTERNS = 3
_KEPT = 512
"""Values of an output that are stored."""
_MAX_BYTES = 1_000_000
TOLERANCE = 0.05
"""Of the spread of an output's golden values: the mean difference. Integer kernels of other
processors round otherwise, by a step or two of 255 per layer; a model with other weights, or a
runtime that is wrong, is off by a multiple of this."""
WORST = 0.35
"""Of the same spread: the greatest difference."""

_LEAST = 0.1
"""Of an output's range: what counts as its spread at least."""

Answer = Callable[[int], Mapping[str, Float]]
"""The outputs by name for the pattern of a number from 0 to `PATTERNS` - 1."""


def path_of(file: Path) -> Path:
    """Where the golden vectors of a model file are."""
    return file.with_name(f"{file.stem}.golden.npz")


def picture(size: tuple[int, int], number: int) -> Grey:
    """A pattern as a picture, uint8[H, W]: blobs on a slope, with some texture."""
    rows, columns = np.indices(size, np.int64)
    height, width = size
    slope = (rows * 90) // height + (columns * (40 + 30 * number)) // width
    y, x = height * (3 + number) // 8, width * (5 - number) // 8
    distance = (rows - y) ** 2 * 4 + (columns - x) ** 2 * 5
    blob = 120 * (distance < (height * width) // 9)
    texture = (rows * 7 + columns * (11 + 2 * number) + (rows * columns) % 13) % 17
    found: Grey = ((slope + blob + texture) % 256).astype(np.uint8)
    return found


def vector(length: int, number: int) -> Float:
    """A pattern as float32[length] in [-1, 1]."""
    found: Float = (
        ((np.arange(length) * (7 + 4 * number) + 3 * number) % 41 - 20).astype(np.float32) / 20
    ).astype(np.float32)
    return found


def thinned(value: Float) -> Float:
    """What is stored of an output."""
    flat = np.asarray(value, np.float32).ravel()
    return flat[:: max(1, -(-flat.size // _KEPT))]


def record(answer: Answer) -> bytes:
    """The golden vectors of a model that answers so, as an `.npz` file."""
    arrays = {
        f"{number}.{name}": thinned(value)
        for number in range(PATTERNS)
        for name, value in answer(number).items()
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one output from its golden values, in shares of their spread."""

    output: str
    mean: float
    worst: float

    @property
    def passed(self) -> bool:
        """Within `TOLERANCE` and `WORST`; not where a value is not finite."""
        return bool(self.mean <= TOLERANCE and self.worst <= WORST)


def verify(
    name: str, golden: Path, answer: Answer, ranges: Mapping[str, tuple[float, float]] | None = None
) -> None:
    """Compare what the model called `name` answers with its golden vectors. `ranges`: least and
    greatest value of each output, where they are known. Raises `ModelError`."""
    judge(name, differences(name, golden, answer, ranges))


def judge(name: str, found: Iterable[Difference]) -> None:
    """Raises `ModelError` where an output of the model called `name` is off by too much."""
    for each in found:
        if not each.passed:
            raise ModelError(
                f"Model {name!r} fails its golden vectors: output {each.output!r} is off by "
                f"{each.mean:.2f} of its spread, at most {TOLERANCE} may be."
            )


def differences(
    name: str, golden: Path, answer: Answer, ranges: Mapping[str, tuple[float, float]] | None = None
) -> list[Difference]:
    """As `verify`, with the differences of every output instead of a verdict on them. Raises
    `ModelError` where there is nothing to compare."""
    try:
        with open(golden, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ValueError
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            wanted = {key: np.asarray(arrays[key], np.float32) for key in arrays.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"Model {name!r}: its golden vectors {golden} cannot be read ({reason(error)}). "
            "The release is not complete."
        ) from None
    found = {
        f"{number}.{output}": thinned(value)
        for number in range(PATTERNS)
        for output, value in answer(number).items()
    }
    if not wanted or found.keys() != wanted.keys():
        raise ModelError(f"Model {name!r} has other outputs than its golden vectors.")
    for key, value in found.items():
        if value.shape != wanted[key].shape:
            output = key.partition(".")[2]
            raise ModelError(f"Model {name!r}: output {output!r} has another shape than golden.")
    return [
        _difference(output, found, wanted, (ranges or {}).get(output, (0.0, 0.0)))
        for output in sorted({key.partition(".")[2] for key in wanted})
    ]


def _difference(
    output: str,
    found: Mapping[str, Float],
    wanted: Mapping[str, Float],
    between: tuple[float, float],
) -> Difference:
    keys = [f"{number}.{output}" for number in range(PATTERNS)]
    ours = np.concatenate([found[key] for key in keys])
    theirs = np.concatenate([wanted[key] for key in keys])
    low, high = between
    # Patterns may move an output by less than rounding does.
    least = max(_LEAST * (high - low), _LEAST * float(np.abs(theirs).max()), 1e-6)
    off = np.abs(ours - theirs) / max(float(np.ptp(theirs)), least)
    return Difference(output, float(off.mean()), float(off.max()))
