"""The photograph behind every visitor, with its marks and the textures made of it once."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.errors import AgentError
from agent.types import Float

Picture = NDArray[np.uint8]
DETAIL = 3
"""Texture pixels per photograph pixel."""
_CAVITY = (34.0, 22.0, 46.0)
"""Blue, green, red of the dark inside a mouth."""
_FOLDS = (
    [(210.0, 122.5), (202.5, 128.7), (197.0, 134.6), (196.0, 139.0)],
    [(237.9, 124.5), (242.9, 130.4), (247.9, 135.4), (250.0, 138.7), (248.7, 143.0)],
)
"""The folds beside the smiling mouth, photograph pixels; a resting face has hardly any."""


class PortraitError(AgentError):
    """The photograph is missing or is another one."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """How one visitor differs in colour and light from the photograph."""

    gain: float = 1.0
    gamma: float = 1.0
    hair: float = 1.0
    """Brightness of the hair against the photograph's."""
    suit_hue: float = 0.0
    """Degrees in the a-b plane of CIELAB by which the orange suit turns."""


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """The marks of the photograph; all points float32[N, 2], its own pixels."""

    picture: Picture
    """uint8[512, 512, 3], BGR."""
    landmarks: Float
    """68 points, iBUG order."""
    upper_lip: Float
    """Lower edge of the upper lip, image-left to image-right corner, 11 points."""
    lower_lip: Float
    """Upper edge of the lower lip, same corners."""
    upper_lids: tuple[Float, Float]
    """Edge of each upper lid, image-left eye first, image-left to image-right corner."""
    lower_lids: tuple[Float, Float]
    outline: Float

    @property
    def origin(self) -> Float:
        """Midway between the outer eye corners."""
        return np.asarray((self.landmarks[36] + self.landmarks[45]) / 2, np.float32)

    @property
    def iod(self) -> float:
        """Distance of the outer eye corners, photograph pixels."""
        return float(np.hypot(*(self.landmarks[45] - self.landmarks[36])))

    @property
    def axes(self) -> Float:
        """float32[2, 2]: rows are the face's x axis (along the eyes) and y axis (down)."""
        x = (self.landmarks[45] - self.landmarks[36]) / self.iod
        return np.array([x, [-x[1], x[0]]], np.float32)

    def to_face(self, points: Float) -> Float:
        """Photograph pixels to face units (`origin`, `axes`, 1 = `iod`)."""
        return np.asarray((points - self.origin) @ self.axes.T / self.iod, np.float32)

    def to_picture(self, points: Float) -> Float:
        """Face units to photograph pixels."""
        return np.asarray(points * self.iod @ self.axes + self.origin, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Textures:
    """What the renderer samples, `DETAIL` times the photograph's size."""

    smiling: Picture
    """uint8[H, W, 3]: the photograph."""
    resting: Picture
    """The same with the folds beside the mouth evened out."""
    mouth: Picture
    """Teeth, and the dark below them."""
    alpha: Picture
    """uint8[H, W]: 255 inside the person's outline."""


def find(path: Path | None) -> Path:
    """The photograph: `path`, or the one that an installed scikit-image brings."""
    if path is not None:
        return path
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise PortraitError(
            "The astronaut photograph was not found: scikit-image is not installed. "
            "Install it (`pip install scikit-image`) or name the file with --portrait."
        )
    return Path(spec.origin).parent / "data" / "astronaut.png"


def load(path: Path) -> Portrait:
    """Read the photograph and its marks. Raises `PortraitError` if it is another picture."""
    marks = json.loads(Path(__file__).with_name("portrait.json").read_text(encoding="utf-8"))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PortraitError(f"{path} cannot be read: {error.strerror}. Check the path.") from None
    if hashlib.sha256(data).hexdigest() != marks["sha256"]:
        raise PortraitError(
            f"{path} is not the photograph that was marked (sha256 differs). "
            "Take astronaut.png from scikit-image 0.20 or newer."
        )
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)

    def points(name: str) -> Float:
        return np.array(marks[name], np.float32)

    return Portrait(
        picture=np.asarray(picture, np.uint8),
        landmarks=points("landmarks"),
        upper_lip=points("inner_lip_upper"),
        lower_lip=points("inner_lip_lower"),
        upper_lids=(points("eye_left_upper"), points("eye_right_upper")),
        lower_lids=(points("eye_left_lower"), points("eye_right_lower")),
        outline=points("outline"),
    )


def textures(portrait: Portrait, look: Look) -> Textures:
    """Colour, enlarge and retouch the photograph for one visitor."""
    picture = _grade(portrait, look)
    return Textures(
        smiling=_enlarge(picture),
        resting=_enlarge(_without_folds(picture)),
        mouth=_mouth(portrait, _enlarge(picture)),
        alpha=_alpha(portrait),
    )


