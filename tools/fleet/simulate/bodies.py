"""What a simulated device says: messages of the agent's own models, in their canonical bytes.

Summaries are made so often that they come from templates: the bytes of a validated message in which
boot, number, time, slot and model are replaced. Every template is checked once: what it makes is
parsed back with the model.
"""

from __future__ import annotations

import functools
import hashlib
import random
from dataclasses import dataclass
from typing import Literal, get_args

from agent.base.config import AgentConfig
from agent.base.report import (
    COUNT,
    SECONDS,
    SUM,
    AttentionCounts,
    Birth,
    ClippedSum,
    DwellCounts,
    Event,
    ExpressionCounts,
    Health,
    Meta,
    MicroCounts,
    PerceiveCage,
    Privacy,
    Quality,
    Summary,
    TimedWindow,
    UntimedWindow,
    UplinkCage,
    Withheld,
    from_json,
    quantize,
    to_json,
)
from agent.base.report.device import Layer
from agent.base.schemas.registry import joint_hash
from agent.base.settings_file import parse
from agent.base.vocabulary import Trust, WindowLength
from agent.privacy.policy.rules import Policy, resolve
from tools.common.errors import ToolError

TEMPLATES = 32
"""Different sets of counts."""
_BOOT, _SEQ, _AT, _SLOT, _MODEL = "5e17b007", 9_999_991, 999_999_980, 251, "0de1c0de"
_UTC = 4_000_000_000
"""Stand-ins that occur once each in a message."""
FIRST_UTC, LAST_UTC = 1_700_000_000, 4_102_444_790
LENGTHS: tuple[WindowLength, ...] = get_args(WindowLength)
CODES = ("camera_restarted", "clock_stepped", "settings_applied", "paused", "resumed")
"""Events that a healthy device says now and then."""


def window_length(interval: float) -> WindowLength:
    """The longest permitted window that is no longer than the interval."""
    return max((each for each in LENGTHS if each <= interval), default=LENGTHS[0])


@functools.cache
def site(window: WindowLength) -> tuple[AgentConfig, Policy]:
    """The configuration that every simulated site has, and its policy."""
    config = parse({"privacy": {"policy": "demo", "microphone": False, "words": False,
                                "window": window}}, "the simulated site")  # fmt: skip
    return config, resolve(config, live=False)


