"""The kernel's interface to cameras: structures and ioctl requests of V4L2.

Source: <linux/videodev2.h>, on 64-bit machines, where x86-64 and aarch64 agree.
"""

from __future__ import annotations

import ctypes
import fcntl
from ctypes import c_char, c_int32, c_int64, c_uint8, c_uint16, c_uint32

CAPTURE, CAPTURE_MPLANE = 1, 9
"""enum v4l2_buf_type: VIDEO_CAPTURE, VIDEO_CAPTURE_MPLANE."""
CAP_CAPTURE, CAP_CAPTURE_MPLANE = 0x1, 0x1000
CAP_M2M, CAP_M2M_MPLANE, CAP_OUTPUT, CAP_OUTPUT_MPLANE = 0x8000, 0x4000, 0x2, 0x2000
CAP_STREAMING, CAP_IO_MC, CAP_DEVICE_CAPS = 0x0400_0000, 0x2000_0000, 0x8000_0000
CAP_TIMEPERFRAME = 0x1000
DISCRETE = 1
"""enum v4l2_frmsizetypes and v4l2_frmivaltypes."""
MEMORY_MMAP, FIELD_NONE = 1, 1
FLAG_ERROR = 0x40
FLAG_TIMESTAMP_MASK, FLAG_TIMESTAMP_MONOTONIC = 0xE000, 0x2000
MAX_PLANES = 8


class Capability(ctypes.Structure):
    """struct v4l2_capability."""

    _fields_ = (
        ("driver", c_char * 16),
        ("card", c_char * 32),
        ("bus_info", c_char * 32),
        ("version", c_uint32),
        ("capabilities", c_uint32),
        ("device_caps", c_uint32),
        ("reserved", c_uint32 * 3),
    )


class FormatDescription(ctypes.Structure):
    """struct v4l2_fmtdesc."""

    _fields_ = (
        ("index", c_uint32),
        ("type", c_uint32),
        ("flags", c_uint32),
        ("description", c_char * 32),
        ("pixelformat", c_uint32),
        ("mbus_code", c_uint32),
        ("reserved", c_uint32 * 3),
    )


class _SinglePlane(ctypes.Structure):
    """struct v4l2_pix_format."""

    _fields_ = (
        ("width", c_uint32),
        ("height", c_uint32),
        ("pixelformat", c_uint32),
        ("field", c_uint32),
        ("bytesperline", c_uint32),
        ("sizeimage", c_uint32),
        # colour space, private data, flags, encoding, quantisation, transfer function
        ("rest", c_uint32 * 6),
    )


class _PlaneFormat(ctypes.Structure):
    """struct v4l2_plane_pix_format."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("sizeimage", c_uint32), ("bytesperline", c_uint32), ("reserved", c_uint16 * 6))


class _MultiPlane(ctypes.Structure):
    """struct v4l2_pix_format_mplane."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (
        *((name, c_uint32) for name in ("width", "height", "pixelformat", "field", "colorspace")),
        ("plane_fmt", _PlaneFormat * MAX_PLANES),
        *((name, c_uint8) for name in ("num_planes", "flags", "ycbcr_enc", "quantization")),
        ("xfer_func", c_uint8),
        ("reserved", c_uint8 * 7),
    )


class _FormatUnion(ctypes.Union):
    _fields_ = (
        ("pix", _SinglePlane),
        ("pix_mp", _MultiPlane),
        ("raw", c_uint8 * 200),
        ("aligned", c_int64),
    )


class Format(ctypes.Structure):
    """struct v4l2_format."""

    _fields_ = (("type", c_uint32), ("fmt", _FormatUnion))


class Fraction(ctypes.Structure):
    """struct v4l2_fract: seconds."""

    _fields_ = (("numerator", c_uint32), ("denominator", c_uint32))


class FrameSize(ctypes.Structure):
    """struct v4l2_frmsizeenum. `values`: width and height where `type` is DISCRETE, else min_width,
    max_width, step_width, min_height, max_height, step_height."""

    _fields_ = (
        ("index", c_uint32),
        ("pixel_format", c_uint32),
        ("type", c_uint32),
        ("values", c_uint32 * 6),
        ("reserved", c_uint32 * 2),
    )


