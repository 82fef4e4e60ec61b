"""One V4L2 device: what it is, what it offers, and its buffers.

Directly through the kernel's interface. OpenCV does without `bytesperline`, several planes per
buffer, half of the pixel formats and the driver's error flag; FFmpeg without the first two and
another half; the Python binding there is (linuxpy) is under the GPL.

Source: https://docs.kernel.org/userspace-api/media/v4l/v4l2.html
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import select
import time
from collections.abc import Iterator
from ctypes import c_int32
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.perceive.capture import v4l2_abi as abi
from agent.perceive.capture.pixel_formats import Bytes, Geometry
from agent.perceive.capture.v4l2_modes import Mode, fitted

BUFFERS = 4
"""As few as drivers take: what waits in them is old."""
_MAX_ANSWERS = 512
"""Entries of one enumeration, for drivers whose lists do not end."""
_PROCESSORS = ("pispbe", "bcm2835-isp", "bcm2835-codec", "rpi-hevc-dec", "rpivid")
"""Drivers of nodes that capture what a program feeds them: the Raspberry Pi's image processors and
codecs."""
_RECEIVERS = ("unicam", "rp1-cfe")
"""Drivers of the Raspberry Pi's ribbon cables."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """What the driver filled: valid until the next call of `Device.read`."""

    planes: list[Bytes]
    """uint8[N] of each memory plane."""
    damaged: bool
    """The driver says so."""
    stamp: float | None
    """Seconds of CLOCK_MONOTONIC; None where the driver uses another clock."""


