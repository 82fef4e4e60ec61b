"""Sizes read from packets, against an independent encoder of headers."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agent.perceive.capture.bitstream import h264_size, jpeg_size


class Writer:
    """Bits and Exp-Golomb numbers (ITU-T H.264, 9.1)."""

    def __init__(self) -> None:
        self.bits = ""

    def put(self, value: int, count: int) -> Writer:
        self.bits += f"{value:0{count}b}" if count else ""
        return self

    def ue(self, *values: int) -> Writer:
        for value in values:
            text = f"{value + 1:b}"
            self.bits += "0" * (len(text) - 1) + text
        return self

    def se(self, value: int) -> Writer:
        return self.ue(2 * value - 1 if value > 0 else -2 * value)

    def unit(self) -> bytes:
        """With stop bit and emulation prevention, after a start code."""
        bits = self.bits + "1"
        bits += "0" * (-len(bits) % 8)
        data = int(bits, 2).to_bytes(len(bits) // 8, "big")
        escaped, zeros = bytearray(), 0
        for byte in data:
            if zeros >= 2 and byte <= 3:
                escaped.append(3)
                zeros = 0
            escaped.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return b"\x00\x00\x00\x01\x67" + bytes(escaped)


def sps(
    height: int,
    width: int,
    profile: int = 66,
    fields: bool = False,
    order: int = 0,
    scaling: bool = False,
    chroma: int = 1,
) -> bytes:
    """A sequence parameter set for H x W; both multiples of what cropping can express."""
    writer = Writer().put(profile, 8).put(0, 8).put(40, 8).ue(0)
    if profile == 100:
        writer.ue(chroma, 0, 0).put(0, 1).put(scaling, 1)
        if scaling:
            for index in range(8):
                writer.put(index % 2, 1)
                if index % 2:
                    for _ in range(16 if index < 6 else 64):
                        writer.se(1)
    writer.ue(4, order)
    if order == 0:
        writer.ue(4)
    elif order == 1:
        writer.put(0, 1).se(-3).se(5).ue(2).se(1).se(-1)
    rows = 2 if fields else 1
    down, across = -(-height // (16 * rows)), -(-width // 16)
    writer.ue(1).put(0, 1).ue(across - 1, down - 1).put(not fields, 1)
    if fields:
        writer.put(0, 1)
    writer.put(1, 1)
    step_y = rows * (2 if chroma == 1 else 1)
    step_x = 2 if chroma == 1 else 1
    right, bottom = 16 * across - width, 16 * rows * down - height
    assert right % step_x == bottom % step_y == 0
    writer.put(1, 1).ue(0, right // step_x, 0, bottom // step_y)
    return writer.put(0, 1).unit()


@given(
    half=st.tuples(st.integers(1, 500), st.integers(1, 500)),
    profile=st.sampled_from([66, 77, 100]),
    fields=st.booleans(),
    order=st.sampled_from([0, 1, 2]),
    scaling=st.booleans(),
    chroma=st.sampled_from([0, 1]),
    delimiter=st.booleans(),
)
def test_h264_size(
    half: tuple[int, int],
    profile: int,
    fields: bool,
    order: int,
    scaling: bool,
    chroma: int,
    delimiter: bool,
) -> None:
    """For any other content of the parameter set and any other units."""
    chroma = chroma if profile == 100 else 1  # other profiles have no field for it
    height, width = (4 if fields else 2) * half[0], 2 * half[1]
    packet = sps(height, width, profile, fields, order, scaling, chroma)
    if delimiter:
        packet = b"\x00\x00\x00\x01\x09\xf0" + packet
    packet += b"\x00\x00\x00\x01\x68\xee\x3c\x80\x00\x00\x01\x65\x88"
    assert h264_size(packet) == (height, width)


def test_packets_that_declare_no_size() -> None:
    whole = sps(480, 640)
    assert h264_size(b"") is None
    assert h264_size(b"\x00\x00\x00\x01\x41\x9a\x24\x6c") is None
    for length in range(4, 10):
        assert h264_size(whole[:length]) is None
    assert jpeg_size(b"") is None
    assert jpeg_size(b"\xff\xd8\xff\xd9") is None


@given(st.binary(max_size=200))
def test_rubbish_is_never_more_than_a_wrong_size(data: bytes) -> None:
    for found in (
        h264_size(b"\x00\x00\x01\x67" + data),
        h264_size(data),
        jpeg_size(b"\xff\xd8" + data),
        jpeg_size(b"\xff\xd8\xff\xc0" + data),
    ):
        assert found is None or (0 < found[0] <= 65_535 and 0 < found[1] <= 65_535)


@given(st.integers(1, 300), st.integers(1, 300), st.booleans())
def test_jpeg_size(height: int, width: int, progressive: bool) -> None:
    picture = np.zeros((height, width), np.uint8)
    packet = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive)])[1]
    assert jpeg_size(packet.tobytes()) == (height, width)
