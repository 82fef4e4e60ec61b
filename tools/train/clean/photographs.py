"""Real faces whose terms allow any use, labelled by permissive teachers, once.

Cuts the faces out of the CC0 mask scenes' training part and of Intel's sample videos (CC BY 4.0,
"Intel, sample-videos"), asks `tools.train.clean.teachers` and writes `runs/clean/photographs.npz`.
The validation part of the scenes is not looked at. What is chosen (thresholds, temperatures) is
chosen on every eighth CC0 picture and on the three clips that the scenes pack holds back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Grey
from agent.vision.faces.align import five_points
from tools.common.files import ROOT, npz, save_atomically
from tools.common.packs import decode, load, packs_folder
from tools.common.progress import along
from tools.train.clean.teachers import Answer, Teachers

FILE = ROOT / "runs" / "clean" / "photographs.npz"
SMALLEST = 26.0
"""Short side of a face's box, pixels, from which it is labelled."""
MARGIN = 1.0
"""Kept around a face's box, shares of its longer side."""
LARGEST = 200
"""Longest side of what is kept of a picture, pixels."""
EVERY = 3
"""Frames of a clip from one that is kept to the next; all are followed."""
HOLD_EVERY = 8
"""Every eighth CC0 picture is held out."""
SOURCES = ("facemask_cc0", "intel_clips", "intel_frames")
CC0, CLIPS, FRAMES = range(3)
MASKED = (1, 2)
"""Classes of the scenes pack: a mask, or a mask worn wrongly."""


