"""The source photograph of every visitor, and its landmarks."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.errors import AgentError
from agent.base.types import Float

Picture = NDArray[np.uint8]


class PortraitError(AgentError):
    """The photograph is missing or is another one."""


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
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PortraitError(f"{path} cannot be read: {error.strerror}. Check the path.") from None
    if hashlib.sha256(data).hexdigest() != _marks()["sha256"]:
        raise PortraitError(
            f"{path} is not the photograph that was marked (sha256 differs). "
            "Take astronaut.png from scikit-image 0.20 or newer."
        )
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return marked(np.asarray(picture, np.uint8))


def marked(picture: Picture) -> Portrait:
    """The marks over a picture, uint8[512, 512, 3], BGR."""
    marks = {
        name: np.array(points, np.float32)
        for name, points in _marks().items()
        if isinstance(points, list)
    }
    return Portrait(
        picture=picture,
        landmarks=marks["landmarks"],
        upper_lip=marks["inner_lip_upper"],
        lower_lip=marks["inner_lip_lower"],
        upper_lids=(marks["eye_left_upper"], marks["eye_right_upper"]),
        lower_lids=(marks["eye_left_lower"], marks["eye_right_lower"]),
        outline=marks["outline"],
    )


def _marks() -> dict[str, Any]:
    marks: dict[str, Any] = json.loads(Path(__file__).with_name("portrait.json").read_bytes())
    return marks
