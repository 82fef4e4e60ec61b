"""Things in order of a key, most of them on disk: what a long film adds up to is not in memory."""

from __future__ import annotations

import pickle
import tempfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar, overload

from agent.base.errors import StoreError

IN_MEMORY = 1 << 18
"""Bytes; beyond that all is in a file."""
T = TypeVar("T")
R = TypeVar("R")


class Kept(Sequence[T], Generic[T]):
    """Grows at its end. 24 bytes each in memory; the rest, beyond `IN_MEMORY`, in a file without a
    name in `folder`, which no other process can open and which is gone with this one.

    Raises `StoreError` where that cannot be written.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: None keeps all in memory."""
        self._folder = folder
        limit = 0 if folder is None else IN_MEMORY
        self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115
            limit, dir=None if folder is None else str(folder)
        )
        self._end = 0
        self._places, self._first, self._second = array("q"), array("d"), array("d")

    def add(self, thing: T, first: float = 0.0, second: float = 0.0) -> None:
        """`first`, `second`: what `sort` goes by."""
        data = pickle.dumps(thing, pickle.HIGHEST_PROTOCOL)
        try:
            self._file.seek(self._end)
            self._file.write(data)
        except OSError as error:
            raise StoreError(f"{self._folder} cannot be written: {error.strerror}.") from None
        self._places.append(self._end)
        self._first.append(first)
        self._second.append(second)
        self._end += len(data)

    def sort(self) -> None:
        """By their keys; of equal ones the earlier first."""
        order = sorted(range(len(self)), key=lambda at: (self._first[at], self._second[at]))
        for name in ("_places", "_first", "_second"):
            old: array[float] = getattr(self, name)
            setattr(self, name, array(old.typecode, (old[at] for at in order)))

    def keys(self) -> Iterator[tuple[float, float]]:
        """In order."""
        return zip(self._first, self._second, strict=True)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> list[T]: ...
    def __getitem__(self, at: int | slice) -> T | list[T]:
        if isinstance(at, slice):
            return [self._read(place) for place in self._places[at]]
        return self._read(self._places[at])

    def _read(self, place: int) -> T:
        self._file.seek(place)
        thing: T = pickle.load(self._file)  # what `add` wrote, and nobody else can
        return thing


class Made(Sequence[R], Generic[T, R]):
    """Things as something else, made each time that they are asked for."""

    def __init__(self, things: Sequence[T], make: Callable[[int, T], R]) -> None:
        """`make`: of a place, from 0, and what is there."""
        self._things, self._make = things, make

    def __len__(self) -> int:
        return len(self._things)

    @overload
    def __getitem__(self, at: int) -> R: ...
    @overload
    def __getitem__(self, at: slice) -> list[R]: ...
    def __getitem__(self, at: int | slice) -> R | list[R]:
        if isinstance(at, slice):
            return [self[each] for each in range(*at.indices(len(self)))]
        place = range(len(self))[at]
        return self._make(place, self._things[place])
