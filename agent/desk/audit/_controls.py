"""Positive controls: copies of artifacts with a picture of the video inserted, which the detectors
must find. The frame and the piece of it are chosen so that they can be found at all."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from agent.desk.audit._artifacts import Artifact, Detector, Evidence, Kind
from agent.desk.audit._matching import detrended
from agent.desk.audit._packets import whole_packets
from agent.desk.audit._reference import THUMBNAILS, WINDOW, Grey, Reference, informative
from agent.desk.loopback import packets
from agent.desk.loopback.packets import Message
from agent.perceive.capture.video_file import VideoFile

_KEPT = 65_536
"""Bytes of evidence copied into a positive control."""
_MAX_NOISE, _NOISE_SHARE = 6.0, 0.3
"""Standard deviation of the noise in one positive control: grey levels, and share of the
picture's own."""
_MIN_DEVIATION = 1.5
"""Least standard deviation of a picture that can be recognised by correlation, grey levels."""
_LEVELS = 32
_PIXELS = 300
"""Of the piece of a thumbnail that is planted as numbers."""
_MIN_INFORMATIVE = 60
"""Least informative n-grams of that piece; the search looks up every fifth."""
_FRAMES_TRIED = 300
"""Frames after which the search for the best one ends, once there is one with texture."""
_FLAT = (
    "the video's pictures: they have too little texture to be told from other bytes, so that its "
    "pixels prove nothing; take a video with more contrast"
)


@dataclass(frozen=True, slots=True)
class Control:
    """A positive control, and the detectors that must find it."""

    what: str
    artifact: Artifact
    detectors: frozenset[Detector]


def positive_controls(reference: Reference, evidence: Evidence) -> tuple[list[Control], list[str]]:
    """The controls, and what of the video cannot be looked for. Raises `CaptureError`."""
    number, frame = _best_frame(reference)
    reference.required = number
    thumbnail, piece = _best_piece(frame)
    picture = cv2.resize(frame, (64, 48), interpolation=cv2.INTER_AREA)
    exact: frozenset[Detector] = frozenset({"pixels"} if piece is not None else ())
    similar: frozenset[Detector] = frozenset({"picture"} if _recognisable(picture) else ())
    if piece is None:
        piece = thumbnail.reshape(-1)[:_PIXELS]
    coded = base64.b64encode(thumbnail.tobytes())
    topic = f"fleeting/1/d/{evidence.device}/summary"
    message = Message(topic, b'{"note":"' + coded + b'"}', 1, False)
    numbers = " ".join(map(str, piece)).encode()
    page = _degraded(picture, bool(similar)).tobytes()
    good, jpeg = cv2.imencode(".jpg", frame)
    artifacts = evidence.artifacts
    controls = [
        Control(
            "a thumbnail as base64 in a message",
            planted_copy(artifacts, "wire", packets.publish(message, 5, 1, 1, False)),
            exact | {"schema"},
        ),
        Control(
            "pixels in a log",
            planted_copy(artifacts, "log", b"\n" + numbers + b"\n"),
            exact | {"numbers"},
        ),
        Control(
            "a noisy thumbnail in a free page",
            planted_copy(artifacts, "database", page + bytes(4096 - len(page))),
            similar | {"residue"},
        ),
        Control(
            "a JPEG in a file",
            Artifact("planted file", "other", jpeg.tobytes() if good else b"", planted=True),
            frozenset({"magic"}),
        ),
    ]
    return controls, [] if exact or similar else [_FLAT]


def _best_frame(reference: Reference) -> tuple[int, Grey]:
    """Number and picture of the frame with most texture among the first that are searched for; of
    a video that begins dark, also of later ones."""
    source = VideoFile(reference.path)
    best, number_of_best, picture = -1, 0, np.zeros((48, 64), np.uint8)
    try:
        for number, frame in enumerate(source):
            if number % reference.every:
                continue
            small = cv2.resize(frame.luma, (64, 48), interpolation=cv2.INTER_AREA)
            score = int(informative(small.reshape(-1)).sum()) + int(small.std())
            if score > best:
                best, number_of_best, picture = score, number, frame.luma
            if number >= _FRAMES_TRIED and best > _MIN_INFORMATIVE:
                break
    finally:
        source.close()
    return number_of_best, picture


def _best_piece(frame: Grey) -> tuple[Grey, Grey | None]:
    """The thumbnail with most texture, and the row of its pixels with most; None where even that is
    too little."""
    found: list[tuple[int, int, Grey]] = []
    for shape in THUMBNAILS:
        if shape[0] >= frame.shape[1] or shape[1] >= frame.shape[0]:
            continue
        small = cv2.resize(frame, shape, interpolation=cv2.INTER_AREA)
        good = np.concatenate([[0], np.cumsum(informative(small.reshape(-1)))])
        span = min(_PIXELS - WINDOW + 1, len(good) - 1)
        sums = good[span:] - good[:-span]
        found.append((int(sums.max()), int(sums.argmax()), small))
    if not found:
        return cv2.resize(frame, (32, 24), interpolation=cv2.INTER_AREA), None
    count, start, small = max(found, key=lambda each: each[0])
    piece = small.reshape(-1)[start : start + _PIXELS]
    return small, piece if count >= _MIN_INFORMATIVE else None


def _recognisable(picture: Grey) -> bool:
    return float(picture.std()) >= _MIN_DEVIATION and detrended(picture) is not None


def _degraded(picture: Grey, recognisable: bool) -> Grey:
    """The picture with noise and fewer grey levels; pure noise where it cannot be recognised, since
    a black frame would give zeros."""
    seed = int.from_bytes(hashlib.sha256(picture.tobytes()).digest()[:4], "little")
    rng = np.random.default_rng(seed)
    if not recognisable:
        return rng.integers(1, 256, picture.shape).astype(np.uint8)
    deviation = min(_MAX_NOISE, _NOISE_SHARE * float(picture.std()))
    low, high = int(picture.min()), int(picture.max())
    step = max(1, (high - low) // _LEVELS)
    noisy = np.clip(picture + rng.normal(0.0, deviation, picture.shape), 1, 255)
    degraded: Grey = np.maximum(noisy // step * step, 1).astype(np.uint8)
    return degraded


def planted_copy(
    artifacts: Sequence[Artifact], kind: Kind, added: bytes, what: str = ""
) -> Artifact:
    """The last artifact of a kind, up to a boundary of packets or pages, with `added` bytes; of the
    wire the last that begins with a packet, if any does. `what`: to tell controls apart."""
    same = [each for each in artifacts if each.kind == kind]
    if kind == "wire":
        same.sort(key=lambda each: whole_packets(each.data) > 0)
    last = same[-1] if same else Artifact(kind, kind if what else "other", b"")
    keep = last.data[:_KEPT]
    if kind == "wire":
        keep = keep[: whole_packets(keep)]
    elif kind == "database":
        keep = keep[: len(keep) // 4096 * 4096]
    return Artifact(
        f"planted{' ' + what if what else ''} into: {last.name}",
        last.kind,
        keep + added,
        planted=True,
    )
