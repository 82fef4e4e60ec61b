"""When withheld windows are published: a sequential test with a bounded error.

The noised numbers of visits of a slot's withheld windows are added up until the sum reaches a
threshold. Asked again at every window, a threshold fit for one look would sooner or later be
crossed by noise alone. Here each look has a budget: the probability that windows without a single
visit are published at that look, given that they were not before. The budgets of all looks of a day
and of all content slots add up to `ALPHA` (alpha spending: Lan & DeMets, Biometrika 70, 1983).

What holds, for any visits before: of 24 hours without visits at most the share `ALPHA` publishes a
summary of nothing but noise, with any number of content slots, whatever the summaries before said,
with any number of crashes and changed settings, one boot, and up to `SPARE_LOOKS` orderly stops.
Three budgets, each a part of `ALPHA`:

- `STEADY`, the same at each look, so that a day's looks cannot exceed it, wherever the day begins
  and however often the process starts anew.
- `EARLY`: a slot that has just published may spend it, EARLY / (n (n + 1)) at its n-th window,
  which adds up to EARLY. A busy slot is thus published sooner, a quiet one by the steady budget.
- `START`: the same for a slot on show since the machine's boot, for its first publication. A
  process that starts later has neither, so that restarts cost nothing. Every further boot may add
  START, as may a stop or changed settings in the first two windows after one.

Slots share the budgets by order of first appearance (`_share`). Summaries that hold visits from
before the 24 hours are not counted: they are not made of noise alone.

Thresholds are upper bounds in integers: the distribution of the sum of discrete Laplace noise that
has not crossed a threshold is convolved exactly, each rounding increases it (`Thresholds`). Nothing
here sees an exact number: thresholds depend on the policy, the timetable of windows and slots, and
what was published.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import ceil

from agent.privacy.policy.rules import Policy
from agent.privacy.window import SENSITIVITY

ALPHA = Fraction(1, 20)
"""Most probability that noise alone is published in 24 hours without visits."""
EARLY, START, STEADY = Fraction(14, 20), Fraction(3, 20), Fraction(3, 20)
"""Parts of `ALPHA`."""
SPARE_LOOKS = 8
"""A day's looks beyond those at the ends of its windows: an orderly stop looks at the open ones."""
_FIRST_WINDOWS = 2
"""Windows since the boot in which a slot on show since then appears."""
_FIRST_SLOT = Fraction(4, 5)
_OWN_SHARES = 8
"""Slots with a share of their own; the others share one equally, which bounds the memory."""
_SLOTS = 256
_DAY = 86_400
"""Seconds."""

_BITS = 96
_ONE = 1 << _BITS
"""Probability 1; probabilities are integers."""
_MAX_POINTS = 4096
"""Sums with a probability of their own. Beyond, Chernoff's bound: at the policies' noise after
thousands of windows."""
_MAX_WINDOWS = 10_000
_LN2 = Fraction(693_147_181, 10**9)
"""Rounded up."""


class PublishingRule:
    """The thresholds of one releaser's slots."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._ranks: dict[int, int] = {}
        """Order of first appearance, from 1, by slot."""
        self._published: set[int] = set()
        """Slots."""

    def threshold(self, slot: int, windows: int, first: int) -> int:
        """The noised number of visits from which a slot's pending windows are published.
        `windows`: their number; `first`: the oldest one's number since boot."""
        policy = self._policy
        if not policy.noised:
            return policy.k
        share = ALPHA * _share(self._ranks.setdefault(slot, len(self._ranks) + 1))
        early, skipped = Fraction(0), 0
        if slot in self._published:
            early = EARLY
        elif first < _FIRST_WINDOWS:
            early, skipped = START, first
        looks = ceil(Fraction(_DAY, policy.window)) + SPARE_LOOKS
        thresholds = thresholds_for(
            SENSITIVITY["visits"] / policy.epsilon("visits"),
            policy.k,
            share * early,
            skipped,
            share * STEADY / looks,
        )
        return thresholds.at(windows)

    def published(self, slot: int) -> None:
        """A slot's pending windows were published."""
        self._published.add(slot)


def _share(rank: int) -> Fraction:
    """A slot's share of the budgets; those of `_SLOTS` ranks add up to less than 1."""
    rest = 1 - _FIRST_SLOT
    if rank == 1:
        return _FIRST_SLOT
    if rank <= _OWN_SHARES:
        return rest / (rank * (rank - 1))
    return rest / (_OWN_SHARES * (_SLOTS - _OWN_SHARES))


@lru_cache(maxsize=3 * (_OWN_SHARES + 1))
def thresholds_for(
    scale: Fraction, least: int, early: Fraction, skipped: int, steady: Fraction
) -> Thresholds:
    """The same thresholds for the same parameters, computed as they are needed."""
    return Thresholds(scale, least, early, skipped, steady)


