"""Picture size in the headers of compressed packets (JPEG, H.264).

OpenCV silently scales every picture of a file to the size of the first. Standards: ITU-T H.264
(sections 7.3.2.1 and B.1), ITU-T T.81 (section B.2.2).
"""

from __future__ import annotations

Size = tuple[int, int]
"""(H, W), pixels."""

_HIGH_PROFILES = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))
_SPS = 7
_NO_FRAME_HEADER = frozenset((0xC4, 0xC8, 0xCC))
"""JPEG markers among C0 to CF that are tables, not frame headers."""


def jpeg_size(packet: bytes) -> Size | None:
    """Size in the frame header of a JPEG picture; None where there is none."""
    place = 2
    while place + 9 <= len(packet) and packet[place] == 0xFF:
        marker = packet[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME_HEADER:
            height = int.from_bytes(packet[place + 5 : place + 7], "big")
            width = int.from_bytes(packet[place + 7 : place + 9], "big")
            return (height, width) if height and width else None
        place += 2 + int.from_bytes(packet[place + 2 : place + 4], "big")
    return None


def h264_size(packet: bytes) -> Size | None:
    """Size in the sequence parameter set of an Annex B packet; None where there is none."""
    place = packet.find(b"\x00\x00\x01")
    while place >= 0 and place + 4 < len(packet):
        start = place + 3
        place = packet.find(b"\x00\x00\x01", start)
        if packet[start] & 0x1F == _SPS:
            unit = packet[start + 1 : place if place >= 0 else len(packet)]
            try:
                return _sps_size(_Bits(unit.replace(b"\x00\x00\x03", b"\x00\x00")))
            except IndexError:  # truncated
                return None
    return None


class _Bits:
    """Reads bits and Exp-Golomb numbers, most significant first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, count: int) -> int:
        value = 0
        for _ in range(count):
            byte = self._data[self._place >> 3]
            value = value << 1 | byte >> (7 - (self._place & 7)) & 1
            self._place += 1
        return value

    def unsigned(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise IndexError
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        value = self.unsigned()
        return (value + 1) // 2 if value & 1 else -(value // 2)


def _sps_size(bits: _Bits) -> Size | None:
    profile = bits.take(8)
    bits.take(16)  # constraints, level
    bits.unsigned()  # id
    chroma, separate = 1, 0
    if profile in _HIGH_PROFILES:
        chroma = bits.unsigned()
        separate = bits.take(1) if chroma == 3 else 0
        bits.unsigned(), bits.unsigned(), bits.take(1)  # bit depths, transform bypass
        if bits.take(1):
            _skip_scaling_lists(bits, 8 if chroma != 3 else 12)
    bits.unsigned()  # frame number
    order = bits.unsigned()
    if order == 0:
        bits.unsigned()
    elif order == 1:
        bits.take(1), bits.signed(), bits.signed()
        for _ in range(min(bits.unsigned(), 255)):
            bits.signed()
    bits.unsigned(), bits.take(1)  # reference frames, gaps
    across, down = bits.unsigned() + 1, bits.unsigned() + 1
    fields = 2 - bits.take(1)
    if fields == 2:
        bits.take(1)
    bits.take(1)
    width, height = 16 * across, 16 * down * fields
    if bits.take(1):
        mono = chroma == 0 or separate
        step_x = 1 if mono or chroma == 3 else 2
        step_y = fields * (1 if mono or chroma != 1 else 2)
        width -= step_x * (bits.unsigned() + bits.unsigned())
        height -= step_y * (bits.unsigned() + bits.unsigned())
    return (height, width) if 0 < height <= 16_384 and 0 < width <= 16_384 else None


def _skip_scaling_lists(bits: _Bits, lists: int) -> None:
    for index in range(lists):
        if not bits.take(1):
            continue
        last = following = 8
        for _ in range(16 if index < 6 else 64):
            if following:
                following = (last + bits.signed()) % 256
            last = following or last
