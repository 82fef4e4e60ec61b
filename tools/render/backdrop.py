"""Procedural backgrounds: gradients, noise, shapes, shelves, print, windows."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]


def backdrop(rng: np.random.Generator, height: int, width: int) -> Grey:
    """One face-free picture uint8[height, width]."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.cos(angle) * x + np.sin(angle) * y
    low, high = rng.uniform(10, 245, 2)
    out = (low + (high - low) * (ramp - ramp.min()) / max(float(np.ptp(ramp)), 1e-3)).astype(
        np.float32
    )
    if rng.random() < 0.6:
        out += _clouds(rng, height, width) * np.float32(rng.uniform(3, 40))
    for _ in range(int(rng.integers(0, 4))):
        kind = rng.integers(7)
        if kind == 0:
            _polygons(rng, out, int(rng.integers(2, 14)))
        elif kind == 1:
            _shelves(rng, out)
        elif kind == 2:
            _print(rng, out)
        elif kind == 3:
            _window(rng, out)
        elif kind == 4:
            _ellipses(rng, out, int(rng.integers(2, 10)))
        elif kind == 5:
            _stripes(rng, out)
        else:
            _leaves(rng, out)
    if rng.random() < 0.7:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.5, 5.0))), np.float32)
    if rng.random() < 0.4:
        out += rng.standard_normal(out.shape).astype(np.float32) * np.float32(rng.uniform(1, 6))
    return np.clip(out, 0, 255).astype(np.uint8)


def _clouds(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    total, weight = np.zeros((height, width), np.float32), 1.0
    cells, roughness = int(rng.integers(2, 5)), rng.uniform(0.4, 0.8)
    for _ in range(int(rng.integers(2, 6))):
        coarse = rng.standard_normal((cells, cells)).astype(np.float32)
        total += np.float32(weight) * cv2.resize(
            coarse, (width, height), interpolation=cv2.INTER_CUBIC
        )
        cells, weight = cells * 2, weight * roughness
    return total


def _shade(rng: np.random.Generator) -> float:
    return float(rng.uniform(0, 255))


def _polygons(rng: np.random.Generator, out: NDArray[np.float32], count: int) -> None:
    height, width = out.shape
    for _ in range(count):
        corners = int(rng.integers(3, 7))
        middle = rng.uniform([0, 0], [width, height])
        turn = np.sort(rng.uniform(0, 2 * np.pi, corners))
        reach = rng.uniform(0.03, 0.4) * max(height, width) * rng.uniform(0.5, 1.0, corners)
        points = middle + reach[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1)
        cv2.fillPoly(out, [np.int32(points * 8)], _shade(rng), cv2.LINE_AA, 3)


def _ellipses(rng: np.random.Generator, out: NDArray[np.float32], count: int) -> None:
    height, width = out.shape
    for _ in range(count):
        middle = (int(rng.integers(width)), int(rng.integers(height)))
        axes = tuple(int(v) for v in rng.uniform(0.02, 0.2, 2) * max(height, width) + 1)
        thick = -1 if rng.random() < 0.7 else int(rng.integers(1, 5))
        cv2.ellipse(
            out, middle, axes, float(rng.uniform(0, 180)), 0, 360, _shade(rng), thick, cv2.LINE_AA
        )
        if thick < 0 and rng.random() < 0.5:  # a ball: lit from one side; dots that are no eyes
            small = (max(axes[0] // 3, 1), max(axes[1] // 3, 1))
            cv2.ellipse(
                out, (middle[0] - small[0], middle[1] - small[1]), small, 0, 0, 360, _shade(rng), -1
            )


def _shelves(rng: np.random.Generator, out: NDArray[np.float32]) -> None:
    height, width = out.shape
    top, pitch = int(rng.uniform(0, 0.5) * height), int(rng.uniform(0.08, 0.35) * height) + 4
    for y in range(top, height, pitch):
        x = int(rng.integers(0, 20))
        while x < width:
            w = int(rng.uniform(0.01, 0.07) * width) + 1
            tall = int(pitch * rng.uniform(0.4, 0.92))
            if rng.random() < 0.85:
                cv2.rectangle(out, (x, y + pitch - tall), (x + w, y + pitch), _shade(rng), -1)
            x += w + int(rng.integers(0, 3))
        cv2.line(out, (0, y + pitch), (width, y + pitch), _shade(rng), max(pitch // 14, 1))


def _print(rng: np.random.Generator, out: NDArray[np.float32]) -> None:
    height, width = out.shape
    letters = "ABCDEFGHIKLMNOPRSTUVWXYZabcdefghiklmnoprstuvwxyz0123456789&%#@"
    colour, scale = _shade(rng), float(rng.uniform(0.25, 1.6))
    x, y = (int(v) for v in rng.uniform([0, 10], [width * 0.6, height]))
    ink = np.zeros(out.shape, np.uint8)
    for row in range(int(rng.integers(1, 6))):
        text = "".join(rng.choice(list(letters), int(rng.integers(3, 16))))
        cv2.putText(
            ink,
            text,
            (x, y + int(row * 34 * scale)),
            int(rng.integers(0, 5)),
            scale,
            255,
            int(rng.integers(1, 4)),
            cv2.LINE_AA,
        )
    out += (colour - out) * (ink.astype(np.float32) / 255.0)


def _window(rng: np.random.Generator, out: NDArray[np.float32]) -> None:
    height, width = out.shape
    x0, y0 = rng.uniform([0, 0], [0.7 * width, 0.6 * height])
    x1, y1 = x0 + rng.uniform(0.1, 0.5) * width, y0 + rng.uniform(0.15, 0.7) * height
    low, high = (int(x0), int(y0)), (int(x1), int(y1))
    cv2.rectangle(out, low, high, _shade(rng), -1)
    cv2.rectangle(out, low, high, _shade(rng), int(rng.integers(1, 7)))
    for k in range(1, int(rng.integers(1, 4))):
        x = int(x0 + (x1 - x0) * k / 3)
        cv2.line(out, (x, low[1]), (x, high[1]), _shade(rng), int(rng.integers(1, 4)))


def _stripes(rng: np.random.Generator, out: NDArray[np.float32]) -> None:
    height, width = out.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), rng.uniform(3, 40)
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
    out += (np.sign(wave) if rng.random() < 0.5 else wave) * np.float32(rng.uniform(5, 50))


def _leaves(rng: np.random.Generator, out: NDArray[np.float32]) -> None:
    height, width = out.shape
    shade = _shade(rng)
    for _ in range(int(rng.integers(30, 150))):
        middle = rng.uniform([0, 0], [width, height])
        axes = (rng.uniform(0.005, 0.04, 2) * max(height, width) + 1).astype(int)
        cv2.ellipse(
            out,
            (int(middle[0]), int(middle[1])),
            (int(axes[0]), int(axes[1])),
            float(rng.uniform(0, 180)),
            0,
            360,
            float(np.clip(shade + rng.normal(0, 35), 0, 255)),
            -1,
        )
