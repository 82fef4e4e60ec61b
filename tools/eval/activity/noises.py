"""Kinds of noise that no training hears: made in other ways than those of `tools.train`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agent.voice.sound import RATE
from tools.train.activity.noises import Generator, Wide


def rain(rng: Generator, count: int) -> Wide:
    """Drops on a roof: hundreds of small decaying resonances a second, over a hiss."""
    length = 400
    time = np.arange(length) / RATE
    out = np.zeros(count + length)
    for _ in range(round(count / RATE * rng.uniform(100, 300))):
        at = int(rng.integers(count))
        pitch = rng.uniform(400, 6000)
        drop = np.sin(2 * np.pi * pitch * time) * np.exp(-time * rng.uniform(300, 2000))
        out[at : at + length] += rng.exponential() * drop
    return np.asarray(out[:count] / out.std() + 0.3 * rng.normal(size=count))


def birds(rng: Generator, count: int) -> Wide:
    """Calls of several voices: rows of short glides between 1.5 and 7 kHz."""
    out = 0.03 * rng.normal(size=count)
    for _ in range(int(rng.integers(1, 4))):
        home, at = rng.uniform(1800, 5000), rng.uniform(0, 1.0)
        while at * RATE < count:
            for _ in range(int(rng.integers(2, 9))):
                seconds = rng.uniform(0.03, 0.15)
                time = np.arange(round(seconds * RATE)) / RATE
                course = time / seconds
                hertz = home * (1 + rng.uniform(-0.3, 0.3) * course)
                hertz *= 1 + 0.1 * np.sin(2 * np.pi * rng.uniform(10, 40) * time)
                call = np.sin(2 * np.pi * np.cumsum(hertz) / RATE) * np.sin(np.pi * course) ** 2
                start = round(at * RATE)
                part = out[start : start + len(call)]
                part += call[: len(part)]
                at += seconds + rng.uniform(0.02, 0.12)
            at += rng.exponential(1.0)
    return out


def typing(rng: Generator, count: int) -> Wide:
    """A keyboard: two knocks a key, each of a few resonances, over a computer's fan."""
    hum = np.convolve(rng.normal(size=count), np.ones(24) / 24, "same")
    out = 0.1 * hum / (hum.std() + 1e-9)
    length = 900
    time = np.arange(length) / RATE
    at = rng.uniform(0, 0.5)
    while at * RATE < count - length:
        for gap, height in ((0.0, 1.0), (rng.uniform(0.05, 0.11), 0.6)):
            knock = sum(
                np.sin(2 * np.pi * rng.uniform(300, 7000) * time)
                * np.exp(-time * rng.uniform(80, 500))
                for _ in range(4)
            )
            start = round((at + gap) * RATE)
            part = out[start : start + length]
            part += height * rng.uniform(0.5, 1.5) * np.asarray(knock)[: len(part)]
        at += rng.exponential(0.12) + (rng.uniform(1, 3) if rng.random() < 0.06 else 0.03)
    return np.asarray(out)


def synthesiser(rng: Generator, count: int) -> Wide:
    """Dance music: saw-toothed chords and bass through a filter that opens and closes, a kick on
    every beat and a hat between."""
    time = np.arange(count) / RATE
    beat = 60 / rng.uniform(95, 140)
    bar = (time / (4 * beat)).astype(int)
    roots = rng.choice([45, 48, 50, 52, 53, 55, 57], int(bar[-1]) + 1)
    midi = roots[bar]
    out = np.zeros(count)
    swing = 0.5 + 0.5 * np.sin(2 * np.pi * time / (rng.uniform(2, 8) * beat))
    for steps, gain in ((-12, 1.0), (0, 0.5), (int(rng.integers(3, 5)), 0.5), (7, 0.5)):
        hertz = 440 * 2 ** ((midi + steps - 69) / 12)
        phase = np.cumsum(hertz) / RATE
        for h in range(1, 16):
            out += gain / h * np.exp(-h * 0.25 * (1 - swing)) * np.sin(2 * np.pi * h * phase)
    place = time % beat
    out += 6 * np.sin(2 * np.pi * 55 * place * np.exp(-8 * place)) * np.exp(-place * 18)
    hat = np.diff(rng.normal(size=count), prepend=0)
    return out + 0.8 * hat * np.exp(-((place - beat / 2) % beat) * 60)


UNSEEN: dict[str, Callable[[Generator, int], Wide]] = {
    "rain": rain,
    "birds": birds,
    "typing": typing,
    "synthesiser": synthesiser,
}
