"""Script of the clip: its visitors, their movements over time, and the ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from agent.base.types import Float
from agent.vision.faces.align import FLIP
from tools.demo import dialogue
from tools.demo.render import LandmarkEstimate
from tools.demo.rig import Movement
from tools.demo.textures import Look

FPS = 30
WIDTH, HEIGHT = 640, 480
DURATION = 48.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Event:
    """One movement: raised-cosine onset, hold, raised-cosine release."""

    kind: str
    """smile | surprise | frown | blink | turn | micro."""
    onset: float
    """Seconds from the clip's start, as `hold`, `release` and `offset`."""
    hold: float
    release: float
    offset: float
    movement: Movement
    """At the apex."""
    units: tuple[str, ...]
    polarity: str = ""
    """Micro-expressions: positive | negative | surprise."""
    amplitude: float = 0.0
    """Micro-expressions: displacement at the apex, IOD."""

    @property
    def apex(self) -> float:
        """Seconds: when the movement is fullest for the first time."""
        return self.hold

    def level(self, time: float) -> float:
        """Share of the movement shown at `time`, in [0, 1]."""
        if time <= self.onset or time >= self.offset:
            return 0.0
        if time < self.hold:
            return _rise((time - self.onset) / (self.hold - self.onset))
        if time > self.release:
            return _rise((self.offset - time) / (self.offset - self.release))
        return 1.0


@dataclass(frozen=True, slots=True)
class Cast:
    """One visitor of the clip."""

    name: str
    enter: float
    """Seconds: begins to slide in; `leave`: begins to slide out; each takes `slide` seconds."""
    leave: float
    side: int
    """-1 enters from the left edge, +1 from the right; leaves by the same edge."""
    place: LandmarkEstimate
    look: Look
    identity: Float
    events: tuple[Event, ...]
    seed: int
    slide: float = 1.3

    def in_view(self, time: float) -> bool:
        """Whether any of the visitor may be in the frame."""
        return self.enter < time < self.leave + self.slide

    def movement(self, time: float) -> Movement:
        """All events together, and the small restlessness of a living head."""
        sums: dict[str, float] = dict.fromkeys(Movement.__dataclass_fields__, 0.0)
        for event in self.events:
            share = event.level(time)
            if share:
                for name in sums:
                    sums[name] += share * getattr(event.movement, name)
        sums["smile"] = min(sums["smile"], 1.0)
        sums["lids"] = min(sums["lids"], 1.0)
        # yaw is given as the picture shows it; a mirrored photograph turns the other way
        sums["yaw"] += 1.0 * _wander(time, self.seed, 0.11)
        if self.place.mirror:
            sums["yaw"] = -sums["yaw"]
        return Movement(**sums)

    def placement(self, time: float) -> LandmarkEstimate:
        """Sliding in or out, swaying a little."""
        away = 1 - _rise((time - self.enter) / self.slide)
        away += _rise((time - self.leave) / self.slide)
        reach = WIDTH - self.place.x if self.side > 0 else self.place.x
        distance = reach + 230 * self.place.scale
        step = 2.5 * np.sin(2 * np.pi * 1.7 * time) * np.sin(np.pi * min(away, 1.0))
        return replace(
            self.place,
            x=self.place.x + self.side * away * distance + 2.2 * _wander(time, self.seed + 1, 0.13),
            y=self.place.y + step + 1.2 * _wander(time, self.seed + 2, 0.19),
            tilt=self.place.tilt + 0.7 * _wander(time, self.seed + 3, 0.09),
        )


def _rise(x: float) -> float:
    return float(0.5 - 0.5 * np.cos(np.pi * np.clip(x, 0, 1)))


def _wander(time: float, seed: int, rate: float) -> float:
    """A slow seeded oscillation of about unit amplitude; `rate` in Hz."""
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, 3)
    return float(
        0.6 * np.sin(2 * np.pi * rate * time + phase[0])
        + 0.3 * np.sin(2 * np.pi * 1.9 * rate * time + phase[1])
        + 0.1 * np.sin(2 * np.pi * 4.3 * rate * time + phase[2])
    )


def smile(onset: float, offset: float, strength: float = 1.0) -> Event:
    """A broad smile: 0.5 s to come, 0.6 s to go."""
    units = ("AU06", "AU12", "AU25")
    return Event("smile", onset, onset + 0.5, offset - 0.6, offset, Movement(smile=strength), units)


def surprise(onset: float, offset: float, strength: float = 1.0) -> Event:
    """Brows up, eyes wide, jaw dropped."""
    shape = Movement(brow_raise=0.12 * strength, jaw=strength, lids=-0.12 * strength)
    units = ("AU01", "AU02", "AU05", "AU25", "AU26")
    return Event("surprise", onset, onset + 0.3, offset - 0.5, offset, shape, units)


def frown(onset: float, offset: float, strength: float = 1.0) -> Event:
    """Brows down and together, lips pressed."""
    shape = Movement(brow_lower=0.11 * strength, press=strength, lids=0.22 * strength)
    return Event("frown", onset, onset + 0.5, offset - 0.6, offset, shape, ("AU04", "AU24"))


def blink(onset: float) -> Event:
    """Closing 0.1 s, closed 0.05 s, opening 0.15 s."""
    shape = Movement(lids=1.0)
    return Event("blink", onset, onset + 0.1, onset + 0.15, onset + 0.3, shape, ("AU45",))


