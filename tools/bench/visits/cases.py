"""What people do before a camera, with the number of stays."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from agent.base.types import Grey
from tools.bench.visits import pictures
from tools.bench.visits.pictures import Actor, Place, back_of_head, board, draw, sprites

SIZE = (640, 480)
FPS = 30.0
HEIGHT = 0.3
"""Of a face, share of the picture's."""


@dataclass(frozen=True, slots=True)
class Case:
    """A video and its truth."""

    name: str
    stays: int
    frames: Callable[[], Iterable[Grey]]
    fps: float = FPS
    note: str = ""
    """Why another number is to be expected, where it is."""
    expected: int | None = None
    """That number; None: `stays`."""
    passers: int = 0
    """People in view too briefly for a visit."""
    counted: int | None = None
    """How many of them are to be expected; None: all."""
    events: int | None = None
    """Most micro-expressions to be reported; None: they are not looked for."""

    @property
    def passing(self) -> int:
        return self.passers if self.counted is None else self.counted

    @property
    def visits(self) -> int:
        return self.stays if self.expected is None else self.expected


def cases(videos: Path | None = None) -> list[Case]:
    """All but `turning`. `videos`: a folder of short videos with one face each."""
    found = [
        *looped(), *glances(), *swaps(), *one_after_another(), *away(), *flicker(), *together(),
        *passing(), *nobody(),
    ]  # fmt: skip
    if videos is not None:
        found += [_looped_video(path) for path in sorted(videos.glob("*.mkv"))]
    return found


