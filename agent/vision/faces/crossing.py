"""Faces that pass one another: which one is behind, and where it will come out again.

A face that goes behind another leaves its landmarks with nothing to hold on to: they slip onto the
one in front and go away with it. So each face's motion is known from when it was in the clear, and
one that is overlapped and no longer looks like itself, or lies on another and is not where its own
motion leads, is lost until it shows again. Place, size and motion only: nobody is recognised.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from agent.vision.faces.motion import FURTHEST
from agent.vision.faces.probability import logit
from agent.vision.faces.track_state import Track

_MARGIN = 0.25
"""By which a head is larger than its box on each side, share of the box: hair, ears, a raised
shoulder."""
_OVERLAPPED = 0.1
"""Intersection over the smaller box from which landmarks of two faces disturb one another."""
_APPROACH = 0.25
"""Widths of the smaller face per second of relative motion above which heads that touch pass one
another; people who sit side by side do not."""
_NARROWER = 0.94
"""Share of its width to which a face shrinks when it slides behind another: it is no longer in the
clear then."""
_ON = 0.6
"""Intersection over the smaller box from which two tracks are one face, or one hides the other."""
_SLIPPED = 2.0
"""Logits by which presence falls below its mean while a face is covered by another."""
_ASTRAY = 0.3
"""Widths of a face from where its own motion leads, from which a track has left it."""
_ALONE = 0.1
"""Seconds between two samples of the motion of somebody who is alone in view."""


def pass_by(active: Sequence[Track], now: float) -> None:
    """Look at the tracks of a frame that were followed into it: those that touch another one get no
    `continuity`, those behind another are `lost`, the others' motion is learnt."""
    if len(active) == 1:
        if now - active[0].motion.time >= _ALONE:
            active[0].motion.follow(now, active[0].box)
        return
    boxes = [track.box for track in active]
    corners = [box.tolist() for box in boxes]
    near = [False] * len(active)
    heads = [_grown(box) for box in corners]
    order = sorted(range(len(active)), key=lambda index: heads[index][0])
    for place, i in enumerate(order):
        for j in order[place + 1 :]:
            if heads[j][0] >= heads[i][2]:
                break  # this one and those that follow begin further to the right
            beside = heads[j][1] >= heads[i][3] or heads[i][1] >= heads[j][3]
            # what is not reported may be no face: see `agent.vision.faces.doubt`
            if beside or not (_counts(active[i]) and _counts(active[j])):
                continue
            share = _share(corners[i], corners[j])
            if share > _OVERLAPPED or _meet(active[i], active[j]):
                near[i] = near[j] = True
            behind = _behind(active[i], active[j], share, now)
            if behind is not None:
                behind.lost = True
    for index, track in enumerate(active):
        if near[index]:
            track.continuity = 0.0
            narrower = corners[index][2] - corners[index][0] < _NARROWER * track.motion.size
            if now - track.motion.time <= FURTHEST and (narrower or not track.clear):
                continue
        if not track.lost and track.updated:
            track.motion.follow(now, boxes[index])


def _behind(one: Track, other: Track, share: float, now: float) -> Track | None:
    """Which of two tracks that touch has slipped off its face; None: neither. In a crowd that
    stands close together nobody is behind: one of them must be on its way."""
    strays = [track.motion.astray(now, track.box) for track in (one, other)]
    if max(strays) < _ASTRAY and not _meet(one, other):
        return None
    slips = [_slip(track) for track in (one, other)]
    if share > _ON:
        return one if (strays[0], slips[0]) > (strays[1], slips[1]) else other
    if max(slips) < _SLIPPED:
        return None
    return one if slips[0] > slips[1] else other


def _counts(track: Track) -> bool:
    return track.reported and not track.lost


def _slip(track: Track) -> float:
    """By how much less it looks like a face than before, logits."""
    return logit(track.presence) - logit(track.estimate.presence)


def _meet(one: Track, other: Track) -> bool:
    """Whether two faces move past one another."""
    (ax, ay), (bx, by) = one.motion.velocity, other.motion.velocity
    least = min(one.motion.size, other.motion.size)
    return math.hypot(ax - bx, ay - by) > _APPROACH * least


def _grown(box: Sequence[float]) -> tuple[float, float, float, float]:
    """The head that a box is of: larger by `_MARGIN` of its sides on each."""
    left, top, right, bottom = box
    across, down = _MARGIN * (right - left), _MARGIN * (bottom - top)
    return left - across, top - down, right + across, bottom + down


def _share(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over the smaller box."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0.0 or height <= 0.0:
        return 0.0
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return width * height / max(smaller, 1e-6)
