"""Vision pipeline: one frame to tracked faces with pose, expression and micro-expression."""

from __future__ import annotations

import agent.kernels.compiler  # noqa: F401  (first: see there)

# isort: split
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import cv2

from agent.base.config import AgentConfig
from agent.base.types import (
    NOT_ANALYSED,
    Expression,
    Face,
    Frame,
    Infer,
    Landmarks,
    MicroExpression,
    MicroStatus,
    Perceived,
)
from agent.inference.manifest import Manifest, load_manifest, models_folder
from agent.inference.tflite import open_model
from agent.vision.exposure import FilmLevels
from agent.vision.expression.classifier import ExpressionClassifier, NeutralBaseline
from agent.vision.expression.speaking import SpeechFilter
from agent.vision.faces.detect import FaceDetector
from agent.vision.faces.follow import RESTING
from agent.vision.faces.landmarks import LandmarkEstimator
from agent.vision.faces.pose import Head, measure_head
from agent.vision.faces.probability import FilmJudge
from agent.vision.faces.readable import is_readable
from agent.vision.faces.roam import RoamingDetector
from agent.vision.faces.track import ExcludedZones, FaceTracker
from agent.vision.faces.track_state import Track
from agent.vision.micro.false_alarms import false_alarm_rate
from agent.vision.micro.network import SpotterNetwork
from agent.vision.micro.spotter import MicroSpotter

WEAK = 0.1
"""Detection score from which the landmark network is asked whether there is a face."""
_TOO_SLOW = MicroStatus(False, "fps_too_low", math.nan)
A = TypeVar("A")
B = TypeVar("B")
Clock = Callable[[], float]
"""Monotonic seconds."""


def timed(
    function: Callable[[A], B], seconds: dict[str, float], name: str, clock: Clock
) -> Callable[[A], B]:
    """`function`, with the duration of each call added to `seconds[name]`."""

    def call(argument: A) -> B:
        started = clock()
        result = function(argument)
        seconds[name] = seconds.get(name, 0.0) + clock() - started
        return result

    return call


class Models:
    """The verified models of one folder, loaded.

    Raises `ModelError` when a model is absent, altered or not as declared.
    """

    def __init__(
        self,
        config: AgentConfig,
        score_above: float | None = None,
        clock: Clock = time.perf_counter,
    ) -> None:
        """`score_above`: detection threshold where the configuration has none; None: `WEAK`."""
        self._clock = clock
        folder = models_folder(config.models)
        self.manifest: Manifest = load_manifest(folder, config.model_set)
        self.seconds: dict[str, float] = {}
        """Seconds of inference since last cleared, by `model.<name>`."""
        self.detector = FaceDetector(
            self._open("detector"),
            config.detection.score_above or score_above or WEAK,
            tiles=config.detection.tiles,
        )
        self.judge = FilmJudge.of(self.manifest.parameters("detector"))
        self.landmarks = LandmarkEstimator(self._open("landmarks"))
        self.presence_above = float(self.manifest.parameters("landmarks")["presence_above"])
        self.expression = ExpressionClassifier(
            self._open("expression"), self.manifest.parameters("expression")
        )

    def _open(self, name: str) -> Infer:
        return timed(open_model(self.manifest, name), self.seconds, f"model.{name}", self._clock)


@dataclass(slots=True)
class _ExpressionState:
    """Expression state per track."""

    steadied: SpeechFilter
    baseline: NeutralBaseline = field(default_factory=NeutralBaseline)
    latest: Expression | None = None
    next_run: float = 0.0
    """Time from which the classifier runs again, seconds."""


