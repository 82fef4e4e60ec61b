"""Search of artifacts for the canary's voice and words, under every encoding."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

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
_FEATURES = ("8-bit", "signed 8-bit", "16-bit PCM", "float", "NumPy", "numbers")
"""Formats in which arrays of features are looked for."""
_MAX_VALUES = 65_536
"""Of a series that are looked at as such an array."""


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
        for each in self._found(artifact, data):
            at = None if each.offset is None else base + each.offset
            yield replace(each, offset=at)

    def _found(self, artifact: Artifact, data: bytes) -> Iterator[Finding]:
        """Every signature; of what is like the voice the first, which is enough."""
        done = False
        for content in contents(data):
            for at, name in _codecs.signatures(content.data):
                yield _finding("magic", artifact, content, at, name)
            for detector, at, what in () if done else self._alike(content):
                done = True
                yield _finding(detector, artifact, content, at, what)
                break

    def _alike(self, content: Content) -> Iterator[tuple[Detector, int, str]]:
        """(detector, offset, what) of numbers like the voice or its spectrum."""
        for name, at, values in _decoded(content):
            if match := self._sound(values):
                yield "sound", at, f"{match}, {name}"
        for series in all_series(content.data):
            if match := self._sound(series.values):
                yield "sound", series.offset, f"{match}, {series.how}"
            elif _may_be_features(series) and (
                like := self._spectrum(series.values[:_MAX_VALUES], series.shape)
            ):
                yield "spectrum", series.offset, f"{like}, {series.how}"

    def _is_new(self, data: bytes, artifact: Artifact, salt: bytes) -> bool:
        mark = hashlib.blake2b(data, digest_size=16).digest() + salt + bytes([artifact.planted])
        known = mark in self._seen
        self._seen.add(mark)
        return not known


def _may_be_features(series: Series) -> bool:
    return series.how.startswith(_FEATURES) and "big endian" not in series.how


def _decoded(content: Content) -> Iterator[tuple[str, int, npt.NDArray[np.float32]]]:
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