class FrameInterval(ctypes.Structure):
    """struct v4l2_frmivalenum. `values`: one where `type` is DISCRETE, else min, max and step."""

    _fields_ = (
        ("index", c_uint32),
        ("pixel_format", c_uint32),
        ("width", c_uint32),
        ("height", c_uint32),
        ("type", c_uint32),
        ("values", Fraction * 3),
        ("reserved", c_uint32 * 2),
    )


class RequestBuffers(ctypes.Structure):
    """struct v4l2_requestbuffers."""

    _fields_ = (
        ("count", c_uint32),
        ("type", c_uint32),
        ("memory", c_uint32),
        ("capabilities", c_uint32),
        ("flags", c_uint8),
        ("reserved", c_uint8 * 3),
    )


class _PlaneMemory(ctypes.Union):
    _fields_ = (("mem_offset", c_uint32), ("userptr", c_int64), ("fd", c_int32))


class Plane(ctypes.Structure):
    """struct v4l2_plane."""

    _fields_ = (
        ("bytesused", c_uint32),
        ("length", c_uint32),
        ("m", _PlaneMemory),
        ("data_offset", c_uint32),
        ("reserved", c_uint32 * 11),
    )


class _BufferMemory(ctypes.Union):
    _fields_ = (
        ("offset", c_uint32),
        ("userptr", c_int64),
        ("planes", ctypes.POINTER(Plane)),
        ("fd", c_int32),
    )


class Buffer(ctypes.Structure):
    """struct v4l2_buffer."""

    _fields_ = (
        ("index", c_uint32),
        ("type", c_uint32),
        ("bytesused", c_uint32),
        ("flags", c_uint32),
        ("field", c_uint32),
        ("seconds", c_int64),
        ("microseconds", c_int64),
        ("timecode", c_uint32 * 4),
        ("sequence", c_uint32),
        ("memory", c_uint32),
        ("m", _BufferMemory),
        ("length", c_uint32),
        ("reserved2", c_uint32),
        ("request_fd", c_int32),
    )


class CaptureParameters(ctypes.Structure):
    """struct v4l2_streamparm of a capture device."""

    _fields_ = (
        ("type", c_uint32),
        ("capability", c_uint32),
        ("capturemode", c_uint32),
        ("timeperframe", Fraction),
        ("rest", c_uint8 * 184),
    )


def _request(direction: int, number: int, size: int) -> int:
    """asm-generic/ioctl.h: `direction` is 1 to write, 2 to read, 3 for both."""
    return direction << 30 | size << 16 | ord("V") << 8 | number


QUERYCAP = _request(2, 0, ctypes.sizeof(Capability))
ENUM_FMT = _request(3, 2, ctypes.sizeof(FormatDescription))
G_FMT = _request(3, 4, ctypes.sizeof(Format))
S_FMT = _request(3, 5, ctypes.sizeof(Format))
REQBUFS = _request(3, 8, ctypes.sizeof(RequestBuffers))
QUERYBUF = _request(3, 9, ctypes.sizeof(Buffer))
QBUF = _request(3, 15, ctypes.sizeof(Buffer))
DQBUF = _request(3, 17, ctypes.sizeof(Buffer))
STREAMON = _request(1, 18, 4)
STREAMOFF = _request(1, 19, 4)
G_PARM = _request(3, 21, ctypes.sizeof(CaptureParameters))
S_PARM = _request(3, 22, ctypes.sizeof(CaptureParameters))
ENUM_FRAMESIZES = _request(3, 74, ctypes.sizeof(FrameSize))
ENUM_FRAMEINTERVALS = _request(3, 75, ctypes.sizeof(FrameInterval))


def control(descriptor: int, request: int, argument: ctypes.Structure | c_int32) -> None:
    """ioctl(2), which fills in `argument`. Raises `OSError`."""
    fcntl.ioctl(descriptor, request, argument, True)


def fourcc(code: int) -> str:
    """A pixel format's four characters as V4L2's documentation writes them: "YUYV", "Y16 "; with
    "-BE" where samples have the high byte first."""
    text = (code & 0x7FFF_FFFF).to_bytes(4, "little").decode("ascii", errors="replace")
    return text + ("-BE" if code & 0x8000_0000 else "")


def code_of(name: str) -> int:
    """The inverse of `fourcc`."""
    big_endian = 0x8000_0000 if name.endswith("-BE") else 0
    return int.from_bytes(name[:4].encode(), "little") | big_endian