def turn(onset: float, offset: float, yaw: float) -> Event:
    """The head turns by `yaw` degrees (> 0: to the right edge of the picture) and back."""
    return Event("turn", onset, onset + 0.7, offset - 0.7, offset, Movement(yaw=yaw), ())


def micro(onset: float, length: float, unit: str, amplitude: float) -> Event:
    """A movement of `length` seconds with its apex in the middle; `amplitude` in IOD."""
    shape, units, polarity = {
        "brows up": (Movement(brow_raise=amplitude), ("AU01", "AU02"), "surprise"),
        "brows down": (Movement(brow_lower=amplitude), ("AU04",), "negative"),
        "lip corners": (Movement(corners=amplitude), ("AU12",), "positive"),
    }[unit]
    apex = onset + length / 2
    return Event("micro", onset, apex, apex, onset + length, shape, units, polarity, amplitude)


def identity(jaw: float = 0.0, brows: float = 0.0, nose: float = 0.0, chin: float = 0.0) -> Float:
    """Lasting differences of one face, IOD, float32[68, 2]: wider jaw, higher brows, wider nose,
    longer chin."""
    shift = np.zeros((68, 2), np.float32)
    index = np.arange(17)
    shift[:17, 0] = jaw * np.sign(index - 8) * np.sin(np.pi * np.clip(index, 1, 15) / 16)
    shift[:17, 1] = chin * np.exp(-(((index - 8) / 3.0) ** 2))
    shift[17:27, 1] = -brows
    shift[31:36, 0] = nose * np.array([-1, -0.6, 0, 0.6, 1])
    return shift


CAST: Sequence[Cast] = (
    Cast(
        "first",
        0.2,
        17.6,
        -1,
        LandmarkEstimate(205, 196, 2.0),
        Look(),
        identity(),
        seed=10,
        events=(
            blink(2.3),
            micro(3.3, 0.40, "brows up", 0.045),
            smile(4.6, 7.6),
            blink(8.2),
            micro(9.3, 0.43, "lip corners", 0.040),
            surprise(10.7, 12.7),
            blink(13.1),
            turn(14.0, 16.6, 28),
            blink(16.9),
        ),
    ),
    Cast(
        "second",
        12.4,
        26.6,
        1,
        LandmarkEstimate(478, 214, 1.45, 0.97, True),
        Look(gain=0.93, gamma=1.08, hair=0.55, suit_hue=140),
        identity(0.035, 0.0, 0.015, 0.03),
        seed=20,
        events=(
            blink(14.2),
            micro(15.1, 0.40, "brows down", 0.048),
            smile(16.3, 24.0, 0.95),
            turn(24.6, 26.5, -26),
        ),
    ),
    Cast(
        "third",
        25.4,
        38.4,
        -1,
        LandmarkEstimate(225, 188, 1.85, 0.93, True, -2.0),
        Look(gain=1.05, gamma=0.95, hair=0.75, suit_hue=-110),
        identity(-0.03, 0.02, -0.01, -0.03),
        seed=30,
        events=(
            blink(27.5),
            micro(28.6, 0.37, "brows up", 0.042),
            surprise(30.2, 32.0, 0.9),
            blink(32.6),
            micro(33.8, 0.40, "brows down", 0.045),
            smile(35.2, 37.6, 0.9),
            blink(38.0),
        ),
    ),
    Cast(
        "fourth",
        34.0,
        45.2,
        1,
        LandmarkEstimate(487, 222, 1.3, 1.03, False, 1.5),
        Look(gain=0.88, gamma=1.15, hair=1.15, suit_hue=70),
        identity(0.045, -0.01, 0.02, 0.0),
        seed=40,
        events=(
            blink(36.0),
            frown(37.2, 39.8),
            blink(40.3),
            micro(41.4, 0.43, "lip corners", 0.048),
            blink(43.0),
            micro(44.0, 0.40, "brows up", 0.048),
        ),
    ),
)


def order(mirror: bool) -> Sequence[int]:
    """Indices that put a visitor's landmarks into iBUG order as the picture shows them."""
    return list(FLIP) if mirror else list(range(68))


def truth(iods: dict[str, float]) -> dict[str, Any]:
    """The ground truth, for `clip.json`. `iods`: frame pixels per visitor at rest."""
    visitors = [
        {
            "visitor": cast.name,
            "enter": cast.enter,
            "settled": round(cast.enter + cast.slide, 3),
            "leave": cast.leave,
            "gone": round(cast.leave + cast.slide, 3),
            "iod": round(iods[cast.name], 1),
        }
        for cast in CAST
    ]
    events = []
    for cast in CAST:
        for event in cast.events:
            details: dict[str, Any] = {"action_units": list(event.units)}
            if event.kind == "micro":
                details |= {"polarity": event.polarity, "amplitude": event.amplitude}
            if event.kind == "turn":
                details["yaw"] = event.movement.yaw
            events.append(
                {
                    "visitor": cast.name,
                    "kind": event.kind,
                    "onset": round(event.onset, 3),
                    "apex": round(event.apex, 3),
                    "offset": round(event.offset, 3),
                    "details": details,
                }
            )
    return {
        "fps": FPS,
        "width": WIDTH,
        "height": HEIGHT,
        "duration": DURATION,
        "visitors": visitors,
        "events": sorted(events, key=lambda event: event["onset"]),
        **dialogue.truth(),
    }
