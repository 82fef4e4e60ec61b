"""Spotting micro-expressions on-line, face by face, in bounded memory and time.

Landmarks -> channels with the head's movement taken out -> resampled to 30 steps per second ->
over each channel's own noise -> a causal temporal network -> peaks -> one report per movement.
The network was trained on synthetic tracks (tools/micro). On real faces published methods reach F1
of .2 to .4: what is reported is an indication, never a finding about a person.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable

import numpy as np

from agent.base.config import MicroConfig
from agent.base.types import Float, MicroExpression, MicroStatus
from agent.vision.micro.channels import BROWS_AND_MOUTH
from agent.vision.micro.network import NetworkState, SpotterNetwork
from agent.vision.micro.peaks import LATENCY, PeakPicker
from agent.vision.micro.stream import LONGEST_GAP, FaceStream

_INTERVALS = 31
"""Frame intervals of which the median gives the frame rate."""
_CHECK_EVERY = 6
"""Frames after which it is checked anew whether a face can be analysed."""
_STALE = 0.25
"""Seconds unseen after which a face does not count as analysed."""
_MEDIAN = len(BROWS_AND_MOUTH) // 2
"""The median noise of brows and mouth decides whether a face is too noisy."""


class _Face:
    """What is kept of one face."""

    __slots__ = ("checked", "intervals", "network", "noise", "picker", "reason", "stream")

    def __init__(self, network: SpotterNetwork, threshold: float, rejected: Counter[str]) -> None:
        self.stream = FaceStream()
        self.network = NetworkState(network)
        self.picker = PeakPicker(threshold, rejected)
        self.intervals: deque[float] = deque(maxlen=_INTERVALS)
        self.reason: str | None = "no_evidence"
        """Why it cannot be analysed."""
        self.noise = math.nan
        """Of brows and mouth at rest, inter-ocular distances; NaN while it is not known."""
        self.checked = 0
        """Frames since that was last checked."""


class MicroSpotter:
    """Onset, apex and offset of rapid facial movement.

    Parameters
    ----------
    params : MicroConfig
    network : SpotterNetwork
        The weights, `models/micro`.
    """

    latency = LATENCY + 0.08
    """Seconds after its offset at which a movement is known at the latest, where frames or ticks
    come at least every 0.08 s."""

    def __init__(self, params: MicroConfig, network: SpotterNetwork) -> None:
        self._params = params
        self._network = network
        self._faces: dict[int, _Face] = {}
        self.rejected: Counter[str] = Counter()
        """Movements refused, by kind: macro, blink, speech, head_motion, tracking_jump."""

    def update(
        self, time: float, faces: Iterable[tuple[int, Float, float]]
    ) -> tuple[list[MicroExpression], dict[int, MicroStatus]]:
        """Add one frame's faces.

        Parameters
        ----------
        time : float
            Seconds, the source's clock. A frame that is not newer than the one before is left out.
        faces : track id, float32[68, 2] and confidence
            Stabilised landmarks, frame pixels; in [0, 1], 0 where the landmarks do not continue
            those of the frame before. NaN, and landmarks that are not finite, count as 0.

        Returns
        -------
        list[MicroExpression]
            Movements that were just decided on, of any face, by onset.
        dict[int, MicroStatus]
            Of each of `faces` in this frame, by track id.
        """
        found: list[MicroExpression] = []
        statuses: dict[int, MicroStatus] = {}
        for track_id, points, confidence in faces:
            reason = self._add(track_id, time, points, confidence, found)
            face = self._faces.get(track_id)
            noise = math.nan if face is None else face.noise
            statuses[track_id] = MicroStatus(reason is None, reason, noise)
        if len(self._faces) > len(statuses):
            for track_id in [k for k in self._faces if k not in statuses]:
                self._advance(track_id, time, found)
        found.sort(key=lambda event: event.onset)
        return found, statuses

    def tick(self, time: float) -> list[MicroExpression]:
        """Time has passed without a frame; return what is due. A report does not wait for the
        next frame."""
        found: list[MicroExpression] = []
        for track_id in list(self._faces):
            self._advance(track_id, time, found)
        return found

    def finish(self) -> list[MicroExpression]:
        """The stream has ended: return what was not reported yet."""
        found: list[MicroExpression] = []
        for track_id, face in self._faces.items():
            found += face.picker.pop_due(track_id, math.inf, face.stream.last)
        self._faces.clear()
        return found

    def _add(
        self,
        track_id: int,
        time: float,
        points: Float,
        confidence: float,
        found: list[MicroExpression],
    ) -> str | None:
        """Add one face of a frame; return why it cannot be analysed."""
        face = self._faces.get(track_id)
        if face is not None and abs(time - face.stream.last) > LONGEST_GAP:
            found += face.picker.pop_due(track_id, math.inf, time)
            face = None
        if face is None:
            face = self._faces[track_id] = _Face(
                self._network, self._params.threshold, self.rejected
            )
        stream = face.stream
        before = stream.last
        continued = stream.started and time > before
        done = stream.push(time, points, confidence)
        if done >= 0 and continued:
            face.intervals.append(time - before)
        face.checked += 1
        if face.checked >= _CHECK_EVERY or face.reason == "no_evidence":
            if face.stream.noise_known:
                face.noise = float(np.sort(face.stream.noise[BROWS_AND_MOUTH])[_MEDIAN])
            face.reason, face.checked = self._reason(face), 0
        if done < 0:
            self._advance(track_id, time, found)
            return "no_evidence" if time - stream.last > _STALE else face.reason
        self._run(track_id, face, done, time, found)
        found += face.picker.pop_due(track_id, time, time)
        return face.reason

    def _advance(self, track_id: int, time: float, found: list[MicroExpression]) -> None:
        """Complete the steps of a face that this frame does not show, or forget it."""
        face = self._faces[track_id]
        if not face.stream.started or time - face.stream.last > LONGEST_GAP:
            found += face.picker.pop_due(track_id, math.inf, time)
            del self._faces[track_id]
            return
        self._run(track_id, face, face.stream.tick(time), time, found)
        found += face.picker.pop_due(track_id, time, time)

    def _run(
        self, track_id: int, face: _Face, done: int, now: float, found: list[MicroExpression]
    ) -> None:
        """Run the network on the steps just completed; report first what became due before each."""
        stream = face.stream
        for k in range(done):
            found += face.picker.pop_due(track_id, stream.completed_at.item(k), now)
            outputs = face.network.step(stream.inputs[k])
            face.picker.step(stream.times.item(k), outputs, counts=face.reason is None)

    def _reason(self, face: _Face) -> str | None:
        stream = face.stream
        if stream.started and stream.scale < self._params.min_face:
            return "face_too_small"
        if len(face.intervals) < _INTERVALS // 2:
            return "no_evidence"
        # Half a frame of tolerance: cameras name 25 and deliver 24.9.
        if 1.0 / sorted(face.intervals)[len(face.intervals) // 2] < self._params.min_fps - 0.5:
            return "fps_too_low"
        if not stream.noise_known:
            return "no_evidence"
        return "too_noisy" if face.noise > self._params.max_noise else None