class Pipeline:
    """Perception of one source, frame by frame.

    Parameters
    ----------
    config : AgentConfig
    expressions : bool
        False where the policy forbids inferring expression: neither expression nor
        micro-expression is computed.
    limited : bool
        True on a live source: at most `tracking.budget` seconds of landmarks per frame.
    zones : ExcludedZones | None
        Staff zones of the policy in force. They are masked before any model runs on the frame,
        and faces centred in one are dropped.
    clock : Clock
        Measures the seconds per stage.
    """

    def __init__(
        self,
        config: AgentConfig,
        *,
        expressions: bool = True,
        limited: bool = False,
        zones: ExcludedZones | None = None,
        clock: Clock = time.perf_counter,
    ) -> None:
        """Raises `ModelError`; `ValueError` where `config` has staff zones and `zones` is None."""
        if zones is None and config.privacy.staff_zones:
            raise ValueError("The configuration has staff zones; the pipeline was given none.")
        # OpenCV's worker threads busy-wait between calls: 75 % more CPU time and no speed-up here.
        cv2.setNumThreads(1)
        self._config = config
        self._zones = zones or None
        self.models = Models(config, clock=clock)
        self._clock = clock
        looking = RoamingDetector(self.models.detector, config.detection.tiles)
        self._tracker = FaceTracker(
            timed(looking, self.models.seconds, "detect", clock),
            self.models.landmarks,
            config.detection,
            config.tracking,
            self.models.presence_above,
            config.tracking.budget if limited else None,
            self._zones,
            self.models.judge,
            looking.aim,
            RESTING,
        )
        self._levels = FilmLevels()
        self._infers_expression = expressions
        self._states: dict[int, _ExpressionState] = {}
        """By track id."""
        self._spotter: MicroSpotter | None = None
        if config.micro.enabled and expressions:
            network = SpotterNetwork.load(self.models.manifest.network("micro").read())
            self._spotter = MicroSpotter(config.micro, network)
        self._spotting = True
        self._attention_cosine = math.cos(math.radians(config.tracking.attention_cone))

    @property
    def model_hash(self) -> str:
        """16 hex digits over all models, as published."""
        return self.models.manifest.hash16

    def restrict(self, faces: int | None, *, spotting: bool) -> None:
        """Follow at most so many faces, None: as many as configured; without `spotting` look for no
        micro-expressions, as at a frame rate that is too low for them."""
        self._tracker.limit(faces)
        self._spotting = spotting
        if self._spotter is not None and not spotting:
            self._spotter.finish()

    @property
    def false_alarms_per_minute(self) -> float | None:
        """Of the micro-expression spotter, per analysable face-minute; None where not measured."""
        return false_alarm_rate(self._config.micro, self.models.manifest.weights)

    def __call__(self, frame: Frame, speech: float | None = None) -> Perceived:
        """Faces and micro-expressions of the next frame; times ascend.

        `speech`: probability in [0, 1] that somebody spoke in about the last 0.3 s; None where
        nobody listens. A mouth that speaks is no micro-expression, and no smile.
        """
        seconds = self.models.seconds
        seconds.clear()
        started = self._clock()
        shown = frame if self._zones is None else self._zones.mask(frame)
        frame = self._levels(frame, shown, self._tracker.in_view)
        tracks = self._tracker.update(frame)
        heads = [measure_head(track.points) for track in tracks]
        readable = [
            is_readable(track.clear and not self._levels.guessed, head.pose.roll)
            for track, head in zip(tracks, heads, strict=True)
        ]
        tracked = self._clock()
        events: list[MicroExpression] = []
        micro: dict[int, MicroStatus] = {}
        if self._spotter is not None and not self._spotting:
            micro = {track.track_id: _TOO_SLOW for track in tracks}
        elif self._spotter is not None:
            updated = [
                (track.track_id, track.points, track.continuity if clear else 0.0)
                for track, clear in zip(tracks, readable, strict=True)
                if track.updated
            ]
            events, micro = self._spotter.update(frame.time, updated, speech)
        spotted = self._clock()
        faces = [
            self._face(track, head, clear, frame, micro.get(track.track_id, NOT_ANALYSED), speech)
            for track, head, clear in zip(tracks, heads, readable, strict=True)
        ]
        if len(self._states) > 2 * len(tracks) + 8:
            active = {track.track_id for track in tracks}
            self._states = {k: v for k, v in self._states.items() if k in active}
        ended = self._clock()
        detection = seconds.pop("detect", 0.0)
        stages = {
            "detect": detection,
            "track": tracked - started - detection,
            "expression": ended - spotted,
            "micro": spotted - tracked,
        }
        stages.update(seconds)
        height, width = frame.luma.shape
        return Perceived(
            frame.time,
            tuple(faces),
            tuple(events),
            self._tracker.skipped,
            (width, height),
            stages,
            speech,
            self._levels.dark,
        )

    def finish(self) -> tuple[MicroExpression, ...]:
        """Micro-expressions still pending at the end of the source."""
        return tuple(self._spotter.finish()) if self._spotter is not None else ()

    def _face(
        self,
        track: Track,
        head: Head,
        readable: bool,
        frame: Frame,
        micro: MicroStatus,
        speech: float | None,
    ) -> Face:
        estimate = track.estimate
        expression, is_new = (
            self._expression(track, head, frame, speech) if readable else (None, False)
        )
        return Face(
            track.track_id,
            head.box,
            track.score,
            Landmarks(head.points, estimate.presence),
            estimate.points,
            head.pose,
            track.clear and head.facing >= self._attention_cosine,
            expression,
            is_new,
            micro,
        )

    def _expression(
        self, track: Track, head: Head, frame: Frame, speech: float | None
    ) -> tuple[Expression | None, bool]:
        """Latest expression of this face, and whether it was computed in this frame."""
        if not self._infers_expression:
            return None, False
        state = self._states.get(track.track_id)
        if state is None:
            steadied = SpeechFilter(self.models.expression.judge)
            state = self._states[track.track_id] = _ExpressionState(steadied)
        params = self._config.expression
        # Half a millisecond of tolerance: rounded frame times would otherwise skip a frame.
        if (
            frame.time < state.next_run - 5e-4
            or not track.updated
            or head.interocular < params.min_face
        ):
            return state.latest, False
        state.next_run = frame.time + params.interval
        read = state.baseline.subtract(self.models.expression(frame.luma, head.points))
        shown = state.steadied(read, frame.time, speech)
        state.latest = replace(shown, visible=read.visible)
        return state.latest, True
