"""On-line micro-expression spotting per face, in bounded memory and time.

Landmarks -> channels without head motion -> resampling to 30 steps per second -> normalisation by
each channel's noise -> causal temporal network -> peak picking -> events. The network was trained
on synthetic tracks (tools/micro). Published methods reach F1 of 0.2 to 0.4 on real faces: an event
is an indication, not a finding about a person.
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
from agent.vision.micro.speech import Heard
from agent.vision.micro.stream import LONGEST_GAP, FaceStream

_MAX_INTERVALS = 31
"""Frame intervals whose median gives the frame rate."""
_CHECK_INTERVAL = 6
"""Frames between checks of whether a face is analysable."""
_MAX_AGE = 0.25
"""Seconds since the last valid landmarks beyond which a face is not analysable."""
_BRIDGED = 0.15
"""Seconds without valid landmarks (another face passes, a cut, blur) beyond which nothing is
reported that reaches into them."""
_MEDIAN = len(BROWS_AND_MOUTH) // 2


class _Face:
    """State of one face."""

    __slots__ = ("intervals", "network", "noise", "picker", "reason", "since_check", "stream")

    def __init__(
        self, network: SpotterNetwork, threshold: float, rejected: Counter[str], heard: Heard
    ) -> None:
        self.stream = FaceStream()
        self.network = NetworkState(network)
        self.picker = PeakPicker(threshold, rejected, heard)
        self.intervals: deque[float] = deque(maxlen=_MAX_INTERVALS)
        self.reason: str | None = "no_evidence"
        """Why it is not analysable; None where it is."""
        self.noise = math.nan
        """Median noise of brows and mouth at rest, inter-ocular distances; NaN until measured."""
        self.since_check = 0
        """Frames since `reason` was last updated."""


class MicroSpotter:
    """Onset, apex and offset of rapid facial movement.

    Parameters
    ----------
    params : MicroConfig
    network : SpotterNetwork
        The weights, `models/micro`.
    """

    latency = LATENCY + 0.08
    """Greatest delay from offset to emission, seconds, with frames or ticks every 0.08 s or more
    often."""

    def __init__(self, params: MicroConfig, network: SpotterNetwork) -> None:
        self._params = params
        self._network = network
        self._faces: dict[int, _Face] = {}
        self._heard = Heard()
        self.rejected: Counter[str] = Counter()
        """Other movements, by kind: macro, blink, speech, head_motion, tracking_jump."""

    def update(
        self,
        time: float,
        faces: Iterable[tuple[int, Float, float]],
        speech: float | None = None,
    ) -> tuple[list[MicroExpression], dict[int, MicroStatus]]:
        """Add one frame's faces.

        Parameters
        ----------
        time : float
            Seconds, the source's clock. Frames not later than the previous one are ignored.
        faces : track id, float32[68, 2] and confidence
            Stabilised landmarks in frame pixels; continuity in [0, 1], see
            `agent.vision.faces.track.Track`. NaN and non-finite landmarks count as 0.
        speech : float | None
            Probability that somebody spoke in about the last 0.3 s; None where nobody listens.

        Returns
        -------
        list[MicroExpression]
            New events of all faces, by onset.
        dict[int, MicroStatus]
            By track id, for each of `faces`.
        """
        self._heard.add(time, speech)
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
        """Advance to `time` without a frame; return the events that become due."""
        found: list[MicroExpression] = []
        for track_id in list(self._faces):
            self._advance(track_id, time, found)
        return found

    def finish(self) -> list[MicroExpression]:
        """End of the stream: return the pending events."""
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
        """Add one face of a frame; return why it is not analysable, else None."""
        face = self._faces.get(track_id)
        if face is not None and abs(time - face.stream.last) > LONGEST_GAP:
            found += face.picker.pop_due(track_id, math.inf, time)
            face = None
        if face is None:
            face = self._faces[track_id] = _Face(
                self._network, self._params.threshold, self.rejected, self._heard
            )
        stream = face.stream
        previous = stream.last
        continued = stream.started and time > previous
        count = stream.push(time, points, confidence)
        if count >= 0 and continued:
            face.intervals.append(time - previous)
            if time - previous > _BRIDGED:
                face.picker.miss(previous, time)
        face.since_check += 1
        if face.since_check >= _CHECK_INTERVAL or face.reason == "no_evidence":
            if stream.noise_known:
                face.noise = float(np.sort(stream.noise[BROWS_AND_MOUTH])[_MEDIAN])
            face.reason, face.since_check = self._reason(face), 0
        if count < 0:
            self._advance(track_id, time, found)
            return "no_evidence" if time - stream.last > _MAX_AGE else face.reason
        self._run(track_id, face, count, time, found)
        found += face.picker.pop_due(track_id, time, time)
        return face.reason

    def _advance(self, track_id: int, time: float, found: list[MicroExpression]) -> None:
        """Advance a face that is not in this frame, or drop it after a long gap."""
        face = self._faces[track_id]
        if not face.stream.started or time - face.stream.last > LONGEST_GAP:
            found += face.picker.pop_due(track_id, math.inf, time)
            del self._faces[track_id]
            return
        if time - face.stream.last > _BRIDGED:
            face.picker.miss(face.stream.last, math.inf)
        self._run(track_id, face, face.stream.tick(time), time, found)
        found += face.picker.pop_due(track_id, time, time)

    def _run(
        self, track_id: int, face: _Face, count: int, now: float, found: list[MicroExpression]
    ) -> None:
        """Run the network on the `count` completed steps, emitting events due before each."""
        stream = face.stream
        for k in range(count):
            found += face.picker.pop_due(track_id, stream.completed_at.item(k), now)
            inputs = stream.inputs[k]
            outputs = face.network.step(inputs)
            face.picker.step(
                stream.times.item(k), outputs, face.reason is None, stream.turn(k), inputs
            )

    def _reason(self, face: _Face) -> str | None:
        stream = face.stream
        if stream.started and stream.scale < self._params.min_face:
            return "face_too_small"
        if len(face.intervals) < _MAX_INTERVALS // 2:
            return "no_evidence"
        # half a frame of tolerance: nominal 25 frames/s may be 24.9
        if 1.0 / sorted(face.intervals)[len(face.intervals) // 2] < self._params.min_fps - 0.5:
            return "fps_too_low"
        if not stream.noise_known:
            return "no_evidence"
        return "too_noisy" if face.noise > self._params.max_noise else None
