"""One frame in, everything it shows out: faces, pose, expression, micro-expression."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from agent.base.config import AgentConfig, Polygon
from agent.base.types import (
    Detections,
    Expression,
    Face,
    Float,
    Frame,
    Grey,
    Infer,
    Landmarks,
    MicroExpression,
    Perceived,
    Pose,
)
from agent.privacy.zones import StaffZones, centres
from agent.vision.expression.classifier import ExpressionClassifier, NeutralBaseline
from agent.vision.faces.detect import FaceDetector
from agent.vision.faces.landmarks import LandmarkEstimator
from agent.vision.faces.pose import head_of
from agent.vision.faces.track import FaceTracker, Track
from agent.vision.inference.manifest import Manifest, load_manifest, models_folder
from agent.vision.inference.tflite import open_model
from agent.vision.micro.false_alarms import false_alarm_rate
from agent.vision.micro.network import SpotterNetwork
from agent.vision.micro.spotter import MicroSpotter


@dataclass(slots=True)
class _Reading:
    """What is remembered of one track's expression."""

    baseline: NeutralBaseline = field(default_factory=NeutralBaseline)
    answer: Expression | None = None
    due: float = 0.0


Clock = Callable[[], float]
"""Seconds since some moment."""


class Clocked:
    """An `Infer` that adds the seconds it took to a shared account."""

    def __init__(self, infer: Infer, account: dict[str, float], name: str, clock: Clock) -> None:
        self._infer = infer
        self._account = account
        self._name = name
        self._clock = clock

    def __call__(self, picture: Grey) -> Mapping[str, Float]:
        started = self._clock()
        answer = self._infer(picture)
        account, name = self._account, self._name
        account[name] = account.get(name, 0.0) + self._clock() - started
        return answer


class Models:
    """The verified models of one folder, ready to use.

    Raises `ModelError` when a model is absent, altered or not as declared.
    """

    def __init__(
        self,
        config: AgentConfig,
        score_above: float | None = None,
        clock: Clock = time.perf_counter,
    ) -> None:
        """`score_above`: the detector's threshold where neither configuration nor card decides."""
        self._clock = clock
        folder = models_folder(config.models)
        self.manifest: Manifest = load_manifest(folder, config.model_set)
        self.seconds: dict[str, float] = {}
        """Seconds spent inside the runtime since last cleared, by `model.<name>`."""
        self.detect = FaceDetector(
            self._open("detector"),
            config.detection.score_above
            or score_above
            or float(self.manifest.parameters("detector")["score_above"]),
        )
        self.place = LandmarkEstimator(self._open("landmarks"))
        self.presence_above = float(self.manifest.parameters("landmarks")["presence_above"])
        self.read = ExpressionClassifier(
            self._open("expression"), self.manifest.parameters("expression")
        )

    def _open(self, name: str) -> Infer:
        return Clocked(open_model(self.manifest, name), self.seconds, f"model.{name}", self._clock)


