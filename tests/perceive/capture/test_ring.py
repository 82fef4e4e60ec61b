"""Pictures in shared memory: whole or not at all, whatever a stranger writes."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.perceive.capture import ring
from agent.perceive.capture.ring import Reader, Writer, create

RAMP = (np.arange(24 * 33) % 251).astype(np.uint8).reshape(24, 33)
FIRST = 4096 + (4096 + ring.MAX_PIXELS)
"""Where the header of picture 1 lies: in the second of three slots."""


@pytest.fixture
def ends() -> Iterator[tuple[Writer, Reader, int]]:
    number = create()
    yield Writer(number), Reader(number), number
    os.close(number)


def test_the_newest_is_read_once(ends: tuple[Writer, Reader, int]) -> None:
    writer, reader, _ = ends
    assert reader.newest(0) is None
    for n in range(1, 8):
        writer.put(n / 10, RAMP + np.uint8(n), ring.GREEN * (n == 7), damaged=n)
    found = reader.newest(0)
    assert found is not None
    assert (found.number, found.time, found.marks) == (7, 0.7, ring.GREEN)
    np.testing.assert_array_equal(found.luma, RAMP + np.uint8(7))
    assert reader.newest(7) is None
    assert reader.damaged == 7
    writer.put(0.8, RAMP[:, :16], 0, 0)  # rows that are no longer contiguous
    small = reader.newest(7)
    assert small is not None
    np.testing.assert_array_equal(small.luma, RAMP[:, :16])
    assert found.luma[0, 0] == 7, "it is a copy"
    reader.clear()
    assert reader.newest(0) is None


@pytest.mark.parametrize("at", [0, 5, 20, 30, 38, 4096, 4096 + 500])
def test_a_picture_that_was_tampered_with_is_none(
    ends: tuple[Writer, Reader, int], at: int
) -> None:
    writer, reader, number = ends
    writer.put(0.5, RAMP, 0, 0)
    byte = os.pread(number, 1, FIRST + at)
    os.pwrite(number, bytes([byte[0] ^ 1]), FIRST + at)
    assert reader.newest(0) is None
    os.pwrite(number, byte, FIRST + at)
    assert reader.newest(0) is not None


@given(st.binary(max_size=64))
def test_garbage_is_no_picture(data: bytes) -> None:
    number = create()
    try:
        os.pwrite(number, data, FIRST)
        os.pwrite(number, data, 0)  # control words, too
        reader = Reader(number)
        assert reader.newest(0) is None
        assert reader.phase in range(4)
        assert len(reader.text) <= ring.MAX_TEXT
    finally:
        os.close(number)


@pytest.mark.parametrize(("height", "width"), [(0, 0), (2**31, 2), (15, 640), (5000, 5000)])
def test_a_wrong_size_is_no_picture(
    ends: tuple[Writer, Reader, int], height: int, width: int
) -> None:
    import zlib

    header = struct.pack("=QdIIIQ", 1, 0.5, height, width, 0, 0)
    os.pwrite(ends[2], header + struct.pack("=I", zlib.crc32(header)), FIRST)
    assert ends[1].newest(0) is None


def test_a_picture_without_place_is_refused(ends: tuple[Writer, Reader, int]) -> None:
    for shape in ((8, 640), (4097, 4097)):
        with pytest.raises(ValueError, match=f"{shape[1]}x{shape[0]}"):
            ends[0].put(0.0, np.zeros(shape, np.uint8), 0, 0)


def test_text_is_one_printable_line_of_bounded_length(ends: tuple[Writer, Reader, int]) -> None:
    writer, reader, _ = ends
    writer.say(ring.FAILED, "It\nwent\x1b[31m away. " + "\N{SNOWMAN}" * 1000)
    assert reader.phase == ring.FAILED
    assert reader.text.startswith("It went [31m away. \N{SNOWMAN}")
    assert len(reader.text.encode()) <= ring.MAX_TEXT + 2
    reader.clear()
    assert (reader.phase, reader.text) == (ring.STARTING, "")


def test_the_limit_reaches_the_writer_and_stays(ends: tuple[Writer, Reader, int]) -> None:
    writer, reader, _ = ends
    assert writer.limit == 0.0
    reader.limit(12.5)
    reader.clear()
    assert writer.limit == 12.5
    reader.limit(None)
    assert writer.limit == 0.0


def test_nobody_can_cut_the_memory_short(ends: tuple[Writer, Reader, int]) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(ends[2], 0)
    with pytest.raises(PermissionError):
        fcntl.fcntl(ends[2], fcntl.F_ADD_SEALS, 0)
