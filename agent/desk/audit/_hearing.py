"""Search of artifacts for the canary's voice and words, under every encoding."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import numpy as np

from agent.desk.audit import _codecs
from agent.desk.audit._artifacts import Artifact, Detector, Finding
from agent.desk.audit._canary import Canary
from agent.desk.audit._contents import MIN_VALUES, Content, Series, all_series, contents
from agent.desk.audit._phrase import PhraseSearch
from agent.desk.audit._sound import SoundMatcher
from agent.desk.audit._spectrum import SpectrumMatcher

_MAX_LOOKED_INTO = 2_000_000
"""Bytes of an artifact of which every byte is known that are also searched under encodings."""
_STRING = re.compile(rb"[A-Za-z0-9+/_-]{12,2000}={0,2}")
"""May be base64 of a packet of sound."""
_FEATURES = ("8-bit", "signed 8-bit", "16-bit PCM", "float", "NumPy", "numbers", "half")
"""Formats in which arrays of features are looked for."""


class HearingSearch:
    """Looks for one canary; each content once."""

    def __init__(self, canary: Canary) -> None:
        self._phrase = PhraseSearch(canary.words)
        self._sound = SoundMatcher(canary.sound)
        self._spectrum = SpectrumMatcher(canary.sound)
        self._seen: set[bytes] = set()
        self.size = 0
        """Bytes searched, with what was under their encodings."""

    @property
    def extent(self) -> dict[str, int]:
        """Bytes searched for words, stretches compared with the voice, arrays with its spectrum."""
        return {
            "bytes": self.size,
            "stretches": self._sound.compared,
            "arrays": self._spectrum.compared,
        }

    def words(self, artifact: Artifact) -> Iterator[Finding]:
        """Words in an artifact, also where every byte of it is known."""
        if self._is_new(artifact.data, artifact, b"words"):
            whole = len(artifact.data) <= _MAX_LOOKED_INTO
            every = contents(artifact.data) if whole else iter([Content("", 0, artifact.data)])
            for content in every:
                self.size += len(content.data)
                for at, what in self._phrase(content.data):
                    yield _finding("phrase", artifact, content, at, what)

    def sound(self, artifact: Artifact, base: int, data: bytes) -> Iterator[Finding]:
        """Sound and spectra in bytes of an artifact that begin at the offset `base`."""
        if not self._is_new(data, artifact, b"sound"):
            return
        found: set[Detector] = set()
        for each in self._found(artifact, data):
            if each.detector == "magic" or each.detector not in found:
                found.add(each.detector)
                at = None if each.offset is None else base + each.offset
                yield Finding(each.detector, each.where, at, each.what, each.planted)
            if {"sound", "spectrum"} <= found:
                return

    def _found(self, artifact: Artifact, data: bytes) -> Iterator[Finding]:
        heard = shown = False
        for content in contents(data):
            for at, name in _codecs.signatures(content.data):
                yield _finding("magic", artifact, content, at, name)
            if not heard:
                for name, at, values in _decoded(content):
                    match = self._sound(values)
                    if match is not None:
                        heard = True
                        yield _finding("sound", artifact, content, at, f"{match}, {name}")
            for series in all_series(content.data) if not (heard and shown) else ():
                if not heard and series.sound and (match := self._sound(series.values)):
                    heard = True
                    what = f"{match}, {series.how}"
                    yield _finding("sound", artifact, content, series.offset, what)
                if not shown and _may_be_features(series):
                    like = self._spectrum(series.values[:65_536], series.shape)
                    if like is not None:
                        shown = True
                        what = f"{like}, {series.how}"
                        yield _finding("spectrum", artifact, content, series.offset, what)

    def _is_new(self, data: bytes, artifact: Artifact, salt: bytes) -> bool:
        mark = hashlib.blake2b(data, digest_size=16).digest() + salt + bytes([artifact.planted])
        known = mark in self._seen
        self._seen.add(mark)
        return not known


def _may_be_features(series: Series) -> bool:
    return series.how.startswith(_FEATURES) and "big endian" not in series.how


def _decoded(content: Content) -> Iterator[tuple[str, int, np.ndarray]]:
    """(what, offset, samples) of containers and of packets of Opus."""
    yield from _codecs.decoded(content.data)
    samples = _codecs.opus(_codecs.opus_packets(content.data))
    if len(samples) >= MIN_VALUES:
        yield "packets of Opus behind their lengths", 0, samples
    if b"\0" not in content.data[:4096]:
        strings = [_codecs.from_base64(each[0]) for each in _STRING.finditer(content.data)]
        samples = _codecs.opus([each for each in strings if each])
        if len(samples) >= MIN_VALUES:
            yield "packets of Opus in strings of base64", 0, samples


def _finding(
    detector: Detector, artifact: Artifact, content: Content, at: int | None, what: str
) -> Finding:
    offset = content.offset if content.how else at
    how = f", {content.how}" if content.how else ""
    return Finding(detector, artifact.name, offset, f"{what}{how}", artifact.planted)
