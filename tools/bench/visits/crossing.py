"""People whose paths cross, one passing behind the other or behind a thing: a visit each, and no
micro-expression, since nobody's face moves."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np

from agent.base.types import Grey
from tools.bench.visits.cases import FPS, Case
from tools.bench.visits.pictures import Actor, Place, Sprite, draw, sprites

SIZE = (1280, 480)
"""Width and height of the picture: room to walk."""
_HEIGHT = 0.45
"""Of a face, share of the picture's."""
_GRAIN = 1.5
"""Standard deviation of the noise of a sensor, grey levels."""
Path = Callable[[float], Place | None]


def crossing() -> list[Case]:
    """All of them."""
    found = [_passing(speed) for speed in (50, 100, 150, 200, 300, 400)]
    found += [_passing(150, rise=rise) for rise in (0.15, 0.4, 0.7)]
    found += [_passing(speed, nearer=1.6) for speed in (80, 200)]
    found += [_passing(150, nearer=0.6), _passing(150, nearer=1.6, rise=0.3)]
    found += [_passing(150, fps=fps) for fps in (10.0, 15.0, 25.0)]
    found += [_passing(150, card=True), _passing(80, card=True), _passing(300, card=True)]
    found += [_passing(150, moving=True), _passing(150, slower=0.3), _passing(150, slower=0.0)]
    found += [_in_front(150), _in_front(300)]
    found += [_back_again(hold) for hold in (0.0, 1.5)]
    found += [_covered(speed, moves) for speed in (100, 300) for moves in (False, True)]
    return [*found, _three(150), _three(80), _behind_one_that_stands(), *_apart()]


