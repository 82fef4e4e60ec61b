"""Days after which a difference is told, from the policy's noise and how its windows are published.

A day of one content gives, in expectation, W windows with v visits each. They are published when
their noised visits reach the threshold of `agent.privacy.publishing`; how many wait for one another
is drawn from that rule. The estimate of the share is the one of `agent.desk.read.rates`, and so is
its noise; the visitors' own variation is binomial, times `spread`. The difference is told as
`agent.desk.read.compare` tells it: days are the independent pieces, by Student's t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from agent.base.errors import ConfigError
from agent.desk.read.figures import CELL_FIGURES, FIGURES, PARTITIONS
from agent.desk.read.intervals import MOST_MERGED
from agent.desk.read.measure import MIN_CLUSTERS
from agent.desk.read.rates import Rate, variance_of, weights
from agent.desk.read.student import t_cdf, t_quantile
from agent.privacy.policy.rules import Policy
from agent.privacy.publishing import PublishingRule
from agent.privacy.window import SENSITIVITY

MOST_DAYS = 3650
_CYCLES = 400
"""Draws of how many windows wait for one another."""
_MOST_WAITING = MOST_MERGED
"""Windows; the noise of what waits longer is not told."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be told, and how often it is shown."""

    rate: Rate
    visits: float
    """A day while it is on show, of each content on each device."""
    difference: float
    share: float
    """Of the first content."""
    hours: float
    """A day, of each content."""
    contents: int = 2
    devices: int = 1
    spread: float = 1.0
    power: float = 0.8
    level: float = 0.95

    @property
    def other(self) -> float:
        """The second content's share."""
        up = self.share + self.difference
        return up if up <= 1 else self.share - self.difference

    @property
    def corrected(self) -> float:
        """The level of each pair, so that all together have `level`."""
        return 1 - (1 - self.level) / math.comb(self.contents, 2)

    def check(self) -> None:
        """Raises `ConfigError`."""
        for what, value, low, high in (
            ("--difference", self.difference, 0.0, 1.0),
            ("--share", self.share, 0.0, 1.0),
            ("--power", self.power, 0.5, 1.0),
            ("--level", self.level, 0.5, 1.0),
        ):
            if not low < value < high:
                raise ConfigError(f"{what} is {value:g}; give one between {low:g} and {high:g}.")
        if not 0 <= self.other <= 1:
            raise ConfigError(
                f"From a share of {self.share:g} there is no way to one that differs by "
                f"{self.difference:g}. Choose a smaller --difference."
            )
        if self.rate.kind != "share":
            raise ConfigError(f"{self.rate.name} is no share of the visits; choose attention.")
        if not 0 < self.visits <= 100_000 or not 0 < self.hours <= 24:
            raise ConfigError("--visits and --hours must be positive, and a day has 24 hours.")
        if self.contents < 2 or self.contents > 64 or self.devices < 1:
            raise ConfigError("--contents is 2 to 64, --devices 1 or more.")
        if not 0 < self.spread <= 1000:
            raise ConfigError("--spread is above 0, and 1000 at most.")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long it takes."""

    days: int | None
    """None: longer than ten years, or no window would be published."""
    power: float
    """After that many days."""
    windows: float
    """Of a content a day."""
    published: float
    """Of these; the others wait and are counted with them."""
    waiting: float
    """Windows that are published together, on average."""
    noise: float
    """Standard deviation that noise gives to a day's share."""
    chance: float
    """And visitors who differ."""
    window: int
    """Seconds."""


def plan(question: Question, policy: Policy) -> Plan:
    """Raises `ConfigError` where the policy does not publish what is asked for."""
    question.check()
    cell = FIGURES[question.rate.top[0]]
    if cell not in policy.cells:
        raise ConfigError(f"Policy {policy.name} does not publish {cell}; it publishes "
                          f"{', '.join(policy.cells)}.")  # fmt: skip
    windows = max(1.0, question.hours * 3600 / policy.window)
    mean = question.visits / windows
    cycle = _cycles(policy, round(mean, 6), question.contents)
    if cycle is None:
        return Plan(None, 0.0, windows, 0.0, math.inf, math.inf, math.inf, policy.window)
    together = float(np.mean(cycle))
    variances = []
    for share in (question.share, question.other):
        noise = float(np.mean(_noise(question.rate, policy, cycle, share)))
        chance = question.visits * share * (1 - share) * question.spread
        variances.append(np.array([noise * windows / together, chance]) / question.visits**2)
    total = np.sum(variances)
    published = windows / together
    days, power = _days(question, float(total), published)
    half = np.mean(variances, axis=0)
    return Plan(days, power, windows, published, together, math.sqrt(half[0]), math.sqrt(half[1]),
                policy.window)  # fmt: skip


