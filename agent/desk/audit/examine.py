"""All detectors over all evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from agent.desk.audit import database, text
from agent.desk.audit.canary import Canary
from agent.desk.audit.control import Plant
from agent.desk.audit.evidence import Evidence, Finding, Item
from agent.desk.audit.magic import signatures
from agent.desk.audit.picture import SMALLEST, Vectors, likeness
from agent.desk.audit.pixels import Index
from agent.desk.audit.views import View, views
from agent.desk.audit.vocabulary import Vocabulary
from agent.desk.audit.wire import STATES, Wire, schemas

_CANDIDATES = 40
"""Blobs that are compared with frames as pictures, at most; every one is a finding anyway."""
_BATCH = 24_000_000
"""Bytes whose n-grams are held in memory at once, about 20 bytes for each."""


@dataclass(slots=True)
class Examined:
    """What came of it."""

    findings: list[Finding] = field(default_factory=list)
    packets: int = 0
    messages: dict[str, int] = field(default_factory=dict)
    grams: int = 0
    """Runs of nine bytes with enough contrast that every frame was looked up in."""


def examine(
    evidence: Evidence,
    outbox: Path,
    canary: Canary,
    every: int,
    planted: Sequence[Plant],
    progress: Callable[[int], None],
) -> Examined:
    """Search everything. `every`: each n-th frame is searched for; `progress` is told frames."""
    result = Examined(list(evidence.findings))
    known = schemas()
    real = Wire(evidence.device, known)
    for item in evidence.items:
        if item.kind == "wire":
            real.judge(item)
    control = Wire(evidence.device, known)
    for plant in planted:
        if plant.item.kind == "wire":
            control.judge(plant.item)
    result.findings += real.findings + control.findings
    result.packets, result.messages = real.packets, real.messages
    result.findings += _delivery(evidence, real)

    items = [*evidence.items, *(plant.item for plant in planted)]
    texts, strangers = database.live(outbox, known)
    result.findings += strangers
    vocabulary = Vocabulary([*texts, *real.payloads, *STATES])
    search = _Search(canary, every, progress)
    for item in items:
        if item.kind == "log" or item.name.startswith("outbox/settings.json"):
            result.findings += [
                Finding(detector, item.name, at, what, item.planted)
                for detector, at, what in text.judge(item.data)
            ]
        for base, part in search.fresh(item):
            if item.kind in ("database", "journal"):
                ends: list[int] = []
                for at, rest in database.residue(part, vocabulary):
                    what = f"{len(rest)} bytes that belong to no message: {rest[:16].hex(' ')}…"
                    place = base + at
                    result.findings.append(Finding("residue", item.name, place, what, item.planted))
                    ends += [at, at + len(rest)]
                if ends:  # black pixels between them are zeros
                    whole = np.frombuffer(part[min(ends) : max(ends)], np.uint8)
                    search.candidate(item, View("", base + min(ends), 1.0, whole))
            result.findings += _signs(item, base, part)
            search.add(item, base, part)
    result.findings += search.findings()
    result.grams = search.grams
    return result


def _delivery(evidence: Evidence, wire: Wire) -> Iterator[Finding]:
    """The ledger's hashes are those of what was sent: they say nothing else."""
    missing = evidence.hashes - wire.digests
    if missing:
        yield Finding(
            "delivery", "outbox/outbox.db", None,
            f"{len(missing)} hashes in the ledger are of no message that was sent",
        )  # fmt: skip
    if evidence.arrived < evidence.released:
        yield Finding(
            "delivery", "uplink to broker", None,
            f"{evidence.arrived} of {evidence.released} released summaries arrived as they were",
        )  # fmt: skip


def _signs(item: Item, base: int, part: bytes) -> Iterator[Finding]:
    for at, name in signatures(part):
        yield Finding("magic", item.name, base + at, name, item.planted)
    for view in views(part):
        if view.whole and view.coded:
            for _, name in signatures(view.pixels.tobytes()):
                what = f"{name} in {view.how}"
                yield Finding("magic", item.name, base + view.offset, what, item.planted)


class _Search:
    """For the canary: every different byte string once, in every way it can be read."""

    def __init__(self, canary: Canary, every: int, progress: Callable[[int], None]) -> None:
        self._canary = canary
        self._every = every
        self._progress = progress
        self._seen: set[bytes] = set()
        self._batches: list[list[tuple[Item, View]]] = [[]]
        self._planted: list[tuple[Item, View]] = []
        self._size = 0
        self._candidates: list[tuple[Item, View]] = []
        self.grams = 0

    def fresh(self, item: Item) -> Iterator[tuple[int, bytes]]:
        """(offset, bytes) of what was not there before: of a database, its new pages."""
        parts: Iterable[tuple[int, int]] = [(0, len(item.data))]
        if item.kind in ("database", "journal"):
            parts = database.pages(item.data)
        for start, size in parts:
            part = item.data[start : start + size]
            if part and self._new(part, item):
                yield start, part

    def add(self, item: Item, base: int, part: bytes) -> None:
        for each in views(part):
            if not self._new(each.pixels.tobytes(), item, item.kind.encode()):
                continue
            view = View(each.how, base + each.offset, each.step, each.pixels, each.whole)
            if item.planted:
                self._planted.append((item, view))
            else:
                if self._size > _BATCH:
                    self._batches.append([])
                    self._size = 0
                self._size += len(view.pixels)
                self._batches[-1].append((item, view))
            if view.whole and item.kind != "kernel":
                self.candidate(item, view)

    def candidate(self, item: Item, view: View) -> None:
        """Something that may be a picture from its first pixel to its last."""
        few = sum(not each.planted for each, _ in self._candidates) < _CANDIDATES
        if len(view.pixels) >= SMALLEST and (few or item.planted):
            self._candidates.append((item, view))

    def findings(self) -> Iterator[Finding]:
        """Go through the video, once for each batch; then compare whole pictures."""
        control = Index(self._planted)
        for number, batch in enumerate(self._batches):
            canary = self._canary if number == 0 else Canary(self._canary.path)
            index = Index(batch)
            self.grams += index.size
            for count, pictures in enumerate(canary.pictures(self._every)):
                index.look(pictures)
                if number == 0:
                    control.look(pictures)
                self._progress(count)
            yield from index.findings()
        yield from control.findings()
        sizes: dict[tuple[int, int], Vectors] = {}
        for item, view in self._candidates:
            alike = likeness(view.pixels, self._canary.keys, not view.whole, sizes)
            if alike is not None:
                what = f"{alike}{', ' + view.how if view.how else ''}"
                yield Finding("picture", item.name, view.offset, what, item.planted)

    def _new(self, data: bytes, item: Item, salt: bytes = b"") -> bool:
        """Whether it was not seen before; what the audit planted is looked at by itself."""
        mark = hashlib.sha256(data).digest() + bytes([item.planted]) + salt
        known = mark in self._seen
        self._seen.add(mark)
        return not known
