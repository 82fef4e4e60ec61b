"""PNG files that no library writes."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from numpy.typing import NDArray


def chunk(name: bytes, body: bytes) -> bytes:
    """With its length and checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(values: NDArray[Any], *before: bytes, rows: int | None = None) -> bytes:
    """`values`: uint8 or uint16 [H, W] (grey), [H, W, 2] (and alpha) or [H, W, 3] (RGB). `before`:
    chunks before the image data, which hold `rows` rows."""
    height, width = values.shape[:2]
    kind = {1: 0, 2: 4, 3: 2}[values.shape[2] if values.ndim == 3 else 1]
    header = struct.pack(">IIBBBBB", width, height, values.itemsize * 8, kind, 0, 0, 0)
    stored = values.astype(values.dtype.newbyteorder(">"))
    data = b"".join(b"\0" + row.tobytes() for row in stored[:rows])
    parts = [chunk(b"IHDR", header), *before, chunk(b"IDAT", zlib.compress(data))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")
