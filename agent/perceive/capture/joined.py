"""Whether a file goes on with another film where its demuxer ends: recordings joined byte by byte,
a broadcast that changes its streams. Players show the first one, and so do we, but say so."""

from __future__ import annotations

import re

from agent.perceive.capture.media import MediaBytes

_REST = 1 << 20
"""Bytes after the last packet that are looked at."""
_SMALL = 0.02
"""Fraction of a transport stream that other streams may go on after this one's last picture."""
_PACKET = 188
"""Bytes of a packet of a transport stream (ISO/IEC 13818-1, 2.4.3.2)."""
_FILM = re.compile(
    rb"FLV\x01[\x01\x04\x05]\0\0\0\x09|\0\0\0[\x10-\x60]ftyp[ -~]{4}"
    rb"|\x1aE\xdf\xa3.{1,64}?(?:matroska|webm)|RIFF.{4}AVI |OggS\0\x02",
    re.DOTALL,
)
"""How films begin: FLV, MP4, Matroska, AVI, Ogg."""
_PICTURE = re.compile(rb"G[\x40-\x7f].[\x10-\x3f].{0,180}?\0\0\x01[\xe0-\xef]", re.DOTALL)
"""A packet of a transport stream that begins a picture of any video (the same, 2.4.3.7)."""


def another_follows(file: MediaBytes, form: str, position: int) -> bool:
    """At the end of the first one. `form`: FFmpeg's name of the container; `position`: byte up
    to which it was shown, headers between its packets left out. Raises `OSError`."""
    size = file.seek(0, 2)
    if "mp4" in form.split(","):
        return _after_boxes(file, size, position)
    file.seek(position)
    rest = file.read(_REST)
    if form == "mpegts":
        return size - position > _SMALL * size and _PICTURE.search(rest) is not None
    return _FILM.search(rest) is not None


def _after_boxes(file: MediaBytes, size: int, position: int) -> bool:
    """An MP4 states where each of its parts ends (ISO/IEC 14496-12, 4.2): whether a second film's
    follow, or something that is none. Before `position` they are a stream's that is sent again and
    again."""
    offset, whole = 0, False
    while offset + 8 <= size:
        file.seek(offset)
        head = file.read(2 * _PACKET)
        length, kind = int.from_bytes(head[:4]), head[4:8]
        if whole and (kind == b"ftyp" or _FILM.match(head) or head[::_PACKET] == b"GG"):
            return offset > position
        whole = whole or kind == b"moov"
        if length == 1:
            length = int.from_bytes(head[8:16])
        if length < 8:  # none, or one that goes on to the end
            return False
        offset += length
    return False
