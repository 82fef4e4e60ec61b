"""Other cameras and lights for the clean set's expression faces.

Rendered, synthetic and photographed faces each have a look of their own, which a network would
learn instead of the expression. Every face is therefore also shown with the coarse spectrum of
another one (Fourier domain adaptation: Yang & Soatto 2020, arXiv:2004.05498), under light from one
side, and as cheap cameras and old files leave it.
"""

from __future__ import annotations

import cv2
import numpy as np

from agent.base.types import Float, Grey


def restyle(picture: Grey, other: Grey, rng: np.random.Generator) -> Grey:
    """A face uint8[S, S] in another look; `other` uint8[S, S] lends its spectrum."""
    out = picture.astype(np.float32)
    if rng.random() < 0.6:
        out = spectrum_of(out, other.astype(np.float32), int(rng.integers(1, 4)))
    if rng.random() < 0.35:
        out = _lit(out, rng)
    if rng.random() < 0.3:  # unsharp masks of scanners and phones
        soft = cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.8, 2.0)))
        out = out + np.float32(rng.uniform(0.3, 1.2)) * (out - soft)
    if rng.random() < 0.3:  # film
        grain = cv2.GaussianBlur(
            rng.standard_normal(out.shape).astype(np.float32), (0, 0), float(rng.uniform(0.3, 0.9))
        )
        out = out + grain * np.float32(rng.uniform(2.0, 14.0))
    small = np.clip(out + 0.5, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        code = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 70))])[1]
        small = np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE), np.uint8)
    return small


def spectrum_of(picture: Float, other: Float, reach: int) -> Float:
    """`picture` float32[S, S] with the amplitudes of `other` below `reach` waves per side.

    The mean stays within what both have: half the way.
    """
    a, b = np.fft.fft2(picture), np.fft.fft2(other)
    side = picture.shape[0]
    wave = np.abs(np.fft.fftfreq(side) * side)
    low = (wave[:, None] <= reach) & (wave[None] <= reach)
    amplitude = np.where(low, np.abs(b), np.abs(a))
    amplitude[0, 0] = (np.abs(a[0, 0]) + np.abs(b[0, 0])) / 2
    mixed = np.fft.ifft2(amplitude * np.exp(1j * np.angle(a)))
    return np.asarray(mixed.real, np.float32)


def _lit(picture: Float, rng: np.random.Generator) -> Float:
    """Light that falls off across the face, gently or at an edge."""
    side = picture.shape[0]
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j].astype(np.float32)
    turn = rng.uniform(0, 2 * np.pi)
    along = np.cos(turn) * x + 0.5 * np.sin(turn) * y - np.float32(rng.uniform(-0.3, 0.3))
    fall = 1.0 / (1.0 + np.exp(-along * np.float32(rng.uniform(1.0, 7.0))))
    low = np.float32(rng.uniform(0.25, 0.8))
    return np.asarray(picture * (low + (1.25 - low) * fall), np.float32)
