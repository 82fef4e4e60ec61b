"""Can the audit see? Pictures of the canary, put into copies of the evidence, must be found."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from agent.desk.audit.canary import Grey, texture
from agent.desk.audit.evidence import Detector, Finding, Item
from agent.desk.audit.wire import whole_packets
from agent.desk.loopback import packets
from agent.desk.loopback.packets import Message
from agent.perceive.capture.video_file import VideoFile

_COPIED = 65_536
"""Bytes of evidence around what is planted."""
_NOISE = 6.0
"""Standard deviation, grey levels, of the noise on one planted picture; it also has 32 levels only.
"""
_LOOKED_AT = 300


@dataclass(frozen=True, slots=True)
class Plant:
    """A copy of some evidence with a picture in it, and which detectors must find it."""

    what: str
    item: Item
    detectors: frozenset[Detector]


def plants(video: Path, every: int, device: str, items: Sequence[Item]) -> list[Plant]:
    """What to plant into copies of a run's evidence. `every`: each n-th frame is searched for.

    Raises `CaptureError`.
    """
    frame = _frame(video, every)
    seen: frozenset[Detector] = frozenset({"pixels"}) if texture(frame) else frozenset()
    like: frozenset[Detector] = frozenset({"picture"}) if texture(frame) else frozenset()
    small = cv2.resize(frame, (32, 24), interpolation=cv2.INTER_AREA)
    coded = base64.b64encode(small.tobytes())
    message = Message(f"fleeting/1/d/{device}/summary", b'{"note":"' + coded + b'"}', 1, False)
    numbers = " ".join(map(str, small.reshape(-1)[:300])).encode()
    # of a black frame nothing would be left that is not zero
    page = _rough(cv2.resize(frame, (64, 48), interpolation=cv2.INTER_AREA), bool(seen)).tobytes()
    good, jpeg = cv2.imencode(".jpg", frame)
    return [
        Plant(
            "a thumbnail as base64 in a message",
            _copy(items, "wire", packets.publish(message, 5, 1, 1, False)),
            seen | {"schema"},
        ),
        Plant("pixels in a log", _copy(items, "log", b"\n" + numbers + b"\n"), seen | {"numbers"}),
        Plant(
            "a noisy thumbnail in a free page",
            _copy(items, "database", page + bytes(4096 - len(page))),
            like | {"residue"},
        ),
        Plant(
            "a JPEG in a file",
            Item("planted file", "other", jpeg.tobytes() if good else b"", planted=True),
            frozenset({"magic"}),
        ),
    ]


def blind(planted: Iterable[Plant], findings: Iterable[Finding]) -> list[str]:
    """What was planted and not found, with the detector that should have."""
    found = {(each.where, each.detector) for each in findings if each.planted}
    return [
        f"{plant.what} ({detector})"
        for plant in planted
        for detector in sorted(plant.detectors)
        if (plant.item.name, detector) not in found
    ]


def _frame(video: Path, every: int) -> Grey:
    """A frame that will be searched for, with texture if one of the first has."""
    source = VideoFile(video)
    first: Grey | None = None
    try:
        for number, frame in enumerate(source):
            if number % every:
                continue
            first = frame.luma if first is None else first
            if texture(frame.luma):
                return frame.luma
            if number > _LOOKED_AT:
                break
    finally:
        source.close()
    return first if first is not None else np.zeros((48, 64), np.uint8)


def _rough(picture: Grey, textured: bool) -> Grey:
    """As a leak might have it that avoids exact pixels; noise alone where there is no texture."""
    seed = int.from_bytes(hashlib.sha256(picture.tobytes()).digest()[:4], "little")
    rng = np.random.default_rng(seed)
    if not textured:
        return rng.integers(0, 256, picture.shape).astype(np.uint8)
    noise = rng.normal(0.0, _NOISE, picture.shape)
    rough: Grey = (np.clip(picture + noise, 0, 255) // 8 * 8).astype(np.uint8)
    return rough


def _copy(items: Sequence[Item], kind: str, plant: bytes) -> Item:
    """The last item of a kind, up to a whole packet, and the plant."""
    same = [each for each in items if each.kind == kind]
    data = same[-1].data if same else b""
    name = same[-1].name if same else kind
    keep = data[:_COPIED]
    if kind == "wire":
        keep = keep[: whole_packets(keep)]
    return Item(f"planted into: {name}", same[-1].kind if same else "other", keep + plant, True)