def hash_of(name: str) -> str:
    """16 hex digits that stand for a version's models, or anything else."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


class SummaryTemplates:
    """Makes the canonical bytes of summaries."""

    def __init__(self, window: WindowLength, seed: int) -> None:
        """Raises `ToolError` should a template not make what the model takes."""
        chance = random.Random(seed)
        self.window = window
        policy = site(window)[1]
        self._timed: dict[str, list[bytes]] = {}
        for clock in ("ntp", "rtc", "holdover"):
            where = TimedWindow(start=_UTC, length=window, clock=clock)
            self._timed[clock] = [
                _cut(_example(where, policy, chance), str(_UTC)) for _ in range(TEMPLATES)
            ]
        untimed = UntimedWindow(offset=_AT, length=window)
        self._untimed = [
            _cut(_example(untimed, policy, chance), str(_AT)) for _ in range(TEMPLATES)
        ]
        for clock in ("ntp", "rtc", "holdover", "none"):
            for which in range(TEMPLATES):
                body = self.make(which, "0a1b2c3d", 16_777_215, clock, 1_800_000_000, 7, "01234567")
                if from_json(Summary, body) is None:
                    raise ToolError(f"A template of a summary is none: {body.decode()}")

    def make(
        self, which: int, boot: str, seq: int, clock: str, at: int, slot: int, model: str
    ) -> bytes:
        """`which`: any number; `at`: UTC seconds, or with clock `none` seconds since the boot."""
        forms = self._untimed if clock == "none" else self._timed[clock]
        at -= at % 10
        at = min(max(at, 0), 999_999_990) if clock == "none" else min(max(at, FIRST_UTC), LAST_UTC)
        return forms[which % TEMPLATES] % {
            b"boot": boot.encode(), b"seq": b"%d" % seq, b"at": b"%d" % at, b"slot": b"%d" % slot,
            b"model": model.encode(),
        }  # fmt: skip


def _cut(example: Summary, at: str) -> bytes:
    """A bytes format of the example. Raises `ToolError`."""
    form = to_json(example).replace(b"%", b"%%")
    marks = {f'"{_BOOT}"': '"%(boot)b"', f'"seq":{_SEQ}': '"seq":%(seq)b', at: "%(at)b",
             f'"slot":{_SLOT}': '"slot":%(slot)b', f'"{_MODEL}"': '"%(model)b"'}  # fmt: skip
    for mark, place in marks.items():
        if form.count(mark.encode()) != 1:
            raise ToolError(f"{mark} does not stand once in the template of a summary.")
        form = form.replace(mark.encode(), place.encode())
    return form


def _example(window: TimedWindow | UntimedWindow, policy: Policy, chance: random.Random) -> Summary:
    """A window of a few dozen visits; one in four has nothing but its number of visits."""

    def count(most: int) -> int:
        return quantize(COUNT, round(chance.gauss(chance.randint(0, most), 2)))

    def total(most: int) -> int:
        return quantize(SUM, chance.randint(-most, most))

    empty = chance.random() < 0.25
    null = [each for each in ("passing", "expression", "valence", "arousal", "attention", "dwell",
                             "micro")
            if empty] + ["tone"]  # fmt: skip
    reasons = dict.fromkeys(null, "below_k") | {"tone": "no_microphone"}
    return Summary(
        boot=_BOOT, seq=_SEQ, window=window, slot=_SLOT, shown=5 * chance.randint(1, 20),
        visits=count(60),
        passing=None if empty else count(120),
        expression=None if empty else ExpressionCounts(
            neutral=count(30), happiness=count(20), surprise=count(5), sadness=count(4),
            anger=count(3), disgust=count(2), fear=count(2), contempt=count(2), unsure=count(6),
        ),
        valence=None if empty else ClippedSum(sum=total(1000)),
        arousal=None if empty else ClippedSum(sum=total(800)),
        attention=None if empty else AttentionCounts(
            under_1=count(20), from_1_to_5=count(20), from_5_to_15=count(10), over_15=count(5)
        ),
        dwell=None if empty else DwellCounts(
            under_5=count(20), from_5_to_15=count(20), from_15_to_30=count(10),
            from_30_to_60=count(5), over_60=count(5),
        ),
        micro=None if empty else MicroCounts(
            positive=count(4), negative=count(3), surprise=count(2), unspecified=count(5),
            analysable_visits=count(30),
            analysable_seconds=quantize(SECONDS, chance.randint(0, 900)),
            expected_false_alarms_tenths=chance.randint(0, 30),
        ),
        tone=None,
        withheld=tuple(
            Withheld(cell=cell, reason=reasons[cell]) for cell in null  # type: ignore[arg-type]
        ),
        privacy=Privacy(
            mechanism="discrete_laplace" if policy.noised else "none",
            epsilon_milli=policy.epsilon_milli, k=policy.k,
        ),
        quality=Quality(fps=30, usable=100, flags=()),
        model=_MODEL, policy=policy.name, policy_hash=policy.hash[:8],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Software:
    """What is in force on a device."""

    app: str
    models: str

    @property
    def model_hash(self) -> str:
        return hash_of(f"models-{self.models}")


_WAITING: tuple[Literal[0, 1, 10, 100, 1000, 10_000], ...] = (10_000, 1000, 100, 10, 1, 0)
_LAYERS: tuple[Layer, ...] = ("systemd", "namespace", "mdwe", "seccomp", "landlock")
_PERCEIVE = PerceiveCage(network="closed", writes="confined", found_open=(), layers=_LAYERS)
_UPLINK = UplinkCage(
    devices="closed", egress="confined", writes="confined", found_open=(), layers=_LAYERS
)


def meta(
    boot: str, software: Software, window: WindowLength, *, clock: Trust, epoch: int | None,
    settings: int, k: int, key: str | None,
) -> bytes:  # fmt: skip
    """The birth certificate. `epoch`: UTC of the boot."""
    policy = site(window)[1]
    birth = Birth(
        boot=boot, software=software.app, model=software.model_hash, policy=policy.name,
        policy_hash=policy.hash, epoch=None if epoch is None else epoch - epoch % 10, clock=clock,
        settings=settings, k=k, window=window, cage=_PERCEIVE,
    )  # fmt: skip
    return to_json(Meta(birth=birth, uplink=_UPLINK, key=key, receipt=None, schemas=joint_hash()))


def health(boot: str, waiting: int, clock: Trust, chance: random.Random) -> bytes:
    """As a device under ordinary load says it."""
    waits: Literal[0, 1, 10, 100, 1000, 10_000]
    waits = next(each for each in _WAITING if waiting >= each)
    return to_json(Health(
        boot=boot, perception="running", fps=30, temperature=chance.choice((40, 50, 60)),
        power="good", memory=64, disk="ample",
        waiting=waits, trimmed=0, clock=clock,
    ))  # fmt: skip


def event(boot: str, seq: int, code: str, utc: int | None, offset: int) -> bytes:
    """`utc`: seconds, None while the clock is not trusted; `offset`: seconds since the boot."""
    return to_json(Event(
        boot=boot, seq=seq, code=code,  # type: ignore[arg-type]
        count=1, at=None if utc is None else utc - utc % 10, offset=offset - offset % 10,
    ))  # fmt: skip
