"""Camera model: exposure, tone curve, blur, noise; linear light to grey levels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Grey = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Camera:
    """How a picture is taken."""

    brightness: float
    """Grey level that a face of medium skin gets on average."""
    gamma: float
    blur: float
    """Gaussian, pixels; 0 for none."""
    noise: float
    """Grey levels at medium grey."""
    seed: int

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Camera:
        """Mostly good light and focus, sometimes neither."""
        return cls(
            float(np.clip(rng.normal(120, 28), 45, 200)),
            float(rng.uniform(1.8, 2.4)),
            float(rng.uniform(0.3, 1.1)) if rng.random() < 0.4 else 0.0,
            float(rng.uniform(0.5, 6.0)) if rng.random() < 0.7 else 0.0,
            int(rng.integers(2**31)),
        )


def expose(
    person: Floats, alpha: Floats, background: Grey, level: float, tone: float, camera: Camera
) -> Grey:
    """The finished picture uint8[H, W].

    `person` is linear light times `alpha`; `level` its mean over the face, `tone` the skin's
    reflectance. Cameras meter on the whole: dark skin stays darker than light skin, but by less
    than the light that it returns.
    """
    wanted = (camera.brightness / 255.0) ** camera.gamma * (tone / 0.25) ** 0.4
    linear = person / np.maximum(alpha, 1e-3) * np.float32(wanted / max(level, 1e-4))
    # shoulder: highlights run softly into white
    linear = np.where(linear > 0.6, 0.6 + 0.4 * np.tanh((linear - 0.6) / 0.4), linear)
    display = 255.0 * np.maximum(linear, 0.0) ** (1.0 / camera.gamma)
    picture = display * alpha + background.astype(np.float32) * (1.0 - alpha)
    if camera.blur > 0.0:
        picture = cv2.GaussianBlur(picture, (0, 0), camera.blur)
    if camera.noise > 0.0:
        rng = np.random.default_rng(camera.seed)
        grain = rng.standard_normal(picture.shape, np.float32)
        picture = picture + grain * np.float32(camera.noise) * np.sqrt(0.3 + picture / 180.0)
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)
