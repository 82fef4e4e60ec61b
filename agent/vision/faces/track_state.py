"""What is known of one face that is tracked."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.base.types import Float
from agent.vision.faces.landmarks import LandmarkEstimate, face_box
from agent.vision.faces.motion import Motion
from agent.vision.faces.stabilise import Stabiliser


@dataclass(slots=True, eq=False)
class Track:
    """One face across frames."""

    track_id: int
    estimate: LandmarkEstimate
    """Latest output of the landmark network; in the frames between two of them the older
    one, moved along with the head."""
    stabiliser: Stabiliser
    score: float
    """Of the latest matching detection."""
    first: float
    """Start of the track, seconds."""
    last_seen: float
    read: float
    """Time of the latest answer of the landmark network, seconds."""
    lost: bool = False
    missed: int = 0
    """Consecutive detections without a match."""
    looks: int = 1
    """Detections since its start."""
    hits: int = 1
    """Of these, those that found it."""
    presence: float = 1.0
    """Mean presence since its start."""
    frames: int = 0
    sure: bool = True
    """False while it is tentative: begun on a weak score, followed, not reported."""
    later_score: float = 0.0
    """Mean logit of the looks after the one that began it."""
    later_presence: float = 0.0
    """Mean logit of the presence in the frames after the first; while it is tentative."""
    proven: bool = False
    """Borne out by detections; holds for good."""
    doubtful: bool = False
    """On or below another face and not proven: not reported."""
    cut: bool = False
    """Its crop changed at once: the recording was cut, the face covered or moving fast."""
    updated: bool = True
    """Propagated in the current frame, not skipped by the budget."""
    clear: bool = field(init=False)
    """The landmarks of the network's latest answer are sure."""
    motion: Motion = field(init=False)
    """While it was in the clear."""
    continuity: float = 0.0
    """Confidence in [0, 1] that `points` continue those of the previous frame: presence times the
    share of points tracked by optical flow, allowing for blinks and speech. 0 in the first frame,
    on resumption, after a scene cut, gap, heavy blur or occlusion, and while another face passes:
    differences across such a frame are not facial movement."""

    def __post_init__(self) -> None:
        self.clear = self.estimate.is_sure
        self.motion = Motion(self.last_seen, self.box)

    @property
    def reported(self) -> bool:
        """Whether it is taken for a face of its own."""
        return self.sure and not self.doubtful

    @property
    def points(self) -> Float:
        """float32[68, 2], stabilised, frame pixels."""
        return self.stabiliser.points

    @property
    def box(self) -> Float:
        """float32[4], xyxy, frame pixels."""
        return face_box(self.points)


def intersection_over_smaller(a: Float, b: Float) -> float:
    """Intersection of two boxes float32[4] over the area of the smaller."""
    left, top, right, bottom = a.tolist()
    x0, y0, x1, y1 = b.tolist()
    shared = max(min(right, x1) - max(left, x0), 0.0) * max(min(bottom, y1) - max(top, y0), 0.0)
    smaller = min((right - left) * (bottom - top), (x1 - x0) * (y1 - y0))
    return float(shared / max(smaller, 1e-6))
