"""Run all detectors on all artifacts, and on positive controls: copies of artifacts with a picture
of the video, its sound or a word inserted, which must be found."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from agent.desk.audit import _log_index
from agent.desk.audit._artifacts import Artifact, Evidence, Finding
from agent.desk.audit._contents import joined
from agent.desk.audit._controls import positive_controls
from agent.desk.audit._database import DatabaseCheck, read_rows
from agent.desk.audit._encodings import Decoding, decodings, signatures, suspicious_text
from agent.desk.audit._hearing import HearingSearch
from agent.desk.audit._matching import MIN_PICTURE, PixelIndex, Vectors, match_picture
from agent.desk.audit._reference import Reference
from agent.desk.audit._truth import Truth, read
from agent.desk.audit._voice_controls import voice_controls
from agent.desk.audit._wire import WireCheck, pair
from agent.desk.demo import configuration

_MAX_CANDIDATES = 100
"""Byte strings compared with frames as pictures."""
_BATCH = 24_000_000
"""Bytes indexed at once, at about 20 bytes of memory each."""
_ANY_PORT = 1883
"""It does not show in any byte that is compared."""


@dataclass(frozen=True, slots=True)
class Detected:
    """Findings and extent of the search."""

    findings: list[Finding]
    controls: int
    """Number of positive controls."""
    missed: list[str]
    """Positive controls that were not found, with the expected detector."""
    packets: int
    messages: dict[str, int]
    """Published messages by kind."""
    grams: int
    """Informative n-grams searched for every frame."""
    unseen: list[str] = field(default_factory=list)
    """What could not be looked for, and why."""
    heard: Mapping[str, int] = field(default_factory=dict)
    """Extent of the search for the voice and the words; empty where there was none."""


def detect(
    evidence: Evidence, outbox: Path, reference: Reference, progress: Callable[[int], None]
) -> Detected:
    """Search all evidence for the video. Calls `progress` with the frames done.

    Raises `CaptureError` when the video cannot be read.
    """
    truth = read(configuration(reference.path, outbox, _ANY_PORT, evidence.device), outbox)
    controls, unseen = positive_controls(reference, evidence)
    if evidence.canary is not None:
        controls += voice_controls(evidence.canary, evidence.artifacts, evidence.device)
    planted = [each.artifact for each in controls]
    wire, clean = _check_wire(truth, evidence.artifacts)
    wire_of_controls, _ = _check_wire(truth, planted)
    database = DatabaseCheck(truth, wire.packets, wire.size)
    for artifact in [*evidence.artifacts, *planted]:
        if artifact.kind in ("database", "journal"):
            database.add(artifact)
    findings = [*evidence.findings, *wire.findings, *wire_of_controls.findings]
    findings += [*_delivery(evidence, wire), *read_rows(outbox), *database.findings()]
    search = _Search(reference, progress, clean)
    for artifact, at, part in database.strange:
        findings += _scan_part(artifact, at, part, search)
        begin = len(part) - len(part.lstrip(b"\0"))
        pixels = np.frombuffer(part.strip(b"\0"), np.uint8)
        search.candidate(artifact, Decoding("", at + begin, 1.0, pixels))
    for artifact in [*evidence.artifacts, *planted]:
        if not _is_explained(artifact, clean):
            findings += _scan(artifact, search)
    findings += search.findings()
    hearing = HearingSearch(evidence.canary) if evidence.canary is not None else None
    if hearing is not None:
        every = [*evidence.artifacts, *planted]
        findings += _heard(hearing, every, database.strange, clean)
    found = {(each.where, each.detector) for each in findings if each.planted}
    missed = [
        f"{control.what} ({detector})"
        for control in controls
        for detector in sorted(control.detectors)
        if (control.artifact.name, detector) not in found
    ]
    real = [each for each in findings if not each.planted]
    return Detected(
        real, len(controls), missed, wire.packets, dict(wire.messages), search.grams, unseen,
        hearing.extent if hearing is not None else {},
    )  # fmt: skip


def _heard(
    hearing: HearingSearch,
    artifacts: Iterable[Artifact],
    strange: Iterable[tuple[Artifact, int, bytes]],
    clean: Container[str],
) -> Iterator[Finding]:
    """Words in every byte; sound and its spectrum in those that are not known, of pages also in
    what several hold together."""
    pages: dict[str, tuple[Artifact, int, list[bytes]]] = {}
    for artifact, at, part in strange:
        pages.setdefault(artifact.name, (artifact, at, []))[2].append(part)
    for artifact in artifacts:
        yield from hearing.words(artifact)
        known = artifact.name in clean or artifact.kind == "kernel" or _is_explained(artifact, ())
        if not known:
            yield from hearing.sound(artifact, 0, artifact.data)
    for artifact, at, parts in pages.values():
        yield from hearing.sound(artifact, at, joined(parts))


def _check_wire(truth: Truth, artifacts: Sequence[Artifact]) -> tuple[WireCheck, set[str]]:
    """The check of all connections, and the names of directions in which every byte is known."""
    wire = WireCheck(truth)
    clean = {each.name for each in artifacts if each.kind == "wire" and wire.check(each)}
    pairs = pair(artifacts)
    for sent, received in pairs:
        if wire.check_answers(sent, received):
            clean.add(received.name)
    if not pairs and any(each.kind == "reply" for each in artifacts):
        wire.unpaired([each for each in artifacts if each.kind == "reply"])
    return wire, clean


def _is_explained(artifact: Artifact, clean: Container[str]) -> bool:
    """Whether every byte was accounted for: nothing is left to search a picture in."""
    if artifact.kind in ("database", "journal"):
        return True  # what was not is searched as `DatabaseCheck.strange`
    if artifact.kind == "reply":
        return artifact.name in clean
    if artifact.kind == "index":
        return _log_index.explains(artifact.data)
    return False


def _delivery(evidence: Evidence, wire: WireCheck) -> Iterator[Finding]:
    """Check that the hashes in the ledger are those of the messages sent."""
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


def _scan(artifact: Artifact, search: _Search) -> Iterator[Finding]:
    """Findings in one artifact alone; its decodings are added to `search`."""
    if artifact.kind == "log" or artifact.name.startswith("outbox/settings.json"):
        for detector, at, what in suspicious_text(artifact.data):
            yield Finding(detector, artifact.name, at, what, artifact.planted)
    yield from _scan_part(artifact, 0, artifact.data, search)


def _scan_part(artifact: Artifact, base: int, part: bytes, search: _Search) -> Iterator[Finding]:
    """The same of a part that begins at the offset `base`."""
    if not part or not search.is_new(part, artifact):
        return
    for at, name in signatures(part):
        yield Finding("magic", artifact.name, base + at, name, artifact.planted)
    for decoding in decodings(part):
        moved = replace(decoding, offset=base + decoding.offset)
        if moved.whole and moved.coded:
            for _, name in signatures(moved.pixels.tobytes()):
                what = f"{name} in {moved.how}"
                yield Finding("magic", artifact.name, moved.offset, what, artifact.planted)
        search.add(artifact, moved)


class _Search:
    """Search for the video in the decodings of every distinct byte string."""

    def __init__(
        self, reference: Reference, progress: Callable[[int], None], clean: Container[str] = ()
    ) -> None:
        """`clean`: artifacts of which every byte is known; only exact pixels are searched in."""
        self._clean = clean
        self._reference = reference
        self._progress = progress
        self._seen: set[bytes] = set()
        self._batches: list[list[tuple[Artifact, Decoding]]] = [[]]
        self._planted: list[tuple[Artifact, Decoding]] = []
        self._size = 0
        self._candidates: list[tuple[Artifact, Decoding]] = []
        self.grams = 0

    def add(self, artifact: Artifact, decoding: Decoding) -> None:
        """Add a decoding to compare with the video."""
        if not self.is_new(decoding.pixels.tobytes(), artifact, artifact.kind.encode()):
            return
        if artifact.planted:
            self._planted.append((artifact, decoding))
        else:
            if self._size > _BATCH:
                self._batches.append([])
                self._size = 0
            self._size += len(decoding.pixels)
            self._batches[-1].append((artifact, decoding))
        if decoding.whole and artifact.kind != "kernel" and artifact.name not in self._clean:
            self.candidate(artifact, decoding)

    def candidate(self, artifact: Artifact, decoding: Decoding) -> None:
        """Add a decoding that may be exactly one picture."""
        few = sum(not each.planted for each, _ in self._candidates) < _MAX_CANDIDATES
        if len(decoding.pixels) >= MIN_PICTURE and (few or artifact.planted):
            self._candidates.append((artifact, decoding))

    def findings(self) -> Iterator[Finding]:
        """Read the video once per batch; then compare whole pictures."""
        video, every = self._reference.path, self._reference.every
        planted = PixelIndex(self._planted)
        for number, batch in enumerate(self._batches):
            reference = self._reference if number == 0 else Reference(video, every)
            index = PixelIndex(batch)
            self.grams += index.size
            for count, pictures in enumerate(reference.pictures()):
                index.look_up(pictures)
                if number == 0:
                    planted.look_up(pictures)
                self._progress(count)
            yield from index.findings()
        yield from planted.findings()
        sizes: dict[tuple[int, int], Vectors] = {}
        count = len(self._candidates)
        for artifact, decoding in self._candidates:
            match = match_picture(
                decoding.pixels, self._reference.keys, not decoding.whole, sizes, count
            )
            if match is not None:
                what = f"{match}{', ' + decoding.how if decoding.how else ''}"
                yield Finding("picture", artifact.name, decoding.offset, what, artifact.planted)

    def is_new(self, data: bytes, artifact: Artifact, salt: bytes = b"") -> bool:
        """Whether it was not seen before; positive controls are counted separately."""
        mark = hashlib.sha256(data).digest() + bytes([artifact.planted]) + salt
        known = mark in self._seen
        self._seen.add(mark)
        return not known
