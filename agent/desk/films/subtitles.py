"""Subtitles beside a film (`talk.mp4`: `talk.srt` or `talk.vtt`), as lines of words.

SubRip, and WebVTT (W3C Candidate Recommendation 2019, 4): cues with times; styles, regions, notes
and mark-up are left out. Only the sentiment of a line goes further, never what was said.
"""

from __future__ import annotations

import html
import re
from pathlib import Path

from agent.base.errors import CaptureError
from agent.base.files import read_regular_file
from agent.base.names import one_line

ENDINGS = (".srt", ".vtt")
_MOST_BYTES = 8 << 20
_TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})[.,](\d{3})"
_CUE = re.compile(rf"{_TIME} +--> +{_TIME}")
_MARKS = re.compile(r"<[^>]*>|\{\\[^}]*\}")


def beside(film: Path) -> Path | None:
    """The film's subtitles; None where it has none."""
    for ending in ENDINGS:
        found = film.with_suffix(ending)
        if found != film and found.is_file():
            return found
    return None


class Subtitles:
    """Hands out each line when it was said: at the end of its time."""

    def __init__(self, path: Path) -> None:
        """Raises `CaptureError` where the file cannot be read."""
        self._lines = read(path)
        self._next = 0
        self._time = float("-inf")

    def until(self, time: float) -> None:
        """Lines up to this second of the film are due."""
        self._time = time

    def poll(self) -> list[str]:
        """Those that are due, once each."""
        first = self._next
        while self._next < len(self._lines) and self._lines[self._next][0] <= self._time:
            self._next += 1
        return [text for _, text in self._lines[first : self._next]]


def read(path: Path) -> list[tuple[float, str]]:
    """Seconds and text of each cue, in order of its end. Raises `CaptureError`."""
    try:
        data = read_regular_file(path, _MOST_BYTES)
    except OSError as error:
        raise CaptureError(
            f"The subtitles {one_line(path)} cannot be read: {error.strerror}. Move them away to "
            "look at the film without."
        ) from None
    if len(data) > _MOST_BYTES:
        raise CaptureError(f"The subtitles {one_line(path)} are longer than any film's.")
    found: list[tuple[float, str]] = []
    end, words = 0.0, list[str]()
    inside = False
    for line in [*data.decode("utf-8-sig", "replace").splitlines(), ""]:
        cue = _CUE.match(line.strip())
        if cue is not None:
            hours, minutes, seconds, thousandths = (int(part or 0) for part in cue.groups()[4:])
            end = 3600.0 * hours + 60 * minutes + seconds + thousandths / 1000
            inside, words = True, []
        elif not line.strip():
            text = " ".join(words).strip()
            if inside and text:
                found.append((end, text))
            inside = False
        elif inside:
            words.append(html.unescape(_MARKS.sub("", line)).strip())
    return sorted(found, key=lambda each: each[0])
