"""Per-frame results of a video file as arrays, for validation. Personal data: for files only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import (
    ACTION_UNITS,
    CHANNELS,
    EXPRESSIONS,
    SENTIMENTS,
    TONES,
    Face,
    Fused,
    MicroExpression,
    Perceived,
    Tone,
    Words,
)
from agent.desk.trace.output import write_whole

MICRO_COLUMNS = ("track_id", "onset", "apex", "offset", "intensity", "score", "emitted")


def event_record(event: MicroExpression) -> dict[str, Any]:
    """One micro-expression as JSON: seconds of the file, intensity in inter-ocular distances."""
    return {
        "onset": round(event.onset, 4),
        "apex": round(event.apex, 4),
        "offset": round(event.offset, 4),
        "emitted": round(event.emitted, 4),
        "score": round(event.score, 4),
        "intensity": round(event.intensity, 5),
        "action_units": list(event.action_units),
        "polarity": event.polarity,
    }


def reading_record(reading: Tone | Words | Fused) -> dict[str, Any]:
    """One reading of a voice, of words or of all channels as JSON; seconds of the file."""
    classes = TONES if isinstance(reading, Tone) else SENTIMENTS
    kind = {Tone: "tone", Words: "words", Fused: "fused"}[type(reading)]
    record: dict[str, Any] = {
        "event": kind,
        "track": reading.track_id,
        "time": round(reading.time, 3),
        kind: reading.label,
        "probabilities": {
            name: round(float(p), 4) for name, p in zip(classes, reading.probabilities, strict=True)
        },
    }
    if isinstance(reading, Tone):
        record |= {
            "seconds": round(reading.seconds, 2),
            "arousal": round(reading.arousal, 3),
            "valence": round(reading.valence, 3),
        }
    if isinstance(reading, Fused):
        record["channels"] = sorted(reading.channels)
    return record


class TraceRecorder:
    """Collects one row per face and frame; rows of one frame share its time. Beside them what was
    heard and read."""

    def __init__(self) -> None:
        self.tones: list[Tone] = []
        self.words: list[Words] = []
        self.fused: list[Fused] = []
        self.activity: list[tuple[float, float]] = []
        """Time, and probability of speech."""
        self._frames: list[float] = []
        self._rows: list[tuple[Any, ...]] = []
        self._refusals: list[str] = []
        self.micro: list[MicroExpression] = []

    def add(self, perceived: Perceived) -> None:
        """Record one frame."""
        self._frames.append(perceived.time)
        self._refusals.append(_refusal(perceived.faces))
        if perceived.speech is not None:
            self.add_activity(perceived.time, perceived.speech)
        for face in perceived.faces:
            expression = face.expression
            self._rows.append(
                (
                    perceived.time,
                    len(self._frames) - 1,
                    face.track_id,
                    face.box,
                    face.landmarks.points,
                    face.raw_points,
                    face.landmarks.presence,
                    face.score,
                    (face.pose.yaw, face.pose.pitch, face.pose.roll),
                    face.attentive,
                    expression.probabilities if expression else np.full(8, np.nan),
                    expression.unsure if expression else True,
                    (expression.valence, expression.arousal) if expression else (np.nan, np.nan),
                    expression.action_units if expression else np.full(len(ACTION_UNITS), np.nan),
                    face.micro.analysed,
                    face.micro.noise,
                )
            )
        self.micro += perceived.micro

    def add_reading(self, reading: Tone | Words | Fused) -> None:
        if isinstance(reading, Tone):
            self.add_tone(reading)
        elif isinstance(reading, Words):
            self.add_words(reading)
        else:
            self.add_fused(reading)

    def add_tone(self, tone: Tone) -> None:
        self.tones.append(tone)

    def add_words(self, words: Words) -> None:
        self.words.append(words)

    def add_fused(self, fused: Fused) -> None:
        self.fused.append(fused)

    def add_activity(self, time: float, probability: float) -> None:
        """Probability that somebody speaks at `time`; in order of time."""
        self.activity.append((time, probability))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The trace: T rows (faces x frames), F frames, M micro-expressions.

        `time` float64[T] seconds; `frame` int32[T] index into `frame_time` float64[F];
        `track_id` int32[T]; `box` float32[T, 4] xyxy; `landmarks` and `landmarks_raw`
        float32[T, 68, 2], pixels of the video, after and before stabilising; `presence`, `score`
        (landmark network's, detector's), float32[T]; `pose` float32[T, 3] yaw, pitch, roll in
        degrees; `attentive` bool[T]; `expression` float32[T, 8]; `unsure` bool[T];
        `valence`, `arousal` float32[T]; `action_units` float32[T, 12], NaN before the first result;
        names in `expression_names` and `action_unit_names`.

        Micro-expressions in order of emission: `micro` float64[M, 7], its columns named in
        `micro_columns`: track, onset, apex, offset (seconds), intensity (peak displacement in
        inter-ocular distances), score in [0, 1], emitted (seconds);
        `micro_polarity` str[M] positive | negative | surprise | unspecified;
        `micro_action_units` str[M], strongest first, such as "AU01+AU02". `micro_analysable`
        bool[T]: the face is analysable in this frame; `micro_noise` float32[T]: noise of brows and
        mouth at rest, inter-ocular distances, NaN until measured; `micro_refused` str[F]: why no
        face is analysable, empty where one is.

        What was heard and read, K of each: `tone` float64[K, 4] time, seconds of speech, arousal,
        valence; `tone_probabilities` float32[K, 4], `words_probabilities` and `fused_probabilities`
        float32[K, 3]; `words_time`, `fused_time` float64[K]; `tone_label`, `words_label`,
        `fused_label` str[K]; `tone_track`, `words_track`, `fused_track` int32[K], -1 the room's;
        `fused_channels` bool[K, 3], names in `channel_names`; `activity` float64[K, 2]: time and
        probability of speech.
        """
        shapes: tuple[tuple[str, Any, tuple[int, ...]], ...] = (
            ("time", np.float64, ()),
            ("frame", np.int32, ()),
            ("track_id", np.int32, ()),
            ("box", np.float32, (4,)),
            ("landmarks", np.float32, (68, 2)),
            ("landmarks_raw", np.float32, (68, 2)),
            ("presence", np.float32, ()),
            ("score", np.float32, ()),
            ("pose", np.float32, (3,)),
            ("attentive", np.bool_, ()),
            ("expression", np.float32, (8,)),
            ("unsure", np.bool_, ()),
            ("va", np.float32, (2,)),
            ("action_units", np.float32, (len(ACTION_UNITS),)),
            ("micro_analysable", np.bool_, ()),
            ("micro_noise", np.float32, ()),
        )
        out: dict[str, NDArray[Any]] = {}
        for column, (name, dtype, shape) in enumerate(shapes):
            values = [row[column] for row in self._rows]
            out[name] = np.array(values, dtype).reshape(len(values), *shape)
        va = out.pop("va")
        out["valence"], out["arousal"] = va[:, 0], va[:, 1]
        out["frame_time"] = np.array(self._frames, np.float64)
        out.update(_micro_arrays(self.micro))
        out.update(_heard_arrays(self))
        out["micro_refused"] = np.array(self._refusals, dtype="U16")
        out["expression_names"] = np.array(EXPRESSIONS)
        out["action_unit_names"] = np.array(ACTION_UNITS)
        return out

    def write(self, path: Path) -> None:
        """Write the trace as `.npz`, atomically. Raises `StoreError`."""
        arrays: dict[str, Any] = self.arrays()
        write_whole(path, lambda file: np.savez_compressed(file, **arrays), "trace")