def looped() -> list[Case]:
    """Clips that begin again with a hard cut."""

    def part(size: tuple[int, int]) -> Iterator[Grey]:
        frames = [
            cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in pictures.clip()[60:360]
        ]
        return itertools.islice(itertools.cycle(frames), 3600)

    def panned() -> Iterator[Grey]:
        frames = pictures.clip()[75:225]
        for index in range(3600):
            x = round(120 * (index % 150) / 150)
            yield np.ascontiguousarray(frames[index % 150][40:400, x : x + 320])

    def close() -> Iterator[Grey]:
        frames = [cv2.resize(f[60:330, 70:340], (512, 512)) for f in pictures.clip()[75:370]]
        return itertools.islice(itertools.cycle(frames), 3000)

    whole = pictures.clip
    return [
        Case("the bundled clip, twice", 8, lambda: [*whole(), *whole()]),
        *(
            Case(f"120 s of 10 s, {w} px wide", 1, lambda w=w: part((w, w * 3 // 4)))  # type: ignore[misc]
            for w in (320, 640, 1280)
        ),
        Case("120 s of 5 s, jumping a third of the picture", 1, panned),
        Case("120 s at 25 fps, filling the picture", 1, close, 25.0),
    ]


def glances() -> list[Case]:
    """Somebody whose face is out of sight for a while, in place."""

    def eight(seconds: float, behind: bool, x: float = 0.5, sway: float = 0.0) -> list[Actor]:
        face = sprites()[0]

        def there(t: float) -> Place:
            return x + sway * math.sin(1.1 * t) + 0.4 * sway * math.sin(0.3 * t), 0.5, HEIGHT

        actors = [Actor(face, lambda t: None if _away(t, seconds) else there(t))]
        if behind:
            hair = back_of_head(face)
            actors.append(Actor(hair, lambda t: there(t) if _away(t, seconds) else None))
        return actors

    def _away(t: float, seconds: float) -> bool:
        turn, at = divmod(t, 6 + seconds)
        return turn < 8 and at >= 6

    def covered(t: float) -> Place | None:
        return (0.5, 0.5, HEIGHT) if 10 <= t < 18 else None

    sheet = [Actor(sprites()[1], _still(0.5)), Actor(board(sprites()[1]), covered)]
    return [
        Case("8 glances away of 3 s, plain wall", 1, _drawn(eight(3, False), 78)),
        Case("8 glances of 3 s, back of the head", 1, _drawn(eight(3, True), 78)),
        Case("8 glances of 3 s, 320 px, 25 fps", 1, _drawn(eight(3, True), 78, (320, 240), 25), 25),
        Case("8 glances of 3 s, 1280 px", 1, _drawn(eight(3, False), 78, (1280, 720))),
        Case("8 glances of 3 s, swaying", 1, _drawn(eight(3, True, 0.5, 0.06), 78)),
        Case("8 glances of 3 s, at the edge", 1, _drawn(eight(3, False, 0.9), 78)),
        Case("8 glances of 8 s", 1, _drawn(eight(8, True), 118)),
        Case("covered for 8 s", 1, _drawn(sheet, 30)),
    ]


def swaps() -> list[Case]:
    """Two people who change places."""
    a, b = sprites()[0], sprites()[1]

    def across(start: float, seconds: float, rise: float = 0.0) -> list[Actor]:
        def share(t: float) -> float:
            return min(max((t - start) / seconds, 0.0), 1.0)

        return [
            Actor(a, lambda t: (0.25 + 0.5 * share(t), 0.5, HEIGHT)),
            Actor(
                b, lambda t: (0.75 - 0.5 * share(t), 0.5 + rise * math.sin(math.pi * share(t)), 0.3)
            ),
        ]

    def to_and_fro(t: float) -> float:
        return 0.5 - 0.5 * math.cos(2 * math.pi * t / 8)

    many = [
        Actor(a, lambda t: (0.25 + 0.5 * to_and_fro(t), 0.5, HEIGHT)),
        Actor(b, lambda t: (0.75 - 0.5 * to_and_fro(t), 0.5, HEIGHT)),
    ]
    jump = [
        Actor(a, lambda t: (0.25 if t < 10 else 0.75, 0.5, HEIGHT)),
        Actor(b, lambda t: (0.75 if t < 10 else 0.25, 0.5, HEIGHT)),
    ]
    return [
        Case("two change places, 4 s", 2, _drawn(across(6, 4), 20)),
        Case("two change places, 1.5 s", 2, _drawn(across(6, 1.5), 16)),
        Case("two change places, 10 s", 2, _drawn(across(6, 10), 24)),
        Case("two change places, one above", 2, _drawn(across(6, 4, -0.22), 20)),
        Case("two change places, 320 px", 2, _drawn(across(6, 4), 20, (320, 240))),
        Case("two change places, 1280 px", 2, _drawn(across(6, 4), 20, (1280, 720))),
        Case("two change places, ten times", 2, _drawn(many, 40)),
        Case("two change places by a cut", 2, _drawn(jump, 20)),
    ]


def one_after_another() -> list[Case]:
    """A queue, and people who pass by."""
    people = sprites()

    def slide(stand: float, start: float, leave: float, side: int) -> Callable[[float], Place]:
        """Comes from the left, stands, leaves to `side`; a third of the width a second."""

        def place(t: float) -> Place:
            x = min(stand, stand - (start - t) / 3)
            return (x if t < leave else stand + side * (t - leave) / 3), 0.5, HEIGHT

        return place

    queue = [Actor(people[i % 4], slide(0.5, 3 + 16 * i, 12 + 16 * i, 1)) for i in range(4)]
    back = [Actor(people[i % 4], slide(0.5, 4 + 14 * i, 12 + 14 * i, -1)) for i in range(4)]
    passers = [Actor(people[i % 4], _walk(2.5 * i, 3.0)) for i in range(10)]
    hurried = [Actor(people[i % 4], _walk(1.6 * i, 1.8)) for i in range(10)]
    both = [
        Actor(people[i % 4], _walk(3.0 * i, 3.0, i % 2 == 1, 0.3 + 0.4 * (i % 2)))
        for i in range(10)
    ]
    replaced = [
        Actor(people[0], lambda t: (0.5, 0.5, HEIGHT) if t < 10 else None),
        Actor(people[1], lambda t: (0.5, 0.5, HEIGHT) if t >= 14 else None),
    ]
    unknowable = "the second appears where the first vanished"
    return [
        Case("queue of 4, on to the right", 4, _drawn(queue, 66)),
        Case("queue of 4, back to the left", 4, _drawn(back, 62)),
        Case("one vanishes, another appears there", 2, _drawn(replaced, 24), FPS, unknowable, 1),
        Case("10 pass by, 2.5 s apart", 10, _drawn(passers, 30)),
        Case("10 pass by, hurried", 10, _drawn(hurried, 20)),
        Case("10 pass by, both ways", 10, _drawn(both, 34)),
    ]


def away() -> list[Case]:
    """Somebody who leaves and comes back."""
    face = sprites()[2]

    def over_the_edge(gap: float) -> list[Actor]:
        def place(t: float) -> Place:
            if t < 12 + gap / 2 + 2:
                return 0.3 - max(t - 12, 0.0) / 3, 0.5, HEIGHT
            return 0.3 - max(16 + gap - t, 0.0) / 3, 0.5, HEIGHT

        return [Actor(face, place)]

    def inside(gap: float) -> list[Actor]:
        return [Actor(face, lambda t: None if 10 <= t < 10 + gap else (0.5, 0.5, HEIGHT))]

    unknowable = "out of sight in place for longer than visit_gap"
    return [
        *(
            Case(f"leaves and returns after {g} s", 2, _drawn(over_the_edge(g), 32 + g))
            for g in (5, 20, 60)
        ),
        *(Case(f"turned away for {g} s", 1, _drawn(inside(g), 20 + g)) for g in (5, 12)),
        *(
            Case(f"turned away for {g} s", 1, _drawn(inside(g), 20 + g), FPS, unknowable, 2)
            for g in (20, 60)
        ),
    ]


def flicker() -> list[Case]:
    """A face that shows for moments: a poster, a doubtful detection."""
    rng = random.Random(4)
    spans: list[tuple[float, float]] = []
    t = 0.0
    while t < 60:
        shown = rng.uniform(0.3, 1.6)
        spans.append((t, t + shown))
        t += shown + rng.uniform(0.5, 6.0)
    poster = [
        Actor(
            sprites()[3],
            lambda t: (0.7, 0.3, 0.2) if any(a <= t < b for a, b in spans) else None,
        ),
    ]
    once = [Actor(sprites()[3], lambda t: (0.7, 0.3, 0.2) if 5 <= t < 5.7 else None)]
    return [
        Case("a poster flickers for 60 s", 1, _drawn(poster, 62)),
        Case("a glimpse of 0.7 s", 0, _drawn(once, 12), passers=1),
    ]


def together() -> list[Case]:
    """People close to one another."""
    a, b = sprites()[0], sprites()[2]

    def glancing(x: float, phase: float) -> Callable[[float], Place | None]:
        return lambda t: None if 3 < (t + phase) % 9 < 6 else (x, 0.5, HEIGHT)

    beside = [Actor(a, _still(0.38)), Actor(b, _still(0.62))]
    taking_turns = [Actor(a, glancing(0.38, 0)), Actor(b, glancing(0.62, 4))]
    child = [Actor(a, _still(0.5, 0.3, 0.24)), Actor(b, _still(0.53, 0.66, 0.28))]
    behind = [Actor(a, _still(0.42, 0.4, 0.24)), Actor(b, _still(0.56, 0.52, 0.32))]
    return [
        Case("two side by side", 2, _drawn(beside, 20)),
        Case("two side by side, glancing away", 2, _drawn(taking_turns, 45)),
        Case("one below and before another", 2, _drawn(child, 20)),
        Case("one partly behind another", 2, _drawn(behind, 20)),
    ]


def passing() -> list[Case]:
    """People who stay, who glance, who pass by."""
    people = sprites()

    def past(count: int, seconds: float, every: float, height: float) -> list[Actor]:
        return [
            Actor(people[i % 4], _walk(1 + every * i, seconds, i % 2 == 1, 0.4, height))
            for i in range(count)
        ]

    def shown(x: float, start: float, end: float) -> Callable[[float], Place | None]:
        return lambda t: (x, 0.5, HEIGHT) if start <= t < end else None

    doors = [
        Actor(people[i % 4], shown(0.2 + 0.2 * (i % 4), 18 * i + 1, 18 * i + 1.6)) for i in range(6)
    ]
    mixed = [
        Actor(people[0], shown(0.3, 1, 12)),
        Actor(people[1], shown(0.7, 20, 40)),
        *(Actor(people[2], _walk(3 + 6 * i, 0.9, i % 2 == 1, 0.25, 0.2)) for i in range(6)),
    ]

    def stands(pixels: int) -> list[Actor]:
        there = 0.4, 0.5, pixels / SIZE[1]
        return [Actor(people[1], lambda t: there if 1 <= t < 7 else None)]

    far = past(10, 3.0, 4.0, 0.1)
    pieces = "small fast faces are tracked in pieces"
    busy = "the detector looks twice a second while it follows somebody"
    return [
        Case("10 run past in 0.9 s", 0, _drawn(past(10, 0.9, 2.0, HEIGHT), 22), passers=10),
        Case("10 run past, far away", 0, _drawn(past(10, 0.9, 2.0, 0.1), 22), passers=10),
        Case("6 look out of doors for 0.6 s", 0, _drawn(doors, 110), passers=6),
        Case("2 stay, 6 run past behind them", 2, _drawn(mixed, 60), FPS, busy, None, 6, 3),
        *(
            Case(f"a face {px} px high stands for 6 s", 1, _drawn(stands(px), 10), FPS, note, seen)
            for px, note, seen in ((16, "", 1), (10, "too small to be followed", 0))
        ),
        Case("10 walk by in 3 s, far away", 10, _drawn(far, 44), FPS, pieces, 12, 0, 5),
    ]


def nobody() -> list[Case]:
    """Rooms without people: what is counted there is a mistake."""

    def room(seconds: float, size: tuple[int, int], grain: float, sway: float) -> Iterator[Grey]:
        ground = pictures.backdrop(size).astype(np.float32)
        rng = np.random.default_rng(11)
        noises = [rng.normal(0, grain, ground.shape).astype(np.float32) for _ in range(8)]
        for index in range(round(seconds * FPS)):
            light = 1 + sway * math.sin(index / 11) * math.sin(index / 97)
            picture = ground * light + noises[rng.integers(8)]
            yield np.clip(picture, 0, 255).astype(np.uint8)

    return [
        Case("nobody, 120 s", 0, lambda: room(120, SIZE, 3, 0)),
        Case("nobody, 120 s, in the dark", 0, lambda: room(120, SIZE, 14, 0.1)),
        Case("nobody, 120 s, 1280 px, changing light", 0, lambda: room(120, (1280, 720), 4, 0.4)),
    ]


def _still(x: float, y: float = 0.5, height: float = HEIGHT) -> Callable[[float], Place]:
    return lambda t: (x, y, height)


def _walk(
    start: float, seconds: float, back: bool = False, y: float = 0.5, height: float = HEIGHT
) -> Callable[[float], Place | None]:
    """From edge to edge."""

    def place(t: float) -> Place | None:
        share = (t - start) / seconds
        x = -0.2 + 1.4 * (1 - share if back else share)
        return (x, y + 0.01 * math.sin(9 * t), height) if 0 <= share <= 1 else None

    return place


def _drawn(
    actors: list[Actor], seconds: float, size: tuple[int, int] = SIZE, fps: float = FPS
) -> Callable[[], Iterator[Grey]]:
    return lambda: draw(actors, seconds, size, fps)


def _looped_video(path: Path) -> Case:
    return Case(
        f"{path.stem}, looped for 120 s",
        1,
        lambda: itertools.islice(itertools.cycle(pictures.read(path)), 3600),
    )
