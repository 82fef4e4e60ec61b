"""Camera augmentation: exposure, light, blur, lost resolution, noise, JPEG."""

from __future__ import annotations

import cv2
import numpy as np

from tools.train.detector.labels import Picture

_RAMP = np.arange(256, dtype=np.float32) / 255.0


def degrade(picture: Picture, rng: np.random.Generator) -> Picture:
    """A copy of uint8[H, W] as a middling camera would give it; a third is hardly changed."""
    height, width = picture.shape
    if rng.random() < 0.55:  # gamma, contrast and exposure; sometimes a dark room or infrared
        hard = rng.random() < 0.12
        gamma = float(np.exp(rng.normal(0, 0.5 if hard else 0.22)))
        gain = float(np.exp(rng.normal(0, 0.4 if hard else 0.18)))
        x = (_RAMP**gamma - 0.5) * gain + 0.5 + float(rng.normal(0, 0.14 if hard else 0.07))
        picture = np.asarray(cv2.LUT(picture, np.clip(x * 255, 0, 255).astype(np.uint8)))
    if rng.random() < 0.06:  # a lamp or a window to one side
        across = np.linspace(rng.uniform(0.3, 1.2), rng.uniform(0.3, 1.2), width, dtype=np.float32)
        picture = np.clip(picture * across, 0, 255).astype(np.uint8)
    u = rng.random()
    if u < 0.08:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.2)))
    elif u < 0.11:
        length = int(rng.integers(3, 6))
        kernel = np.zeros((length, length), np.float32)
        kernel[length // 2] = 1.0 / length
        picture = np.asarray(cv2.filter2D(picture, -1, kernel if rng.random() < 0.5 else kernel.T))
    elif u < 0.17:
        f = rng.uniform(0.45, 0.85)
        small = cv2.resize(picture, None, fx=f, fy=f, interpolation=cv2.INTER_AREA)
        picture = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))
    if rng.random() < 0.2:
        noise = np.empty((height, width), np.int8)
        cv2.randn(noise, 0, float(np.exp(rng.uniform(np.log(1.5), np.log(12)))))
        picture = np.asarray(cv2.add(picture, noise, dtype=cv2.CV_8U))
    if rng.random() < 0.12:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))]
        ok, data = cv2.imencode(".jpg", picture, quality)
        if ok:
            picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))
    return picture.astype(np.uint8, copy=False)
