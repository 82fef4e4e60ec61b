"""Two worlds, simulated and attacked."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from agent.base.config import AgentConfig
from agent.base.settings_file import parse
from agent.base.vocabulary import PolicyName
from agent.privacy.policy.rules import PROFILES, Policy, resolve
from tools.bench.worlds.attack import Auc, auc, bound, features, likelihood, linear
from tools.bench.worlds.day import Days, check, laplace, publish
from tools.bench.worlds.visitors import Layout, Numbers, background, kinds, layout, stranger
from tools.common.errors import ToolError
from tools.common.machine import machine
from tools.common.progress import Tell, bar

_DAY = 86_400
_CHUNK = 250
"""Days simulated at once: some 30 MB."""
_CHECKED = 5
"""Days of each pair of worlds that the agent's releaser releases as well."""


Person = Literal["worst", "ordinary"]
"""Who is looked for: one whose visits are at every contribution bound, or one like the others."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to simulate."""

    days: int
    """Of each world."""
    policy: PolicyName
    rate: float
    """Other visits per window, mean."""
    stay: tuple[int, ...]
    """Numbers of visits that one person in view all day may be counted as."""
    visits: tuple[int, ...]
    """Numbers of visits of a person who returns."""
    persons: tuple[Person, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Pair:
    """Two worlds that differ in one person's visits, spread evenly over the day."""

    name: str
    without: int
    with_: int


def pairs(options: Options) -> list[Pair]:
    """The pairs in the order in which they are measured."""
    return [
        Pair("0 or 1 visit", 0, 1),
        Pair("5 or 6 visits", 5, 6),
        *(
            Pair(f"all day in view or not, {_counted(n)}", 0, n) for n in options.stay
        ),
        *(Pair(f"0 or {_counted(n)} of one person", 0, n) for n in options.visits),
    ]  # fmt: skip


def _counted(visits: int) -> str:
    return f"{visits} visit" + "s" * (visits > 1)


def configuration(name: PolicyName) -> tuple[AgentConfig, Policy]:
    """A profile with its defaults, where it is permitted, and without microphone and words: what
    is simulated is sight. Raises `ToolError` for one without noise."""
    profile = PROFILES[name]
    if profile.max_epsilon is None:
        raise ToolError(f"{name} adds no noise: there is nothing to measure. Name another policy.")
    config = parse(
        {
            "device": {"place": profile.places[0], "region": "other"},
            "privacy": {
                "policy": name,
                "notice_shown": True,
                "consent": True,
                "microphone": False,
                "words": False,
            },
        },
        "tools.bench",
    )
    return config, resolve(config)


def measure(options: Options) -> dict[str, Any]:
    """Run it; the report as plain data. Raises `ToolError`."""
    before = machine()
    config, policy = configuration(options.policy)
    shape = layout(policy)
    among = kinds(random.Random(options.seed), shape)
    rows: list[dict[str, Any]] = []
    wanted = [(person, pair) for person in options.persons for pair in pairs(options)]
    with bar("days", 2 * options.days * len(wanted)) as tell:
        for number, (person, pair) in enumerate(wanted):
            target = among[0] if person == "ordinary" else stranger(shape)
            world = _World(config, policy, shape, among, target, options, number)
            row = _attacked(world, pair, _part(tell, 2 * options.days * number))
            visits = pair.with_ - pair.without
            rows.append({"worlds": pair.name, "person": person, "visits": visits, **row})
    epsilon = policy.epsilon_milli / 1000
    for row in rows:
        row["bound"] = round(bound(row["visits"] * epsilon), 4)
    return {
        "machine": before,
        "policy": options.policy,
        "epsilon": epsilon,
        "k": policy.k,
        "window": policy.window,
        "windows": ceil(_DAY / policy.window),
        "rate": options.rate,
        "days": options.days,
        "seed": options.seed,
        "checked": 2 * _CHECKED * len(rows),
        "rows": rows,
        "passed": all(row["likelihood"]["low"] <= row["bound"] for row in rows),
    }


def _part(tell: Tell, done: int) -> Callable[[int], None]:
    """`tell` for a part that begins at `done`."""
    return lambda more: tell(done + more, "")


@dataclass(frozen=True, slots=True)
class _World:
    """What both worlds of a pair have in common."""

    config: AgentConfig
    policy: Policy
    shape: Layout
    among: Numbers
    target: Numbers
    options: Options
    number: int

    def presence(self, visits: int) -> NDArray[np.int32]:
        """[windows]: a person's visits, spread evenly."""
        windows = ceil(_DAY / self.policy.window)
        places = ((np.arange(visits) + 0.5) * windows / max(1, visits)).astype(int)
        return np.bincount(places, minlength=windows).astype(np.int32)


def _attacked(world: _World, pair: Pair, tell: Callable[[int], None]) -> dict[str, Any]:
    """Both attackers' areas for one pair of worlds, and how often a window was published."""
    target = world.target
    alone, more = world.presence(pair.without), world.presence(pair.with_)
    # The known visits of the world with fewer stay where they are.
    added = more if not pair.without else world.presence(pair.with_ - pair.without)
    seen: list[list[NDArray[np.float64]]] = [[], []]
    ratios: list[list[NDArray[np.float64]]] = [[], []]
    published = 0.0
    for there in (0, 1):
        rng = np.random.default_rng([world.options.seed, world.number, there])
        person = alone + there * added
        for first in range(0, world.options.days, _CHUNK):
            number = min(_CHUNK, world.options.days - first)
            others, days = _simulated(world, rng, person, number, checked=first == 0)
            known = others + alone[:, None] * target
            seen[there].append(features(days, world.shape, added))
            ratios[there].append(likelihood(days, world.shape, known, target, added))
            published += float(days.published.sum())
            tell(there * world.options.days + first + number)
    without, with_ = (np.concatenate(each) for each in seen)
    return {
        "linear": _plain(auc(*linear(without, with_))),
        "likelihood": _plain(auc(*(np.concatenate(each) for each in ratios))),
        "published": round(published / (2 * world.options.days), 2),
    }


def _simulated(
    world: _World,
    rng: np.random.Generator,
    person: NDArray[np.int32],
    number: int,
    checked: bool,
) -> tuple[Numbers, Days]:
    """The others' exact numbers and the published days. Raises `ToolError` where the agent's
    releaser differs."""
    rates = np.full(len(person), world.options.rate)
    others = background(rng, rates, world.among, number)
    noise = laplace(rng, world.shape.scales, number, len(person))
    counts = others + person[:, None] * world.target
    if checked:
        few = slice(0, _CHECKED)
        check(world.config, world.policy, world.shape, counts[few], noise[few])
    return others, publish(counts, noise, world.policy, world.shape)


def _plain(area: Auc) -> dict[str, float]:
    return {name: round(value, 4) for name, value in asdict(area).items()}


def once_each(numbers: Sequence[int]) -> tuple[int, ...]:
    """In the order given."""
    return tuple(dict.fromkeys(numbers))