class Thresholds:
    """Thresholds for the sum of n windows' noise, n = 1, 2, …: at each the probability to reach it,
    given that none was reached before, is at most early / (m (m + 1)) + steady, m = n + skipped.

    Parameters
    ----------
    scale
        Of the discrete Laplace noise of each window.
    least
        No threshold is less.
    early, skipped, steady
        Budgets; early >= 0, skipped >= 0, steady > 0, early + steady <= 1 / 2.

    Notes
    -----
    `_mass[i]` bounds the probability that no threshold was reached and the sum is `_low` + i. The
    convolution with P(z) = c q^|z| is two geometric recursions, O(points) per window. Probability
    below `_low` is dropped and counted as if it were above every threshold (`_lost`).
    """

    def __init__(
        self, scale: Fraction, least: int, early: Fraction, skipped: int, steady: Fraction
    ) -> None:
        self._scale, self._least = scale, least
        self._early, self._skipped, self._steady = early, skipped, steady
        low, self._q = _exp_bounds(1 / scale)
        self._c = _rounded_up(_ONE - low, _ONE + low)
        """At least (1 - q) / (1 + q)."""
        self._tail = _rounded_up(_ONE, _ONE + low)
        """At least 1 / (1 + q): the sum of c q^n over n >= 0."""
        self._mass: list[int] = [_ONE]
        self._low = 0
        self._lost = 0
        self._crossed = 0
        """At least the probability that a threshold was reached."""
        self._exact: list[int] = []
        self._is_exact = True

    def at(self, windows: int) -> int:
        """The threshold for the sum of `windows` windows, 1 or more."""
        while self._is_exact and len(self._exact) < windows:
            self._is_exact = self._step()
        if windows <= len(self._exact):
            return self._exact[windows - 1]
        return max(self._least, self._by_chernoff(windows))

    def _budget(self, windows: int) -> Fraction:
        number = windows + self._skipped
        return self._early / (number * (number + 1)) + self._steady

    @property
    def _alive(self) -> int:
        """At most the probability that no threshold was reached."""
        return _ONE - self._crossed - self._lost

    def _step(self) -> bool:
        """Compute the next threshold exactly; False where that would cost too much."""
        windows = len(self._exact) + 1
        limit = int(self._budget(windows) * self._alive)
        mass, lost, beyond = self._convolved(int(self._steady * _ONE / (256 * windows**2)))
        lost += self._lost
        if lost >= limit or len(mass) > _MAX_POINTS or windows > _MAX_WINDOWS:
            self._mass.clear()
            return False
        threshold = self._low + len(mass)
        reached = _times(beyond, self._tail)
        while threshold < self._least or reached + lost > limit:
            mass.append(_times(beyond, self._c))
            beyond = _times(beyond, self._q)
            reached = _times(beyond, self._tail)
            threshold += 1
        while threshold > self._least and reached + mass[-1] + lost <= limit:
            reached += mass.pop()
            threshold -= 1
        self._mass, self._lost = mass, lost
        self._crossed += reached
        self._exact.append(threshold)
        return True

    def _convolved(self, crumb: int) -> tuple[list[int], int, int]:
        """One more window: the new `_mass` (and `_low`), what was dropped below it (`crumb` at
        most), and the probability, over c, of the first sum above it; those above fall by q."""
        q, before = self._q, self._mass
        from_below, from_above = [], []
        total = 0
        for each in before:
            total = each + _times(total, q)
            from_below.append(total)
        beyond = _times(total, q)
        total = 0
        for each in reversed(before):
            from_above.append(total)
            total = _times(total + each, q)
        mass = []
        while _times(total, self._tail) > crumb:
            mass.append(_times(total, self._c))
            total = _times(total, q)
        mass.reverse()
        self._low -= len(mass)
        both = zip(from_below, reversed(from_above), strict=True)
        mass += [_times(below + above, self._c) for below, above in both]
        return mass, _times(total, self._tail), beyond

    def _by_chernoff(self, windows: int) -> int:
        """A threshold beyond the exact ones: P(sum >= t) <= E[exp(u sum)] exp(-u t) for u = r /
        scale, where E[exp(u z)] <= 1 / (1 - r^2) for one window's noise z.

        (E = sinh^2(1 / (2 scale)) / (sinh^2(1 / (2 scale)) - sinh^2(u / 2)), and sinh(r x) <= r
        sinh(x).) As long as the budget's sum since the last exact threshold, `gone`, is what it is,
        the probability of none being reached falls by less than 4 to the power of it.
        """
        first = len(self._exact) + 1
        budget = self._budget(windows)
        gone = ceil(self._budget(first) * (windows - first))
        limit = max(1, int(budget * self._alive))
        # -ln(limit / _ONE / 4^gone), rounded up
        surprise = (_BITS + 1 - limit.bit_length() + 2 * gone) * _LN2
        return min(
            ceil(self._scale / rate * (windows * _minus_log_of_rest(rate) + surprise))
            for rate in _RATES
        )


def _minus_log_of_rest(rate: Fraction) -> Fraction:
    """At least -ln(1 - rate^2): the first terms of its series, the rest as a geometric series."""
    square = rate**2
    series = sum((square**n / n for n in range(1, 8)), Fraction(0))
    return series + square**8 / (8 * (1 - square))


_RATES = [Fraction(n, 256) for n in (*range(1, 32), *range(32, 256, 8))]


def _exp_bounds(x: Fraction) -> tuple[int, int]:
    """Bounds of exp(-x) * `_ONE`, x > 0: partial sums of the alternating series for a part of x
    that is 1 at most, to the power of the number of parts."""
    parts = ceil(x)
    term, sums = Fraction(1), [Fraction(0)]
    for n in range(1, 42):
        sums.append(sums[-1] + term)
        term *= -x / parts / n
    below, above = sorted(sums[-2:])
    low, high = int(below * _ONE), ceil(above * _ONE)
    bounds = (_ONE, _ONE)
    for _ in range(parts):
        bounds = (bounds[0] * low >> _BITS, _times(bounds[1], high))
    return bounds


def _times(one: int, other: int) -> int:
    """A product of probabilities, rounded up."""
    return -(-one * other >> _BITS)


def _rounded_up(numerator: int, denominator: int) -> int:
    """A ratio as a probability, rounded up."""
    return -(-numerator * _ONE // denominator)