def _face(number: int, moving: bool = False, card: bool = False) -> Sprite:
    """One of the clip's visitors: held still, or on film; `card`: a rectangle with what is about
    the head, as on a photograph."""
    sprite = sprites()[number]
    cover = sprite.cover
    if card:
        cover = np.zeros_like(cover)
        rows, columns = cover.shape
        cover[rows // 8 : -rows // 8, columns // 8 : -columns // 8] = 1.0
    return Sprite(sprite.pictures if moving else sprite.pictures[:1], cover, sprite.height)


def _walk(from_x: float, speed: float, y: float = 240.0, height: float = _HEIGHT) -> Path:
    """From so many pixels, at so many pixels per second; out of the picture there is nobody."""

    def place(t: float) -> Place | None:
        x = (from_x + speed * t) / SIZE[0]
        return (x, y / SIZE[1], height) if -0.2 < x < 1.2 else None

    return place


def _passing(
    speed: float,
    *,
    rise: float = 0.0,
    nearer: float = 1.0,
    fps: float = FPS,
    card: bool = False,
    moving: bool = False,
    slower: float = 1.0,
) -> Case:
    """One to the right, behind one to the left; `rise`: how much lower the one in front is, face
    heights; `nearer`: its size beside the other's; `slower`: the other's speed beside its own."""
    # they meet in the middle of the picture and of the film
    seconds = min(max(900 / speed, 4.0), 12.0)
    reach = speed * seconds / 2
    low = 240 - rise * _HEIGHT * SIZE[1] / 2
    actors = [
        Actor(
            _face(0, moving, card),
            _walk(640 - slower * reach, slower * speed, low, _HEIGHT / max(nearer, 1.0)),
        ),
        Actor(
            _face(1, moving, card),
            _walk(640 + reach, -speed, 480 - low, _HEIGHT * min(nearer, 1.0)),
        ),
    ]
    words = [
        f"two cross at {speed:g} px/s",
        f"one {rise:g} lower" if rise else "",
        f"the nearer {nearer:g} times as large" if nearer != 1.0 else "",
        f"{fps:g} fps" if fps != FPS else "",
        "photographs" if card else "",
        "on film" if moving else "",
        f"the other at {slower * speed:g}" if slower != 1.0 else "",
    ]
    name = ", ".join(word for word in words if word)
    return _case(name, 2, actors, seconds, fps, quiet=not moving)


def _in_front(speed: float) -> Case:
    """One walks past another who stands, without hiding more than half of the face."""
    actors = [
        Actor(_face(2), lambda t: (0.5, 0.42, _HEIGHT)),
        Actor(_face(1), _walk(100, speed, 390, 0.5)),
    ]
    return _case(f"one walks by below another at {speed:g} px/s", 2, actors, 1080 / speed)


def _back_again(hold: float) -> Case:
    """Two meet, one behind the other for `hold` seconds, and go back."""

    def shift(t: float) -> float:
        """Pixels from the middle."""
        near = 2.5
        return 150 * (near - t if t < near else max(t - near - hold, 0.0))

    actors = [
        Actor(_face(0), lambda t: ((640 - shift(t)) / SIZE[0], 0.5, _HEIGHT)),
        Actor(_face(1), lambda t: ((640 + shift(t)) / SIZE[0], 0.5, _HEIGHT)),
    ]
    return _case(f"two meet for {hold:g} s and turn back", 2, actors, 5.0 + hold)


def _covered(speed: float, moves: bool) -> Case:
    """Somebody walks behind a pillar, or a door moves before somebody who stands."""
    pillar = Sprite([np.full((300, 120), 150, np.uint8)], np.ones((300, 120), np.float32), 100)
    seconds = 900 / speed
    if moves:
        actors = [
            Actor(_face(0), lambda t: (0.5, 0.5, _HEIGHT)),
            Actor(pillar, _walk(190, speed, 240, 0.3)),
        ]
        name = f"a door moves before a face at {speed:g} px/s"
    else:
        actors = [
            Actor(_face(0), _walk(190, speed)),
            Actor(pillar, lambda t: (0.5, 0.5, 0.3)),
        ]
        name = f"behind a pillar at {speed:g} px/s"
    return _case(name, 1, actors, seconds)


def _three(speed: float) -> Case:
    """Three meet in one place, the last one at half the speed."""
    seconds = min(900 / speed, 10.0)
    reach = speed * seconds / 2
    actors = [
        Actor(_face(0), _walk(640 - reach, speed, 230, 0.4)),
        Actor(_face(3), _walk(640 - reach / 2, speed / 2, 260, 0.4)),
        Actor(_face(1), _walk(640 + reach, -speed)),
    ]
    return _case(f"three cross at {speed:g} px/s", 3, actors, seconds)


def _behind_one_that_stands() -> Case:
    actors = [
        Actor(_face(0), _walk(150, 160, 230, 0.36)),
        Actor(_face(1), _walk(1130, -160, 230, 0.36)),
        Actor(_face(2), lambda t: (0.5, 0.52, 0.5)),
    ]
    return _case("two cross behind one that stands", 3, actors, 6.0)


def _apart() -> list[Case]:
    """The same walks without anybody in the way: what the faces do by themselves."""
    actors = [
        Actor(_face(0), _walk(300, 100, 120, 0.4)),
        Actor(_face(1), _walk(980, -100, 360, 0.4)),
    ]
    return [_case("two walk by, one well below the other", 2, actors, 7.0)]


def _case(
    name: str,
    stays: int,
    actors: Sequence[Actor],
    seconds: float,
    fps: float = FPS,
    quiet: bool = True,
) -> Case:
    return Case(
        name,
        stays,
        lambda: _grainy(draw(actors, seconds, SIZE, fps)),
        fps,
        events=0 if quiet else None,
    )


def _grainy(frames: Iterator[Grey]) -> Iterator[Grey]:
    rng = np.random.default_rng(7)
    noise = [rng.normal(0, _GRAIN, (SIZE[1], SIZE[0])).round().astype(np.int8) for _ in range(7)]
    for frame, grain in zip(frames, itertools.cycle(noise), strict=False):
        yield np.asarray(cv2.add(frame, grain, dtype=cv2.CV_8U), np.uint8)
