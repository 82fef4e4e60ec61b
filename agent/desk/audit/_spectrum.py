"""Matching of arrays with the voice's spectrum over time: mel bands, bins of a Fourier transform,
or cepstra, as logarithms or not, in either order, at any rate of frames.

The numbers are cut into rows of every width at which they repeat. Each column, without its mean and
scale, is correlated over time with the voice's band or cepstrum at that place; the mean over
columns counts. Gain, offsets and weights of columns so make no difference.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.desk.audit._canary import PERIOD, RATE, Float

_FRAMES = 100 * PERIOD
"""Of the voice, 10 ms apart."""
_TRANSFORM, _WINDOW = 512, 400
_BANDS = 24
"""Columns that are compared; of a wider array neighbours are averaged."""
_HOPS = (0.5, 0.8, 1.0, 1.25, 1.6, 2.0, 3.2)
"""Frames of the voice per row of the array."""
MIN_WIDTH, MAX_WIDTH = 12, 520
_COMMON = (12, 13, 20, 24, 26, 32, 39, 40, 48, 64, 80, 96, 128, 129, 160, 201, 256, 257, 513)
_MIN_REPEATED = 0.2
"""Autocorrelation of the numbers at the width of a row, as of anything that changes slowly."""
_MAX_PEAKS = 4
_MIN_ROWS, _MIN_FRAMES = 20, 25
_MAX_FRAMES = 300
MIN_SCORE, _MIN_SHORT, _SHORT = 0.72, 0.9, 1.6
"""Least mean correlation of the columns: _SHORT / sqrt(frames / 10) within these, as a tenth of the
frames is independent. Another voice's spectrum reaches 0.7, that of this voice 0.85."""
_CERTAIN = 0.85
"""Score from which no better one is looked for."""
_MIN_SHAPE = 0.5
"""Least correlation of what is left without the mean of each row: numbers whose columns all run
alike have the voice's loudness at most."""
_MIN_VARIANCE = 0.05
"""Of the voice's own in a column, below which it counts as silent."""
_MEL = ((0.0, 8000.0), (60.0, 7600.0), (0.0, 4000.0))
_LINEAR = ((0.0, 8000.0), (0.0, 4000.0))
_CEPSTRA = 40
"""Widest array that may be cepstra."""


@dataclass(frozen=True, slots=True)
class SpectrumMatch:
    """An array like the voice's spectrum."""

    score: float
    kind: str
    rows: int
    columns: int
    moment: float
    """Of the voice, seconds."""

    def __str__(self) -> str:
        return (
            f"{self.rows}x{self.columns} numbers like the voice's {self.kind} from second "
            f"{self.moment:.1f} (correlation {self.score:.2f})"
        )