class Device:
    """An open device node. Every method raises `OSError`."""

    def __init__(self, path: str) -> None:
        """`OSError` with ENOTTY: it is not a V4L2 device."""
        self.path = path
        self._number = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._streams = False
        self._maps: list[list[mmap.mmap]] = []
        self._held: int | None = None
        try:
            found = abi.Capability()
            abi.control(self._number, abi.QUERYCAP, found)
        except OSError as error:
            os.close(self._number)
            if error.errno == errno.EINVAL:
                raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY)) from None
            raise
        own = found.capabilities & abi.CAP_DEVICE_CAPS
        self._abilities = found.device_caps if own else found.capabilities
        self.driver = found.driver.decode(errors="replace")
        self.card = found.card.decode(errors="replace")
        self._type = abi.CAPTURE if self._abilities & abi.CAP_CAPTURE else abi.CAPTURE_MPLANE

    @property
    def captures(self) -> bool:
        """Whether it delivers pictures of its own: no codec, metadata or image processor."""
        can = self._abilities
        return (
            bool(can & (abi.CAP_CAPTURE | abi.CAP_CAPTURE_MPLANE))
            and not can & (abi.CAP_M2M | abi.CAP_M2M_MPLANE)
            and bool(can & abi.CAP_STREAMING)
            and not self.driver.startswith(_PROCESSORS)
        )

    @property
    def needs_set_up(self) -> bool:
        """Whether it receives what a sensor on a ribbon cable sends: raw, once a media controller
        has been set up, whatever formats it lists."""
        return bool(self._abilities & abi.CAP_IO_MC) or self.driver in _RECEIVERS

    def modes(self, width: int, height: int) -> list[Mode]:
        """All that it offers; of sizes that can be chosen in steps the nearest to this one, and
        this one where the driver lists no sizes."""
        found = []
        for description in self._listed(abi.ENUM_FMT, abi.FormatDescription(type=self._type)):
            code = int(description.pixelformat)
            for size in self._sizes(code, width, height) or [(width, height)]:
                found.append(Mode(code, *size, self._rate(code, *size)))
        return found

    def _sizes(self, code: int, width: int, height: int) -> list[tuple[int, int]]:
        sizes = []
        for entry in self._listed(abi.ENUM_FRAMESIZES, abi.FrameSize(pixel_format=code)):
            if entry.type != abi.DISCRETE:
                return [(fitted(width, *entry.values[:3]), fitted(height, *entry.values[3:]))]
            sizes.append((entry.values[0], entry.values[1]))
        return sizes

    def _rate(self, code: int, width: int, height: int) -> float:
        question = abi.FrameInterval(pixel_format=code, width=width, height=height)
        rates = [0.0]
        for entry in self._listed(abi.ENUM_FRAMEINTERVALS, question):
            shortest = entry.values[0]
            if shortest.numerator:
                rates.append(shortest.denominator / shortest.numerator)
            if entry.type != abi.DISCRETE:
                break
        return max(rates)

    def _listed(self, request: int, question: Any) -> Iterator[Any]:
        """The driver's answers, each valid until the next; none where it cannot be asked."""
        for index in range(_MAX_ANSWERS):
            question.index = index
            try:
                abi.control(self._number, request, question)
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.ENOTTY, errno.ENODATA):
                    return
                raise
            yield question

    def configure(self, code: int, width: int, height: int, fps: float) -> tuple[int, Geometry]:
        """Ask for this, and return the pixel format and geometry that the driver chose instead."""
        wanted = abi.Format(type=self._type)
        abi.control(self._number, abi.G_FMT, wanted)
        for name, value in (("width", width), ("height", height), ("pixelformat", code)):
            setattr(self._part(wanted), name, value)
        self._part(wanted).field = abi.FIELD_NONE
        if self._type == abi.CAPTURE:
            wanted.fmt.pix.bytesperline = wanted.fmt.pix.sizeimage = 0
        else:
            wanted.fmt.pix_mp.num_planes = 0
            ctypes.memset(
                wanted.fmt.pix_mp.plane_fmt, 0, ctypes.sizeof(wanted.fmt.pix_mp.plane_fmt)
            )
        abi.control(self._number, abi.S_FMT, wanted)
        chosen = self._part(wanted)
        multi = self._type == abi.CAPTURE_MPLANE
        stride = chosen.plane_fmt[0].bytesperline if multi else chosen.bytesperline
        self._set_rate(fps)
        return int(chosen.pixelformat), Geometry(chosen.width, chosen.height, stride)

    def _part(self, wanted: abi.Format) -> Any:
        return wanted.fmt.pix if self._type == abi.CAPTURE else wanted.fmt.pix_mp

    def _set_rate(self, fps: float) -> None:
        """Drivers that cannot be told keep theirs."""
        wanted = abi.CaptureParameters(type=self._type)
        with contextlib.suppress(OSError):
            abi.control(self._number, abi.G_PARM, wanted)
            if wanted.capability & abi.CAP_TIMEPERFRAME:
                wanted.timeperframe.numerator = 1000
                wanted.timeperframe.denominator = round(fps * 1000)
                abi.control(self._number, abi.S_PARM, wanted)

    def start(self) -> None:
        """Map buffers and start streaming. After an error the device can be configured again."""
        asked = abi.RequestBuffers(count=BUFFERS, type=self._type, memory=abi.MEMORY_MMAP)
        abi.control(self._number, abi.REQBUFS, asked)
        try:
            for index in range(asked.count):
                self._maps.append(self._mapped(index))
            for index in range(asked.count):
                self._give_back(index)
            abi.control(self._number, abi.STREAMON, c_int32(self._type))
        except OSError:
            self._unmap()
            with contextlib.suppress(OSError):
                none = abi.RequestBuffers(count=0, type=self._type, memory=abi.MEMORY_MMAP)
                abi.control(self._number, abi.REQBUFS, none)
            raise
        self._streams = True

    def _empty(self, index: int = 0) -> tuple[abi.Buffer, Any]:
        """A question about a buffer, and the planes that its answer is written to."""
        buffer = abi.Buffer(index=index, type=self._type, memory=abi.MEMORY_MMAP)
        planes = (abi.Plane * abi.MAX_PLANES)()
        if self._type == abi.CAPTURE_MPLANE:
            buffer.m.planes = ctypes.cast(planes, ctypes.POINTER(abi.Plane))
            buffer.length = abi.MAX_PLANES
        return buffer, planes

    def _mapped(self, index: int) -> list[mmap.mmap]:
        buffer, planes = self._empty(index)
        abi.control(self._number, abi.QUERYBUF, buffer)
        parts = [(buffer.length, buffer.m.offset)]
        if self._type == abi.CAPTURE_MPLANE:
            parts = [(each.length, each.m.mem_offset) for each in planes[: buffer.length]]
        return [
            mmap.mmap(self._number, size, mmap.MAP_SHARED, mmap.PROT_READ, offset=offset)
            for size, offset in parts
        ]

    def _give_back(self, index: int) -> None:
        buffer, _planes = self._empty(index)
        if self._type == abi.CAPTURE_MPLANE:
            buffer.length = len(self._maps[index])
        abi.control(self._number, abi.QBUF, buffer)

    def read(self, timeout: float) -> Buffer | None:
        """Wait up to `timeout` seconds for the next buffer; None: there was none. ENODEV: it was
        unplugged."""
        if self._held is not None:
            held, self._held = self._held, None
            self._give_back(held)
        poll = select.poll()
        poll.register(self._number, select.POLLIN)
        end = time.monotonic() + timeout
        while True:
            ready = poll.poll(max(0.0, end - time.monotonic()) * 1000.0)
            buffer, planes = self._empty()
            try:
                abi.control(self._number, abi.DQBUF, buffer)
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    raise
                if time.monotonic() >= end:
                    return None
                if ready:  # such as POLLERR
                    time.sleep(0.005)
                continue
            self._held = buffer.index
            return self._filled(buffer, planes)

    def _filled(self, buffer: abi.Buffer, planes: Any) -> Buffer:
        maps = self._maps[buffer.index]
        parts = [(0, buffer.bytesused)]
        if self._type == abi.CAPTURE_MPLANE:
            parts = [(each.data_offset, each.bytesused) for each in planes[: len(maps)]]
        monotonic = buffer.flags & abi.FLAG_TIMESTAMP_MASK == abi.FLAG_TIMESTAMP_MONOTONIC
        stamp = buffer.seconds + buffer.microseconds / 1e6
        return Buffer(
            [
                np.frombuffer(memory, np.uint8)[start:end]
                for memory, (start, end) in zip(maps, parts, strict=True)
            ],
            bool(buffer.flags & abi.FLAG_ERROR),
            stamp if monotonic else None,
        )

    def close(self) -> None:
        """Stop streaming and close it. Idempotent."""
        if self._number < 0:
            return
        if self._streams:
            with contextlib.suppress(OSError):
                abi.control(self._number, abi.STREAMOFF, c_int32(self._type))
        self._unmap()
        os.close(self._number)
        self._number = -1

    def _unmap(self) -> None:
        for memory in (each for maps in self._maps for each in maps):
            with contextlib.suppress(BufferError):  # the last buffer is still looked at
                memory.close()
        self._maps.clear()
