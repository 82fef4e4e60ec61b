"""Run all detectors on all artifacts, and on positive controls: copies of artifacts with a picture
of the video inserted, which must be found."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from agent.desk.audit._artifacts import Artifact, Detector, Evidence, Finding
from agent.desk.audit._database import KnownText, pages, read_rows
from agent.desk.audit._encodings import Decoding, decodings, signatures, suspicious_text
from agent.desk.audit._matching import MIN_PICTURE, PixelIndex, Vectors, match_picture
from agent.desk.audit._reference import Grey, Reference, has_texture
from agent.desk.audit._wire import STATES, WireCheck, whole_packets
from agent.desk.loopback import packets
from agent.desk.loopback.packets import Message
from agent.perceive.capture.video_file import VideoFile

_MAX_CANDIDATES = 40
"""Byte strings compared with frames as pictures; each is a finding anyway."""
_BATCH = 24_000_000
"""Bytes indexed at once, at about 20 bytes of memory each."""
_CONTROL_BYTES = 65_536
"""Bytes of evidence copied into a positive control."""
_NOISE = 6.0
"""Standard deviation of the noise in one positive control, grey levels."""
_MAX_FRAMES_TRIED = 300


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


def detect(
    evidence: Evidence, outbox: Path, reference: Reference, progress: Callable[[int], None]
) -> Detected:
    """Search all evidence for the video. Calls `progress` with the frames done.

    Raises `CaptureError` when the video cannot be read.
    """
    controls = _positive_controls(reference, evidence)
    planted = [each.artifact for each in controls]
    wire, wire_of_controls = WireCheck(evidence.device), WireCheck(evidence.device)
    for check, artifacts in ((wire, evidence.artifacts), (wire_of_controls, planted)):
        for artifact in artifacts:
            if artifact.kind == "wire":
                check.check(artifact)
    texts, unexpected = read_rows(outbox)
    findings = [*evidence.findings, *wire.findings, *wire_of_controls.findings]
    findings += [*_delivery(evidence, wire), *unexpected]
    known = KnownText([*texts, *wire.payloads, *STATES])
    search = _Search(reference, progress)
    for artifact in [*evidence.artifacts, *planted]:
        findings += [
            Finding(detector, artifact.name, at, what, artifact.planted)
            for detector, at, what in _scan(artifact, known, search)
        ]
    findings += search.findings()
    found = {(each.where, each.detector) for each in findings if each.planted}
    missed = [
        f"{control.what} ({detector})"
        for control in controls
        for detector in sorted(control.detectors)
        if (control.artifact.name, detector) not in found
    ]
    real = [each for each in findings if not each.planted]
    return Detected(real, len(controls), missed, wire.packets, wire.messages, search.grams)


@dataclass(frozen=True, slots=True)
class _Control:
    """A positive control, and the detectors that must find it."""

    what: str
    artifact: Artifact
    detectors: frozenset[Detector]


def _positive_controls(reference: Reference, evidence: Evidence) -> list[_Control]:
    """Copies of artifacts with inserted pictures of the video. Raises `CaptureError`."""
    frame, artifacts = _sample_frame(reference), evidence.artifacts
    textured = has_texture(frame)
    pixels: frozenset[Detector] = frozenset({"pixels"} if textured else ())
    picture: frozenset[Detector] = frozenset({"picture"} if textured else ())
    small = cv2.resize(frame, (32, 24), interpolation=cv2.INTER_AREA)
    coded = base64.b64encode(small.tobytes())
    message = Message(
        f"fleeting/1/d/{evidence.device}/summary", b'{"note":"' + coded + b'"}', 1, False
    )
    numbers = " ".join(map(str, small.reshape(-1)[:300])).encode()
    page = _degraded(cv2.resize(frame, (64, 48), interpolation=cv2.INTER_AREA), textured).tobytes()
    good, jpeg = cv2.imencode(".jpg", frame)
    return [
        _Control(
            "a thumbnail as base64 in a message",
            _copy(artifacts, "wire", packets.publish(message, 5, 1, 1, False)),
            pixels | {"schema"},
        ),
        _Control(
            "pixels in a log",
            _copy(artifacts, "log", b"\n" + numbers + b"\n"),
            pixels | {"numbers"},
        ),
        _Control(
            "a noisy thumbnail in a free page",
            _copy(artifacts, "database", page + bytes(4096 - len(page))),
            picture | {"residue"},
        ),
        _Control(
            "a JPEG in a file",
            Artifact("planted file", "other", jpeg.tobytes() if good else b"", planted=True),
            frozenset({"magic"}),
        ),
    ]


def _sample_frame(reference: Reference) -> Grey:
    """A frame that will be searched for, textured if one of the first is."""
    source = VideoFile(reference.path)
    first: Grey | None = None
    try:
        for number, frame in enumerate(source):
            if number % reference.every:
                continue
            first = frame.luma if first is None else first
            if has_texture(frame.luma):
                return frame.luma
            if number > _MAX_FRAMES_TRIED:
                break
    finally:
        source.close()
    return first if first is not None else np.zeros((48, 64), np.uint8)


def _degraded(picture: Grey, textured: bool) -> Grey:
    """The picture with noise and 32 grey levels; pure noise where it has no texture, since a black
    frame would give zeros."""
    seed = int.from_bytes(hashlib.sha256(picture.tobytes()).digest()[:4], "little")
    rng = np.random.default_rng(seed)
    if not textured:
        return rng.integers(0, 256, picture.shape).astype(np.uint8)
    noise = rng.normal(0.0, _NOISE, picture.shape)
    degraded: Grey = (np.clip(picture + noise, 0, 255) // 8 * 8).astype(np.uint8)
    return degraded


def _copy(artifacts: Sequence[Artifact], kind: str, added: bytes) -> Artifact:
    """The last artifact of a kind, up to a packet boundary, with `added` bytes."""
    same = [each for each in artifacts if each.kind == kind]
    last = same[-1] if same else Artifact(kind, "other", b"")
    keep = last.data[:_CONTROL_BYTES]
    if kind == "wire":
        keep = keep[: whole_packets(keep)]
    return Artifact(f"planted into: {last.name}", last.kind, keep + added, planted=True)


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


def _scan(
    artifact: Artifact, known: KnownText, search: _Search
) -> Iterator[tuple[Detector, int, str]]:
    """(detector, offset, what) of findings in one artifact alone; its decodings are added to
    `search`."""
    if artifact.kind == "log" or artifact.name.startswith("outbox/settings.json"):
        yield from suspicious_text(artifact.data)
    for base, part in search.new_parts(artifact):
        if artifact.kind in ("database", "journal"):
            ends: list[int] = []
            for at, rest in known.residue(part):
                what = f"{len(rest)} bytes that belong to no message: {rest[:16].hex(' ')}…"
                yield "residue", base + at, what
                ends += [at, at + len(rest)]
            if ends:  # gaps may be black pixels
                whole = np.frombuffer(part[min(ends) : max(ends)], np.uint8)
                search.candidate(artifact, Decoding("", base + min(ends), 1.0, whole))
        for at, name in signatures(part):
            yield "magic", base + at, name
        for decoding in decodings(part):
            moved = replace(decoding, offset=base + decoding.offset)
            if moved.whole and moved.coded:
                for _, name in signatures(moved.pixels.tobytes()):
                    yield "magic", moved.offset, f"{name} in {moved.how}"
            search.add(artifact, moved)


class _Search:
    """Search for the video in the decodings of every distinct byte string."""

    def __init__(self, reference: Reference, progress: Callable[[int], None]) -> None:
        self._reference = reference
        self._progress = progress
        self._seen: set[bytes] = set()
        self._batches: list[list[tuple[Artifact, Decoding]]] = [[]]
        self._planted: list[tuple[Artifact, Decoding]] = []
        self._size = 0
        self._candidates: list[tuple[Artifact, Decoding]] = []
        self.grams = 0

    def new_parts(self, artifact: Artifact) -> Iterator[tuple[int, bytes]]:
        """(offset, bytes) of parts not seen before: of a database its pages, else the whole."""
        parts: Iterable[tuple[int, int]] = [(0, len(artifact.data))]
        if artifact.kind in ("database", "journal"):
            parts = pages(artifact.data)
        for start, size in parts:
            part = artifact.data[start : start + size]
            if part and self._is_new(part, artifact):
                yield start, part

    def add(self, artifact: Artifact, decoding: Decoding) -> None:
        """Add a decoding to compare with the video."""
        if not self._is_new(decoding.pixels.tobytes(), artifact, artifact.kind.encode()):
            return
        if artifact.planted:
            self._planted.append((artifact, decoding))
        else:
            if self._size > _BATCH:
                self._batches.append([])
                self._size = 0
            self._size += len(decoding.pixels)
            self._batches[-1].append((artifact, decoding))
        if decoding.whole and artifact.kind != "kernel":
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
        for artifact, decoding in self._candidates:
            match = match_picture(decoding.pixels, self._reference.keys, not decoding.whole, sizes)
            if match is not None:
                what = f"{match}{', ' + decoding.how if decoding.how else ''}"
                yield Finding("picture", artifact.name, decoding.offset, what, artifact.planted)

    def _is_new(self, data: bytes, artifact: Artifact, salt: bytes = b"") -> bool:
        """Whether it was not seen before; positive controls are counted separately."""
        mark = hashlib.sha256(data).digest() + bytes([artifact.planted]) + salt
        known = mark in self._seen
        self._seen.add(mark)
        return not known
