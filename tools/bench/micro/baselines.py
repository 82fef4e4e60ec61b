"""Rule-based baselines on landmarks: naive differencing, MDMD, and the optical-flow rule OF-FD.

They were published for images; these are ports to 68 landmarks, generous in three points: the
tracks are resampled to an even rate, head motion is taken out by a similarity on the rigid points
of every frame, and each rule's threshold was chosen by F1 on `TUNE_SEEDS` (see `tune`). Like their
originals they look at a whole recording at once and use one global threshold. A prediction longer
than .5 s counts as an ordinary expression and is left out, as the protocol of rule methods says.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.bench.micro.signals import (
    Array,
    Flags,
    Points,
    centred_mean,
    contrast,
    descend,
    frames,
    low_pass,
    peaks,
    runs,
    threshold,
    tidy,
    top_third,
)
from tools.bench.micro.subject import Answer, Found

INNER = np.arange(17, 68)
"""What moves with expressions and does not lie on the sliding contour."""
BLOCKS: tuple[tuple[int, ...], ...] = (
    (17, 18), (19, 20), (21,), (22,), (23, 24), (25, 26), (36, 37, 41), (38, 39, 40),
    (42, 43, 47), (44, 45, 46), (27, 28, 29), (30, 32, 33, 34), (31,), (35,), (48, 60),
    (49, 50, 61), (51, 62), (52, 53, 63), (54, 64), (58, 59, 67), (57, 66), (55, 56, 65),
)  # fmt: skip
"""MDMD's blocks: landmarks that lie together."""
LONGEST = 0.5
"""Seconds."""
SHORTEST = 0.08


@dataclass(frozen=True, slots=True)
class Setting:
    """One rule's free parameters."""

    threshold: float
    half: float
    """Half the interval k, seconds (OF-FD: unused)."""
    extend: float
    """Seconds by which an interval grows to either side; negative: shrinks."""


class Rule(ABC):
    """A rule with its parameters: tracks in, intervals and processor time out."""

    name: str

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def __call__(self, timestamps: Array, landmarks: Points, confidence: Points) -> Answer:
        start = time.process_time()
        found = self.spot(*tidy(timestamps, landmarks, confidence))
        return Answer(_short(found), time.process_time() - start)

    @abstractmethod
    def spot(self, times: Array, points: Array, good: Flags) -> list[Found]:
        """Of float64[T], float64[T, 68, 2] and bool[T], as `tidy` gives them; of any length."""


class Naive(Rule):
    """Differencing: how far each landmark strays from the mean of its past and future self.

    The averaged difference with contrast and threshold of Moilanen, Zhao & Pietikainen (ICPR 2014),
    distances between landmarks in place of chi-squared between LBP histograms: F is the mean of
    the largest third, C = F - (F[i-k] + F[i+k]) / 2, threshold mean + p (max - mean). Intervals are
    the apex and k to either side.
    """

    name = "differencing"

    def spot(self, times: Array, points: Array, good: Flags) -> list[Found]:
        found: list[Found] = []
        k = frames(self.setting.half, times)
        if len(times) > 4 * k:
            points = points[:, INNER]
            stray = np.zeros((len(times), len(INNER)))
            mean = (points[: -2 * k] + points[2 * k :]) / 2
            stray[k:-k] = np.linalg.norm(points[k:-k] - mean, axis=2)
            signal = contrast(top_third(stray), k)
            above = signal - threshold(signal, self.setting.threshold)
            for apex in peaks(above, k):
                if good[max(apex - k, 0) : apex + k + 1].all():
                    half = self.setting.half + self.setting.extend
                    at = float(times[apex])
                    found.append(Found(at - half, at, at + half))
        return found


class Mdmd(Rule):
    """Main directional maximal difference (Wang, Wu, Qian, Li & Fu, Neurocomputing 2017).

    Per block of landmarks the fullest quadrant of the displacement i-k -> i is the main direction;
    a landmark's score is |u(i-k, i)| - |u(i-k, i+k)|; the mean of the largest third of a block's
    scores, then of the blocks'. Contrast and threshold as in `Naive`. Runs above the threshold are
    the intervals.
    """

    name = "MDMD"

    def spot(self, times: Array, points: Array, good: Flags) -> list[Found]:
        found: list[Found] = []
        k = frames(self.setting.half, times)
        if len(times) > 4 * k:
            move = points[k:-k] - points[: -2 * k]
            gone = np.linalg.norm(points[2 * k :] - points[: -2 * k], axis=2)
            score = np.linalg.norm(move, axis=2) - gone
            quadrant = 2 * (move[..., 0] > 0) + (move[..., 1] > 0)
            blocks = np.zeros((len(times), len(BLOCKS)))
            for b, block in enumerate(BLOCKS):
                blocks[k:-k, b] = _main_direction(score[:, block], quadrant[:, block])
            signal = contrast(top_third(blocks), k)
            above = signal - threshold(signal, self.setting.threshold)
            found = runs(times, above, good, self.setting.extend)
        return found