@dataclass(frozen=True, slots=True, eq=False)
class Photographs:
    """Real faces with the teachers' labels."""

    pictures: list[Grey]
    """uint8[H, W] each."""
    points: Float
    """float32[N, 68, 2], picture pixels."""
    blendshapes: Float
    """float32[N, 52] in [0, 1], MediaPipe's order."""
    masked: NDArray[np.bool_]
    """bool[N]: wears a mask, as people labelled it."""
    source: NDArray[np.uint8]
    """uint8[N], index into `SOURCES`."""
    clip: NDArray[np.int32]
    """int32[N]: which picture or clip it is of, within its source."""
    doubt: Float
    """float32[N]: the larger of the teachers' stability and agreement, shares of the IOD."""

    def take(self, rows: NDArray[Any]) -> Photographs:
        """Some of them."""
        kept = np.arange(len(self.points))[rows]
        return Photographs(
            [self.pictures[i] for i in kept],
            *(
                getattr(self, name)[kept]
                for name in ("points", "blendshapes", "masked", "source", "clip", "doubt")
            ),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    picture: Grey
    answer: Answer
    masked: bool
    source: int
    clip: int
    held_out: bool


def label() -> None:
    """Label what is there, and say how much; a minute or two for a thousand faces."""
    found = [f for f in _every(Teachers()) if f.answer.trusted]
    data: dict[str, NDArray[Any]] = {}
    jpeg = [
        cv2.imencode(".jpg", f.picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].ravel() for f in found
    ]
    data["jpeg"] = np.concatenate(jpeg)
    data["off"] = np.cumsum([0, *[len(j) for j in jpeg]]).astype(np.int64)
    data["points"] = np.stack([f.answer.points for f in found])
    data["blendshapes"] = np.stack([f.answer.blendshapes for f in found])
    data["masked"] = np.array([f.masked for f in found])
    data["source"] = np.array([f.source for f in found], np.uint8)
    data["clip"] = np.array([f.clip for f in found], np.int32)
    data["doubt"] = np.array(
        [max(f.answer.stability, f.answer.agreement) for f in found], np.float32
    )
    data["held_out"] = np.array([f.held_out for f in found])
    save_atomically(FILE, npz(data, compressed=False))
    for k, name in enumerate(SOURCES):
        own = data["source"] == k
        masked, held = int((own & data["masked"]).sum()), int((own & data["held_out"]).sum())
        print(f"{name}: {int(own.sum())} faces, {masked} masked, {held} held out")


def photographs(held_out: bool = False) -> Photographs:
    """Training faces, or the held-out ones. SystemExit where they have not been labelled yet."""
    if not FILE.is_file():
        raise SystemExit(f"There is no {FILE}: run python -m tools.train.clean.prepare.")
    with np.load(FILE) as pack:
        data = {name: pack[name] for name in pack.files}
    rows = np.flatnonzero(data["held_out"] == held_out)
    return Photographs(
        [decode(data["jpeg"], data["off"], int(i)) for i in rows],
        *(
            data[name][rows]
            for name in ("points", "blendshapes", "masked", "source", "clip", "doubt")
        ),
    )


def held_pictures(scenes: dict[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """bool[pictures]: CC0 pictures of the training part that choices are made on."""
    own = np.flatnonzero((scenes["source"] == "facemask_cc0") & (scenes["split"] == 0))
    held = np.zeros(len(scenes["split"]), bool)
    held[own[::HOLD_EVERY]] = True
    return held


def _every(ask: Teachers) -> Iterator[_Found]:
    scenes = load("scenes.npz")
    held = held_pictures(scenes)
    named = scenes["name"].astype(str)
    clips = [str(path.name) for path in sorted((packs_folder() / "videos").glob("*.mkv"))]
    cc0 = (scenes["source"] == "facemask_cc0") & (scenes["split"] == 0)
    intel = scenes["source"] == "intel_ccby_frames"
    still = np.array([n.rpartition("#")[0] not in clips for n in named])
    every = np.flatnonzero(cc0 | (intel & still))
    for i in along(every, "photographs"):
        picture = decode(scenes["jpeg"], scenes["off"], int(i))
        for row in np.flatnonzero(scenes["box_img"] == i):
            box, five = scenes["box"][row].astype(np.float32), scenes["kps"][row]
            if (box[2:] - box[:2]).min() < SMALLEST or not np.isfinite(five).all():
                continue
            answer = ask(picture, five.astype(np.float32))
            masked = int(scenes["cls"][row]) in MASKED
            source = CC0 if cc0[i] else FRAMES
            out = bool(held[i] if cc0[i] else scenes["split"][i] == 1)
            yield _cut(picture, box, answer, masked, source, int(i), out)
    for k, name in enumerate(along(clips, "clips")):
        frames = {
            int(n.rpartition("#")[2]): int(i)
            for i, n in enumerate(named)
            if intel[i] and n.rpartition("#")[0] == name
        }
        if frames:
            split = bool(scenes["split"][frames[min(frames)]] == 1)
            yield from _followed(ask, name, k, frames, scenes, split)


def _followed(
    ask: Teachers,
    name: str,
    number: int,
    frames: dict[int, int],
    scenes: dict[str, NDArray[Any]],
    held_out: bool,
) -> Iterator[_Found]:
    """A clip's largest face from frame to frame, found anew where the pack labels a frame."""
    film = cv2.VideoCapture(str(packs_folder() / "videos" / name))
    five: Float | None = None
    at = 0
    while True:
        ok, colour = film.read()
        if not ok:
            break
        grey = np.asarray(cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY), np.uint8)
        if at in frames:
            rows = np.flatnonzero((scenes["box_img"] == frames[at]) & (scenes["ignore"] == 0))
            known = [r for r in rows if np.isfinite(scenes["kps"][r]).all()]
            if known:
                sizes = [float(np.ptp(scenes["box"][r][[0, 2]])) for r in known]
                # the pack's copy of the frame is smaller
                by = np.array(grey.shape[::-1], np.float32) / scenes["wh"][frames[at]]
                five = ((scenes["kps"][known[int(np.argmax(sizes))]] + 0.5) * by - 0.5).astype(
                    np.float32
                )
        if five is not None and (at % EVERY == 0 or at in frames):
            answer = ask(grey, five)
            if answer.trusted:
                five = five_points(answer.points)
                low, high = answer.points.min(0), answer.points.max(0)
                box = np.concatenate([low, high]).astype(np.float32)
                yield _cut(grey, box, answer, False, CLIPS, number, held_out)
            else:
                five = None
        at += 1
    film.release()


def _cut(
    picture: Grey,
    box: Float,
    answer: Answer,
    masked: bool,
    source: int,
    clip: int,
    held_out: bool,
) -> _Found:
    """What is kept of the picture, and the answer in its pixels."""
    wide = MARGIN * float((box[2:] - box[:2]).max())
    x0, y0 = np.maximum(np.floor(box[:2] - wide), 0).astype(int)
    x1, y1 = np.ceil(box[2:] + wide).astype(int) + 1
    piece = picture[y0:y1, x0:x1]
    points = answer.points - np.array([x0, y0], np.float32)
    scale = min(LARGEST / max(piece.shape), 1.0)
    if scale < 1.0:
        size = (round(piece.shape[1] * scale), round(piece.shape[0] * scale))
        by = np.array([size[0] / piece.shape[1], size[1] / piece.shape[0]], np.float32)
        piece = np.asarray(cv2.resize(piece, size, interpolation=cv2.INTER_AREA), np.uint8)
        points = (points + 0.5) * by - 0.5
    moved = Answer(
        points.astype(np.float32),
        answer.blendshapes,
        answer.presence,
        answer.stability,
        answer.agreement,
    )
    return _Found(piece.copy(), moved, masked, source, clip, held_out)