def _enlarge(picture: Picture) -> Picture:
    large = cv2.resize(picture, None, fx=DETAIL, fy=DETAIL, interpolation=cv2.INTER_LANCZOS4)
    soft = cv2.GaussianBlur(large, (0, 0), 2.0)
    return np.asarray(cv2.addWeighted(large, 1.35, soft, -0.35, 0), np.uint8)


def _grade(portrait: Portrait, look: Look) -> Picture:
    lab = cv2.cvtColor(portrait.picture.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)
    rows = np.arange(lab.shape[0], dtype=np.float32)[:, None]
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    suit = np.clip((rows - 165) / 20, 0, 1) * np.clip((chroma - 25) / 15, 0, 1)
    angle = np.deg2rad(look.suit_hue) * suit
    a, b = lab[..., 1].copy(), lab[..., 2].copy()
    dull = 1 - 0.5 * suit if look.suit_hue else 1.0
    lab[..., 1] = (a * np.cos(angle) - b * np.sin(angle)) * dull
    lab[..., 2] = (a * np.sin(angle) + b * np.cos(angle)) * dull
    hair = _hair(portrait)
    lab[..., 0] *= 1 + (look.hair - 1) * hair
    lab[..., 0] = 100 * np.clip(look.gain * lab[..., 0] / 100, 0, 1) ** look.gamma
    bgr = cv2.cvtColor(lab, cv2.COLOR_LAB2BGR)
    return np.asarray(np.clip(bgr * 255 + 0.5, 0, 255), np.uint8)


def _hair(portrait: Portrait) -> Float:
    """float32[512, 512]: 1 on the hair, 0 on face and suit, soft between."""
    marks = portrait.landmarks
    # the hairline lies a little above the brows; the jaw line bounds the face below
    brow = marks[17:27] + np.array([0, -9], np.float32)
    side = np.array([[-4, -6], [4, -6]], np.float32)
    face = np.concatenate([marks[:17], marks[[16]] + side[1], brow[::-1], marks[[0]] + side[0]])
    face_mask = np.zeros(portrait.picture.shape[:2], np.uint8)
    cv2.fillPoly(face_mask, [np.int32(face)], 255)
    head = np.zeros_like(face_mask)
    cv2.fillPoly(head, [np.int32(portrait.outline)], 255)
    head[138:] = 0
    mask = cv2.GaussianBlur(head, (0, 0), 1.5).astype(np.float32)
    mask *= 1 - cv2.GaussianBlur(face_mask, (0, 0), 2.0).astype(np.float32) / 255
    return np.asarray(mask / 255, np.float32)


def _without_folds(picture: Picture) -> Picture:
    mask = np.zeros(picture.shape[:2], np.uint8)
    for fold in _FOLDS:
        cv2.polylines(mask, [np.int32(np.round(fold))], False, 255, 5)
    weight = cv2.GaussianBlur(mask, (0, 0), 1.8).astype(np.float32)[..., None] / 255
    keep = 1 - np.minimum(weight * 1.5, 1)
    image = picture.astype(np.float32)
    around = cv2.GaussianBlur(image * keep, (0, 0), 5.0)
    norm = cv2.GaussianBlur(keep, (0, 0), 5.0)[..., None]
    filled = around / np.maximum(norm, 1e-3)
    amount = 0.85 * weight
    return np.asarray(np.clip(image * (1 - amount) + filled * amount + 0.5, 0, 255), np.uint8)


def _mouth(portrait: Portrait, large: Picture) -> Picture:
    """The inside of the mouth: the photograph's teeth, dark below them and in the corners."""
    lower = portrait.lower_lip
    image = large.astype(np.float32)
    height, width = image.shape[:2]
    x = (np.arange(width, dtype=np.float32) + 0.5) / DETAIL - 0.5
    y = ((np.arange(height, dtype=np.float32) + 0.5) / DETAIL - 0.5)[:, None]
    edge = np.interp(x, lower[:, 0], lower[:, 1]) - 0.1
    inside = np.clip((x - lower[0, 0]) / 3, 0, 1) * np.clip((lower[-1, 0] - x) / 3, 0, 1)
    teeth = np.clip((edge - y) / 0.8 + 0.5, 0, 1) * inside
    cavity = np.array(_CAVITY, np.float32)
    return np.asarray(cavity + (image - cavity) * teeth[..., None], np.uint8)


def _alpha(portrait: Portrait) -> Picture:
    height, width = portrait.picture.shape[:2]
    mask = np.zeros((height * DETAIL, width * DETAIL), np.uint8)
    cv2.fillPoly(mask, [np.int32((portrait.outline + 0.5) * DETAIL)], 255, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.9 * DETAIL), np.uint8)