class SpectrumMatcher:
    """Compares series of numbers with the spectrum of one voice."""

    def __init__(self, voice: Float) -> None:
        """`voice`: float32[PERIOD * RATE]."""
        self.compared = 0
        """Arrays so far."""
        frames = np.concatenate([voice[-_WINDOW // 2 :], voice, voice[:_WINDOW]])
        view = np.lib.stride_tricks.sliding_window_view(frames, _WINDOW)[:: RATE // 100][:_FRAMES]
        spectrum = np.fft.rfft(view * np.hanning(_WINDOW), _TRANSFORM)
        self._power = (np.abs(spectrum) ** 2).astype(np.float64)
        self._references: dict[tuple[str, int, float, float], _Reference] = {}

    def __call__(
        self, values: npt.NDArray[np.float32], shape: tuple[int, ...] | None = None
    ) -> SpectrumMatch | None:
        """The best match of a series, float32[N], of `shape` where that is known."""
        best: SpectrumMatch | None = None
        for rows in _arrays(values, shape):
            self.compared += 1
            for table in _forms(rows):
                found = self._compare(table, rows.shape)
                if found and (best is None or found.score > best.score):
                    best = found
            if best is not None and best.score > _CERTAIN:
                break
        return best

    def _compare(
        self, table: npt.NDArray[np.float64], shape: tuple[int, ...]
    ) -> SpectrumMatch | None:
        best: SpectrumMatch | None = None
        references = [
            self._bands(scale, min(_BANDS, table.shape[1]), *span)
            for scale, spans in (("mel", _MEL), ("linear", _LINEAR))
            for span in spans
        ]
        narrow = _narrowed(table, _BANDS)
        for hop in _HOPS:
            length = min(int(len(narrow) * hop), _MAX_FRAMES)
            if length < _MIN_FRAMES:
                continue
            resized = _resized(narrow, hop, length)
            least = min(max(MIN_SCORE, _SHORT * (length / 10) ** -0.5), _MIN_SHORT)
            plain = _Columns(resized)
            tried = [(each, plain) for each in references]
            if table.shape[1] <= _CEPSTRA:
                raw = _Columns(_resized(table, hop, length))
                tried += [(self._cepstra(first), raw) for first in (0, 1)]
            for reference, columns in tried:
                score, place = reference.best(columns)
                if score < max(least, best.score if best else 0.0):
                    continue
                if reference.shape(columns.table, place) >= _MIN_SHAPE:
                    best = SpectrumMatch(score, reference.kind, shape[0], shape[1], place / 100)
        return best

    def _bands(self, scale: str, count: int, low: float, high: float) -> _Reference:
        key = scale, count, low, high
        if key not in self._references:
            edges = np.linspace(_mel(low), _mel(high), count + 1)
            hertz = 700.0 * (10.0 ** (edges / 2595.0) - 1.0)
            if scale == "linear":
                hertz = np.linspace(low, high, count + 1)
            bins = hertz * _TRANSFORM / RATE
            sums = np.concatenate([np.zeros((_FRAMES, 1)), self._power.cumsum(1)], axis=1)
            at = np.arange(sums.shape[1])
            upper = np.array([np.interp(bins, at, row) for row in sums])
            power = np.maximum(np.diff(upper, axis=1), 0.0)
            kind = f"{scale} spectrum"
            self._references[key] = _Reference(np.log(power + 1e-6 * power.max()), kind)
        return self._references[key]

    def _cepstra(self, first: int) -> _Reference:
        """Mel-frequency cepstral coefficients from `first` on."""
        key = "cepstra", first, 0.0, 0.0
        if key not in self._references:
            bands = self._bands("mel", 26, 0.0, 8000.0).log
            angle = np.pi / 26 * (np.arange(26) + 0.5)[:, None] * np.arange(first, 13 + first)
            self._references[key] = _Reference(bands @ np.cos(angle), "cepstra")
        return self._references[key]


class _Columns:
    """An array in the form in which it is compared with every reference."""

    def __init__(self, table: npt.NDArray[np.float64]) -> None:
        """`table`: float64[T, B]."""
        self.table = table
        self._of: dict[int, tuple[npt.NDArray[np.complex128], int] | None] = {}

    def spectrum(self, width: int) -> tuple[npt.NDArray[np.complex128], int] | None:
        """Of the first `width` columns over time, conjugate, each without its mean and scale, and
        how many of them change; None: too few do."""
        if width not in self._of:
            self._of[width] = self._transformed(width)
        return self._of[width]

    def _transformed(self, width: int) -> tuple[npt.NDArray[np.complex128], int] | None:
        columns = self.table[:, :width] - self.table[:, :width].mean(0)
        size = np.sqrt((columns**2).sum(0))
        alive = size > 1e-6 * (size.max() + 1e-30)
        if alive.sum() < min(8, width):
            return None
        columns = np.where(alive, columns / np.where(alive, size, 1.0), 0.0)
        return np.conj(np.fft.rfft(columns, _FRAMES, axis=0)), int(alive.sum())


class _Reference:
    """The voice's own array, which repeats."""

    def __init__(self, log: npt.NDArray[np.float64], kind: str) -> None:
        """`log`: float64[_FRAMES, B]."""
        self.log, self.kind = log, kind
        table = log - log.mean(0)
        self._table = table
        self._variance = (table**2).mean(0)
        self._spectrum = np.fft.rfft(table, axis=0)
        double = np.concatenate([np.zeros((1, log.shape[1])), np.tile(table, (2, 1))])
        self._sums, self._squares = double.cumsum(0), (double**2).cumsum(0)

    def best(self, columns: _Columns) -> tuple[float, int]:
        """(mean correlation, frame) of T rows at the best place."""
        count, width = len(columns.table), min(columns.table.shape[1], self.log.shape[1])
        transformed = columns.spectrum(width)
        if transformed is None:
            return 0.0, 0
        spectrum, alive = transformed
        found = np.fft.irfft(spectrum * self._spectrum[:, :width], _FRAMES, axis=0)
        sums = self._sums[count : count + _FRAMES, :width] - self._sums[:_FRAMES, :width]
        squares = self._squares[count : count + _FRAMES, :width] - self._squares[:_FRAMES, :width]
        rest = np.maximum(
            squares - sums**2 / count, _MIN_VARIANCE * count * self._variance[:width] + 1e-12
        )
        scores = (found / np.sqrt(rest)).sum(1) / alive
        place = int(scores.argmax())
        return float(scores[place]), place

    def shape(self, columns: npt.NDArray[np.float64], place: int) -> float:
        """Correlation at a frame of what is left of both without the mean of each row."""
        there = self._table[np.arange(place, place + len(columns)) % _FRAMES]
        width = min(columns.shape[1], there.shape[1])
        one, other = (_standard(each[:, :width]) for each in (columns, there))
        return float((one * other).sum() / (np.sqrt((one**2).sum() * (other**2).sum()) + 1e-12))


def _standard(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Without mean and scale of each column, then without the mean of each row."""
    table = table - table.mean(0)
    table = table / (table.std(0) + 1e-12)
    centred: npt.NDArray[np.float64] = table - table.mean(1, keepdims=True)
    return centred


def _mel(hertz: float) -> float:
    return 2595.0 * float(np.log10(1.0 + hertz / 700.0))


@functools.cache
def _average(width: int, count: int) -> npt.NDArray[np.float64]:
    """float64[width, count]: means of neighbours."""
    edges = np.linspace(0, width, count + 1)
    at = np.arange(width)[:, None]
    part = np.minimum(at + 1, edges[1:]) - np.maximum(at, edges[:-1])
    weights: npt.NDArray[np.float64] = np.maximum(part, 0.0) / np.diff(edges)
    return weights


def _narrowed(table: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.float64]:
    return table @ _average(table.shape[1], count) if table.shape[1] > count else table


def _resized(table: npt.NDArray[np.float64], hop: float, length: int) -> npt.NDArray[np.float64]:
    """`length` rows, of which 1 / `hop` come per row of the array."""
    at = np.minimum(np.arange(length) / hop, len(table) - 1.0)
    low = np.minimum(at.astype(int), len(table) - 2)
    part = (at - low)[:, None]
    between: npt.NDArray[np.float64] = table[low] * (1 - part) + table[low + 1] * part
    return between


def _forms(rows: npt.NDArray[np.float64]) -> Iterator[npt.NDArray[np.float64]]:
    """As they are, and as logarithms where they may be amplitudes."""
    yield rows
    largest = float(rows.max())
    if rows.min() >= 0 and largest > 0 and np.median(rows) < 0.2 * largest:
        yield np.log(rows + 1e-6 * largest)


def _arrays(
    values: npt.NDArray[np.float32], shape: tuple[int, ...] | None
) -> Iterator[npt.NDArray[np.float64]]:
    """float64[T, B]: time downwards. The series cut at each plausible width, and turned."""
    numbers = values.astype(np.float64)
    if shape is not None and len(shape) > 1:
        sizes = [each for each in shape if each > 1][-2:]
        if len(sizes) == 2 and sizes[0] * sizes[1] <= len(numbers):
            plane = numbers[: sizes[0] * sizes[1]].reshape(sizes)
            yield from (each for each in (plane, plane.T) if _fits(each))
            return
    for width in _widths(numbers):
        for start in _starts(numbers, width):
            rows = (len(numbers) - start) // width
            plane = numbers[start : start + rows * width].reshape(rows, width)
            if _fits(plane):
                yield plane
            if start == 0 and _fits(plane.T):
                yield plane.T
    for columns in _COMMON:  # a row per band, the first of which may outweigh all others
        if len(numbers) % columns == 0 and len(numbers) // columns <= _MAX_FRAMES:
            plane = numbers.reshape(columns, -1).T
            if _fits(plane):
                yield plane


def _fits(plane: npt.NDArray[np.float64]) -> bool:
    rows, columns = plane.shape
    return bool(rows >= _MIN_ROWS and MIN_WIDTH <= columns <= MAX_WIDTH)


def _widths(numbers: npt.NDArray[np.float64]) -> list[int]:
    """Distances at which the numbers resemble themselves."""
    part = numbers[:65_536]
    low, high = np.quantile(part, (0.01, 0.99))
    part = np.clip(part, low, high)
    part = part - part.mean()
    longest = len(part) // MIN_WIDTH
    if longest < MIN_WIDTH or not part.any():
        return []
    power = np.abs(np.fft.rfft(part, 2 * len(part))) ** 2
    same = np.fft.irfft(power)[: longest + 2]
    same = same / same[0] * len(part) / (len(part) - np.arange(len(same)))
    inner = same[1:-1]
    peaks = np.flatnonzero((inner >= same[:-2]) & (inner >= same[2:])) + 1
    peaks = peaks[(peaks >= MIN_WIDTH) & (same[peaks] > _MIN_REPEATED)]
    best = [int(each) for each in peaks[np.argsort(-same[peaks], kind="stable")][:_MAX_PEAKS]]
    if not best:
        return []
    first = [int(peaks[0])]
    common = [each for each in _COMMON if each < len(same) and same[each] > _MIN_REPEATED
              and each in peaks]  # fmt: skip
    return list(dict.fromkeys([*first, *best, *common[:3]]))


def _starts(numbers: npt.NDArray[np.float64], width: int) -> list[int]:
    """Where rows may begin: at the first number, or where the greatest step recurs."""
    rows = (len(numbers) - 1) // width
    steps = np.abs(np.diff(numbers[: rows * width + 1]))[: rows * width].reshape(rows, width)
    return list(dict.fromkeys([0, (int(steps.mean(0).argmax()) + 1) % width]))
