"""Which tracks are borne out by detections, and which lie on a person whose face is another one.

A print on a shirt, a hand, the same face found twice: such a track is followed and not reported
until detections bear it out.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.vision.faces.track_state import Track, intersection_over_smaller

_PROOF_LOOKS = 4
"""Detections after which a doubtful track may be borne out."""
_PROOF_SHARE = 2 / 3
"""Share of detections that must have found it. Prints on shirts, folds and hands were found by a
quarter to a half (six clips of people signing), faces by nearly all."""
_PROOF_PRESENCE = 0.985
"""Mean presence over `_PRESENCE_LOOKS` detections that bears out a face too small to be found by so
many; that of the others was .6 to .95."""
_PRESENCE_LOOKS = 8
_BODY_WIDTH = 0.9
"""How far beside the middle of a face its body reaches, heights of the face's box, and from where
to where below it."""
_BODY_TOP = 0.5
_BODY_BOTTOM = 3.0
_ON_FACE = 0.15
"""Intersection over the smaller box from which a track lies on a face."""


def doubt(active: Sequence[Track]) -> None:
    """Set `proven` and `doubtful` of the tracks in view."""
    for track in active:
        found = track.looks >= _PROOF_LOOKS and track.hits >= _PROOF_SHARE * track.looks
        clear = track.looks >= _PRESENCE_LOOKS and track.presence >= _PROOF_PRESENCE
        track.proven = track.proven or found or clear
    for track in active:
        track.doubtful = not track.proven and any(
            other is not track and not other.doubtful and _belongs(track, other) for other in active
        )


def _belongs(track: Track, other: Track) -> bool:
    """Whether an unproven track lies on the person whose face the other is: a proven one, or one
    that is older or of more presence."""
    rank, others = ((t.first, -t.presence, t.track_id) for t in (track, other))
    if others > rank and not other.proven:
        return False
    if intersection_over_smaller(track.box, other.box) > _ON_FACE:
        return True
    x0, y0, x1, y1 = other.box.tolist()
    left, top, right, bottom = track.box.tolist()
    height = max(y1 - y0, 1.0)
    across = abs(left + right - x0 - x1) / (2 * height)
    down = (top + bottom - y0 - y1) / (2 * height)
    return across < _BODY_WIDTH and _BODY_TOP < down < _BODY_BOTTOM