class FlowRule(Rule):
    """The rule of He, "Research on micro-expression spotting method based on optical flow features"
    (ACM MM 2021), as refined by Zhao et al. (ACM MM 2022): OF-FD.

    Displacement of each region against the first frame of a segment of 6.7 s (hop 3.3 s), nose tip
    subtracted; 5 Hz low-pass; a peak stands 1.4/118 IOD above the segment's minimum and 1.8/118
    above its surroundings of +-1 s (mouth 1.85, nose 2.1), all times `threshold`; intervals reach
    down to a third of the peak or to the valley; regions that overlap by .34 of the shorter are
    one. Differences: the mode of the empirical mode decomposition is replaced by the rise over a
    centred mean of 1 s (above .8/118), and the shortest interval is `SHORTEST`.
    """

    name = "OF-FD"
    _REGIONS = (
        ((17,), 1.8), ((19,), 1.8), ((21,), 1.8), ((17, 18, 19, 20, 21), 1.8),
        ((22,), 1.8), ((24,), 1.8), ((26,), 1.8), ((22, 23, 24, 25, 26), 1.8),
        ((48,), 1.85), ((51,), 1.85), ((54,), 1.85), ((57,), 1.85), ((50, 52), 1.85),
        ((48, 50, 51, 52, 54, 56, 57, 58), 1.85), ((31,), 2.1), ((35,), 2.1),
    )  # fmt: skip

    def spot(self, times: Array, points: Array, good: Flags) -> list[Found]:
        found: list[Found] = []
        step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
        length, hop = max(round(6.7 / step), 8), max(round(3.35 / step), 4)
        points = points - points[:, 30:31]
        for first in range(0, max(len(times) - hop, 1), hop):
            inside = slice(first, min(first + length, len(times)))
            if inside.stop - inside.start < 2.0 / step:
                continue
            found += self._segment(times[inside], points[inside], good[inside], step)
        return _merged(found)

    def _segment(self, times: Array, points: Array, good: Flags, step: float) -> list[Found]:
        scale = self.setting.threshold / 118
        found: list[Found] = []
        second = max(round(1.0 / step), 2)
        for region, relief in self._REGIONS:
            size = np.linalg.norm(points[:, region] - points[:1, region], axis=2)
            size = np.sort(size, axis=1)[:, -max(1, round(0.3 * len(region))) :].mean(1)
            signal = low_pass(size, step, 5.0)
            rise = signal - centred_mean(signal, second // 2)
            for apex in peaks(signal - signal.min() - 1.4 * scale, max(round(0.1 / step), 1)):
                near = slice(max(apex - second, 0), apex + second + 1)
                local = signal[apex] - signal[near].min()
                if local < relief * scale or rise[apex] < 0.8 * scale:
                    continue
                foot = signal[near].min() + local / 3
                left, right = descend(signal, apex, foot)
                if good[left : right + 1].all():
                    grow = self.setting.extend
                    found.append(
                        Found(
                            float(times[left]) - grow,
                            float(times[apex]),
                            float(times[right]) + grow,
                        )
                    )
        return found


TUNED: dict[str, Setting] = {
    Naive.name: Setting(threshold=0.2, half=0.27, extend=-0.08),
    Mdmd.name: Setting(threshold=0.2, half=0.25, extend=0.13),
    FlowRule.name: Setting(threshold=2.5, half=0.0, extend=0.0),
}
"""Best F1 on the first ten of `TUNE_SEEDS` at .3 % IOD and 30 frames/s."""


def peers() -> list[Rule]:
    """The rules with their tuned settings."""
    return [Naive(TUNED[Naive.name]), Mdmd(TUNED[Mdmd.name]), FlowRule(TUNED[FlowRule.name])]


def _main_direction(score: Array, quadrant: NDArray[np.int64]) -> Array:
    """Mean of the largest third of the scores in the fullest quadrant, float64[N] of [N, P]."""
    counts = np.stack([(quadrant == q).sum(1) for q in range(4)], axis=1)
    main = quadrant == counts.argmax(1)[:, None]
    inside = np.sort(np.where(main, score, -np.inf), axis=1)[:, ::-1]
    take = np.maximum(1, np.round(main.sum(1) / 3)).astype(int)
    kept = np.arange(score.shape[1])[None] < take[:, None]
    return np.asarray(np.where(kept, inside, 0.0).sum(1) / take)


def _merged(found: list[Found]) -> list[Found]:
    """One for those that overlap by .34 of the shorter."""
    kept: list[Found] = []
    for item in sorted(found, key=lambda f: f.onset):
        for k, other in enumerate(kept):
            both = min(item.offset, other.offset) - max(item.onset, other.onset)
            shorter = min(item.offset - item.onset, other.offset - other.onset)
            if shorter > 0 and both / shorter > 0.34:
                kept[k] = Found(
                    min(item.onset, other.onset), other.apex, max(item.offset, other.offset)
                )
                break
        else:
            kept.append(item)
    return kept


def _short(found: list[Found]) -> list[Found]:
    return [f for f in found if SHORTEST <= f.offset - f.onset <= LONGEST + 1e-9]