class Pipeline:
    """Perceives one source's frames, in order.

    Parameters
    ----------
    config : AgentConfig
    expressions : bool
        False where the policy forbids reading expression: neither expression nor micro-expression
        is computed.
    limited : bool
        True on a live source: at most `tracking.budget` seconds of landmarks per frame.
    zones : Sequence[Polygon] | None
        Staff zones of the policy in force; None: those of `config` alone. What is in them is
        painted over before any model looks, and a face that is centred in one is dropped.
    clock : Clock
        For the seconds per stage.
    """

    def __init__(
        self,
        config: AgentConfig,
        *,
        expressions: bool = True,
        limited: bool = False,
        zones: Sequence[Polygon] | None = None,
        clock: Clock = time.perf_counter,
    ) -> None:
        """Raises `ModelError`; `ConfigError` for a zone that is no polygon."""
        # OpenCV's workers spin between calls: 75 % more CPU time for nothing at these sizes.
        cv2.setNumThreads(1)
        self._config = config
        self._zones = StaffZones(config.privacy.staff_zones if zones is None else zones)
        self.models = Models(config, clock=clock)
        self._clock = clock
        self._tracker = FaceTracker(
            self._detect,
            self.models.place,
            config.detection,
            config.tracking,
            self.models.presence_above,
            config.tracking.budget if limited else None,
        )
        self._expressions = expressions
        self._readings: dict[int, _Reading] = {}
        self._spotter: MicroSpotter | None = None
        if config.micro.enabled and expressions:
            network = SpotterNetwork.load(self.models.manifest.network("micro").read())
            self._spotter = MicroSpotter(config.micro, network)
        self._detecting = 0.0
        self._cone = math.cos(math.radians(config.tracking.attention_cone))
        self._least_read = config.expression.min_face

    @property
    def model_hash(self) -> str:
        """16 hex digits over all models, as published."""
        return self.models.manifest.hash16

    @property
    def false_alarms_per_minute(self) -> float | None:
        """Of the micro-expression spotter, per analysable face-minute; None where not known."""
        return false_alarm_rate(self._config.micro, self.models.manifest.weights)

    def __call__(self, frame: Frame) -> Perceived:
        """What one frame shows. Frames come in order of time."""
        self.models.seconds.clear()
        self._detecting = 0.0
        started = self._clock()
        frame = self._zones.cover(frame)
        tracks = self._outside(self._tracker.update(frame))
        tracked = self._clock()
        faces = tuple([self._face(track, frame) for track in tracks])
        if len(self._readings) > 2 * len(tracks) + 8:
            known = {track.track_id for track in tracks}
            self._readings = {k: v for k, v in self._readings.items() if k in known}
        read = self._clock()
        micro: tuple[MicroExpression, ...] = ()
        refused: str | None = "no_evidence"
        analysed: tuple[int, ...] = ()
        reasons: dict[int, str] = {}
        noise: dict[int, float] = {}
        if self._spotter is not None:
            fresh = [(t.track_id, t.points, t.continuity) for t in tracks if t.fresh]
            micro = tuple(self._spotter.update(frame.time, fresh))
            refused, analysed = self._spotter.refused, self._spotter.analysed
            reasons = self._spotter.reasons
            noise = {track_id: self._spotter.noise(track_id) for track_id, _, _ in fresh}
        ended = self._clock()
        stages = {
            "detect": self._detecting,
            "track": tracked - started - self._detecting,
            "expression": read - tracked,
            "micro": ended - read,
        }
        stages.update(self.models.seconds)
        return Perceived(
            frame.time,
            faces,
            micro,
            refused,
            self._tracker.skipped,
            stages,
            analysed,
            reasons,
            noise,
        )

    def finish(self) -> tuple[MicroExpression, ...]:
        """The source has ended: movements that were still held back."""
        return tuple(self._spotter.finish()) if self._spotter is not None else ()

    def _outside(self, tracks: list[Track]) -> list[Track]:
        """Those that are not in a staff zone; the others end."""
        if not self._zones or not tracks:
            return tracks
        inside = self._zones.hold(centres(np.array([track.box for track in tracks])))
        for track, ends in zip(tracks, inside, strict=True):
            if ends:
                self._tracker.end(track)
        return [track for track, ends in zip(tracks, inside, strict=True) if not ends]

    def _detect(self, frame: Frame) -> Detections:
        started = self._clock()
        found = self.models.detect(frame, tiles_for(frame, self._config.detection.tiles))
        found = self._zones.keep(found)
        self._detecting += self._clock() - started
        return found

    def _face(self, track: Track, frame: Frame) -> Face:
        box = np.empty(4, np.float32)
        yaw, pitch, roll, facing, size = head_of(track.points, box)
        answer, is_new = self._expression(track, frame, size)
        return Face(
            track.track_id,
            box,
            track.score,
            Landmarks(track.points, track.placed.presence),
            track.placed.points,
            Pose(yaw, pitch, roll),
            facing >= self._cone,
            answer,
            is_new,
        )

    def _expression(
        self, track: Track, frame: Frame, size: float
    ) -> tuple[Expression | None, bool]:
        """The newest answer for this face of `size` pixels between the eyes; whether it is new."""
        if not self._expressions:
            return None, False
        reading = self._readings.get(track.track_id)
        if reading is None:
            reading = self._readings[track.track_id] = _Reading()
        # Half a millisecond of slack, or the rounding of frame times would skip a frame.
        if frame.time < reading.due - 5e-4 or not track.fresh or size < self._least_read:
            return reading.answer, False
        reading.due = frame.time + self._config.expression.interval
        reading.answer = reading.baseline.subtract(self.models.read(frame.luma, track.points))
        return reading.answer, True


def tiles_for(frame: Frame, asked: int | None) -> int:
    """How many tiles across the detector shall look at, 0 for the whole picture only."""
    if asked is not None:
        return asked
    height, width = frame.luma.shape
    shrunk = max(width / 320, height / 256)
    return 0 if shrunk <= 2.5 else min(int(-(-shrunk // 2)), 4)