def _refusal(faces: Sequence[Face]) -> str:
    """Why no face is analysable, for the first face; empty where one is."""
    if any(face.micro.analysed for face in faces):
        return ""
    return next((face.micro.reason for face in faces if face.micro.reason), "no_evidence")


def _heard_arrays(of: TraceRecorder) -> dict[str, NDArray[Any]]:
    tone = [[each.time, each.seconds, each.arousal, each.valence] for each in of.tones]
    out = {
        "tone": np.array(tone, np.float64).reshape(-1, 4),
        "words_time": np.array([each.time for each in of.words], np.float64),
        "fused_time": np.array([each.time for each in of.fused], np.float64),
        "fused_channels": np.array(
            [[name in each.channels for name in CHANNELS] for each in of.fused], bool
        ).reshape(-1, len(CHANNELS)),
        "activity": np.array(of.activity, np.float64).reshape(-1, 2),
        "tone_names": np.array(TONES),
        "sentiment_names": np.array(SENTIMENTS),
        "channel_names": np.array(CHANNELS),
    }
    kinds: dict[str, tuple[Sequence[Tone | Words | Fused], int]] = {
        "tone": (of.tones, len(TONES)),
        "words": (of.words, len(SENTIMENTS)),
        "fused": (of.fused, len(SENTIMENTS)),
    }
    for name, (readings, classes) in kinds.items():
        shares = [each.probabilities for each in readings]
        tracks = [-1 if each.track_id is None else each.track_id for each in readings]
        out[f"{name}_probabilities"] = np.array(shares, np.float32).reshape(-1, classes)
        out[f"{name}_label"] = np.array([each.label for each in readings], dtype="U16")
        out[f"{name}_track"] = np.array(tracks, np.int32)
    return out


def _micro_arrays(events: list[MicroExpression]) -> dict[str, NDArray[Any]]:
    rows = [[float(getattr(event, name)) for name in MICRO_COLUMNS] for event in events]
    return {
        "micro": np.array(rows, np.float64).reshape(-1, len(MICRO_COLUMNS)),
        "micro_columns": np.array(MICRO_COLUMNS),
        "micro_polarity": np.array([event.polarity for event in events], dtype="U16"),
        "micro_action_units": np.array(["+".join(e.action_units) for e in events], dtype="U96"),
    }
