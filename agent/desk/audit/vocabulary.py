"""Which bytes of a file are explained by messages and names that belong there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

_LETTERS = 6
"""Bytes of the n-grams in which text is recognised, whole or in pieces."""
RUN = 32
"""Unexplained bytes in a row that are too many: what SQLite keeps between values is shorter."""
_KINDS = 5
"""Different bytes in such a run: padding has fewer."""
_STRETCH = 256
_DENSE = 0.7
"""Share of unexplained bytes in a stretch that is too much, though zeros break the runs."""


class Vocabulary:
    """Remembers texts by their n-grams."""

    def __init__(self, texts: Iterable[bytes]) -> None:
        found = [_grams(np.frombuffer(each, np.uint8)) for each in set(texts)]
        self._grams = np.unique(np.concatenate(found)) if found else np.empty(0, np.uint64)

    def explained(self, data: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """bool[N]: the byte is zero or part of a known text."""
        known: npt.NDArray[np.bool_] = data == 0
        grams = _grams(data)
        if grams.size and self._grams.size:
            at = np.minimum(np.searchsorted(self._grams, grams), self._grams.size - 1)
            for start in range(_LETTERS):
                known[start : start + grams.size] |= self._grams[at] == grams
        return known

    def residue(
        self, data: npt.NDArray[np.uint8], known: npt.NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[int, int]]:
        """(start, end) of what is left over and too much to be structure; `known`: bytes that are
        explained otherwise."""
        rest = ~self.explained(data)
        if known is not None:
            rest &= ~known
        last = -1
        for start, end in _runs(rest):
            if end - start >= RUN and len(np.unique(data[start:end])) >= _KINDS:
                yield start, end
                last = end
        total = np.concatenate([[0], np.cumsum(rest)])
        for start in range(0, max(1, len(data) - _STRETCH + 1), _STRETCH // 2):
            end = min(len(data), start + _STRETCH)
            dense = total[end] - total[start] >= _DENSE * _STRETCH
            if dense and start >= last and len(np.unique(data[start:end])) >= _KINDS:
                yield start, end
                last = end


def _runs(mask: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        yield int(start), int(end)


def _grams(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    if len(data) < _LETTERS:
        return np.empty(0, np.uint64)
    count = len(data) - _LETTERS + 1
    found = np.zeros(count, np.uint64)
    for place in range(_LETTERS):
        found = (found << np.uint64(8)) | data[place : place + count].astype(np.uint64)
    return found