def power_after(question: Question, variance: float, published: float, days: int) -> float:
    """Probability to tell the difference. `variance`: of the difference, of one day; `published`:
    windows a day. 0 before `MIN_CLUSTERS` days of a device: fewer do not tell how days differ."""
    pieces = days * question.devices * min(1.0, published)
    if days * question.devices < MIN_CLUSTERS or pieces < 2:
        return 0.0
    error = math.sqrt(variance / (days * question.devices))
    critical = t_quantile((1 + question.corrected) / 2, pieces - 1)
    return 1 - t_cdf(critical - question.difference / error, 2 * pieces - 2)


def _days(question: Question, variance: float, published: float) -> tuple[int | None, float]:
    low, high = 0, 1
    while power_after(question, variance, published, high) < question.power:
        low, high = high, 2 * high
        if low > MOST_DAYS:
            return None, 0.0
    while high - low > 1:
        middle = (low + high) // 2
        enough = power_after(question, variance, published, middle) >= question.power
        low, high = (low, middle) if enough else (middle, high)
    return high, power_after(question, variance, published, high)


def curve(question: Question, found: Plan, days: np.ndarray) -> np.ndarray:
    """The power after each number of days."""
    variance = 0.0
    for share in (question.share, question.other):
        variance += share * (1 - share) * question.spread / question.visits + found.noise**2
    return np.array([power_after(question, variance, found.published, int(n)) for n in days])


@lru_cache(maxsize=32)
def _cycles(policy: Policy, mean: float, slots: int) -> np.ndarray | None:
    """How many windows are published together, int64[`_CYCLES`], of the slot that came last of
    `slots`; None where too many wait."""
    rule = PublishingRule(policy)
    for slot in range(slots):
        rule.threshold(slot, 1, 2)
        rule.published(slot)
    rng = np.random.default_rng(7)
    scale = float(SENSITIVITY["visits"] / policy.epsilon("visits")) if policy.noised else 0.0
    total = np.zeros(_CYCLES)
    ended = np.zeros(_CYCLES, np.int64)
    for count in range(1, _MOST_WAITING + 1):
        total += rng.poisson(mean, _CYCLES)
        if scale:
            p = 1 - math.exp(-1 / scale)
            total += rng.geometric(p, _CYCLES) - rng.geometric(p, _CYCLES)
        ready = (ended == 0) & (total >= max(policy.k, rule.threshold(slots - 1, count, 2)))
        ended[ready] = count
        if ended.all():
            return ended
    return None


def _noise(rate: Rate, policy: Policy, together: np.ndarray, share: float) -> np.ndarray:
    """Variance of top - share * bottom by noise, of windows published together; float64[N]."""
    cells = [cell for cell in PARTITIONS if cell in policy.cells]
    nothing = np.full(len(together), np.nan)
    columns = {}
    for cell in ("visits", *PARTITIONS):
        for name in CELL_FIGURES[cell]:
            if cell != "visits" and cell not in cells:
                columns[name] = (nothing, nothing, nothing)
                continue
            b = float(SENSITIVITY[cell] / policy.epsilon(cell)) if policy.noised else 0.0
            noises = together.astype(float) if cell == "visits" else np.ones(len(together))
            columns[name] = (np.zeros(len(together)), np.full(len(together), b), noises)
    top, bottom = weights(rate, columns, len(together))
    variance = np.zeros(len(together))
    for name in columns:
        weight = top.get(name, 0.0) - share * bottom.get(name, np.zeros(1))
        if np.any(weight != 0):
            variance += weight**2 * variance_of(columns, name)
    return variance


def lengths(question: Question, policy: Policy, least: int) -> list[Plan]:
    """The same with each length of windows from `least` seconds."""
    return [
        plan(question, replace(policy, window=length))
        for length in (60, 300, 900, 3600)
        if length >= least
    ]
