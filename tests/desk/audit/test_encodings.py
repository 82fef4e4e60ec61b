"""File signatures, and encoded data in logs."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io

import cv2
import numpy as np
import pytest

from agent.base.report import to_json
from agent.desk.audit._encodings import decodings, signatures, suspicious_text
from tests.desk.audit.clip import frames
from tests.summaries import summary

FRAME = frames(1)[0]


def numpy_file() -> bytes:
    file = io.BytesIO()
    np.save(file, FRAME)
    return file.getvalue()


FILES = {
    "JPEG": cv2.imencode(".jpg", FRAME)[1].tobytes(),
    "PNG": cv2.imencode(".png", FRAME)[1].tobytes(),
    "BMP": cv2.imencode(".bmp", FRAME)[1].tobytes(),
    "TIFF": cv2.imencode(".tiff", FRAME)[1].tobytes(),
    "WebP": cv2.imencode(".webp", FRAME)[1].tobytes(),
    "PNM": cv2.imencode(".pgm", FRAME)[1].tobytes(),
    "NumPy": numpy_file(),
    "gzip": gzip.compress(b"pixels" * 20),
    "ZIP": b"PK\x03\x04\x14\x00\x00\x00\x08\x00" + bytes(20),
}


@pytest.mark.parametrize("name", FILES)
def test_files_are_known_by_their_first_bytes(name: str) -> None:
    assert any(name in found and at == 3 for at, found in signatures(b"xyz" + FILES[name]))
    coded = base64.b64encode(b"a" + FILES[name])
    inner = [each.pixels.tobytes() for each in decodings(coded) if each.coded]
    assert any(name in found for each in inner for _, found in signatures(each))


def test_other_bytes_have_no_signatures() -> None:
    bodies = [to_json(summary(n)) for n in range(200)]
    hashes = [hashlib.sha256(each).hexdigest().encode() for each in bodies]
    random = np.random.default_rng(3).integers(0, 256, 50_000, np.uint8).tobytes()
    assert list(signatures(b"".join([*bodies, *hashes, random]))) == []


@pytest.mark.parametrize(
    ("line", "detector"),
    [
        (b"points [" + b", ".join(b"%d.5" % n for n in range(30)) + b"]", "numbers"),
        (b"(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14)", "numbers"),
        (base64.b64encode(bytes(range(90))), "entropy"),
        (b"".join(b"%02x" % (i * 37 % 251) for i in range(40)), "entropy"),
        (b"\\x12\\x34\\x56\\x78\\x9a\\xbc\\xde\\xf0", "entropy"),
        (b"%12%34%56%78%9A%BC%DE%F0", "entropy"),
        (bytes(range(1, 9)) + bytes(range(14, 26)), "entropy"),
        (b"\n".join(b"point %d: %d" % (n, 7 * n) for n in range(68)), "numbers"),
    ],
)
def test_encoded_data_in_a_log_is_found(line: bytes, detector: str) -> None:
    log = b"uplink: hello\n" + line + b"\n"
    assert detector in {found for found, _, _ in suspicious_text(log)}


def test_an_ordinary_log_has_no_findings() -> None:
    log = b"\n".join(
        [
            b"perceive: Network closed, writing confined (seccomp, landlock).",
            b"uplink: Connected to 127.0.0.1:41859",
            b"uplink: The broker at 127.0.0.1:1883 went away: cut. Next try in 0.5 s.",
            b"The outbox /tmp/fleeting-audit-a8f_2k1z/run/outbox/outbox.db is damaged (file is not "
            b"a database); it was moved to /tmp/fleeting-audit-a8f_2k1z/run/outbox/outbox.db."
            b"damaged-18ab4c9d2e1f and a new one begun.",
            b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",
            b"2026-11-21 12:13:14.123456: I tensorflow/core/util/port.cc:153] 3.141592653589793",
            b"sha256 " + hashlib.sha256(b"x").hexdigest().encode(),
            "Größe geändert: 640 × 480 Bildpunkte – weiter".encode(),
        ]
    )
    assert list(suspicious_text(log)) == []
