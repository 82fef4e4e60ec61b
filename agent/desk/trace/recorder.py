"""Per-frame results of a video file as arrays, for validation. Personal data: of files only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import ACTION_UNITS, EXPRESSIONS, Face, MicroExpression, Perceived
from agent.desk.trace.output import write_whole

MICRO_COLUMNS = ("track_id", "onset", "apex", "offset", "intensity", "score", "emitted")


def event_record(event: MicroExpression) -> dict[str, Any]:
    """One micro-expression as it is printed: seconds of the file, intensity in inter-ocular
    distances."""
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


class TraceRecorder:
    """Collects one row per face and frame; rows of one frame share its time."""

    def __init__(self) -> None:
        self._frames: list[float] = []
        self._rows: list[tuple[Any, ...]] = []
        self._refused: list[str] = []
        self._micro: list[MicroExpression] = []

    def add(self, perceived: Perceived) -> None:
        """Record one frame."""
        self._frames.append(perceived.time)
        self._refused.append(_why_none_analysed(perceived.faces))
        for face in perceived.faces:
            answer = face.expression
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
                    answer.probabilities if answer else np.full(8, np.nan),
                    answer.unsure if answer else True,
                    (answer.valence, answer.arousal) if answer else (np.nan, np.nan),
                    answer.action_units if answer else np.full(len(ACTION_UNITS), np.nan),
                    face.micro.analysed,
                    face.micro.noise,
                )
            )
        self._micro += perceived.micro

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The trace; T rows (faces x frames), F frames, M movements.

        `time` float64[T] seconds; `frame` int32[T] index into `frame_time` float64[F];
        `track_id` int32[T]; `box` float32[T, 4] xyxy; `landmarks` and `landmarks_raw`
        float32[T, 68, 2], pixels of the video, after and before stabilising; `presence`, `score`
        (landmark network's, detector's), float32[T]; `pose` float32[T, 3] yaw, pitch, roll in
        degrees; `attentive` bool[T]; `expression` float32[T, 8]; `unsure` bool[T];
        `valence`, `arousal` float32[T]; `action_units` float32[T, 12], NaN before the first answer;
        names in `expression_names` and `action_unit_names`.

        Micro-expressions in order of emission: `micro` float64[M, 7], its columns named in
        `micro_columns`: track, onset, apex, offset (seconds), intensity (peak displacement in
        inter-ocular distances), score in [0, 1], emitted (the seconds at which it was known);
        `micro_polarity` str[M] positive | negative | surprise | unspecified;
        `micro_action_units` str[M], strongest first, such as "AU01+AU02". `micro_analysable`
        bool[T]: one could be seen on this face in this frame; `micro_noise` float32[T]: what its
        brows and mouth show at rest, inter-ocular distances, NaN until that is known;
        `micro_refused` str[F]: why on no face, empty where it could.
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
        out.update(_micro_arrays(self._micro))
        out["micro_refused"] = np.array(self._refused, dtype="U16")
        out["expression_names"] = np.array(EXPRESSIONS)
        out["action_unit_names"] = np.array(ACTION_UNITS)
        return out

    def write(self, path: Path) -> None:
        """Write the trace as one `.npz`, whole or not at all. Raises `StoreError`."""
        arrays: dict[str, Any] = self.arrays()
        write_whole(path, lambda file: np.savez_compressed(file, **arrays), "trace")


def _why_none_analysed(faces: Sequence[Face]) -> str:
    """The first face's reason why no micro-expression could be seen; empty where one could."""
    if any(face.micro.analysed for face in faces):
        return ""
    return next((face.micro.reason for face in faces if face.micro.reason), "no_evidence")


def _micro_arrays(events: list[MicroExpression]) -> dict[str, NDArray[Any]]:
    rows = [[float(getattr(event, name)) for name in MICRO_COLUMNS] for event in events]
    return {
        "micro": np.array(rows, np.float64).reshape(-1, len(MICRO_COLUMNS)),
        "micro_columns": np.array(MICRO_COLUMNS),
        "micro_polarity": np.array([event.polarity for event in events], dtype="U16"),
        "micro_action_units": np.array(["+".join(e.action_units) for e in events], dtype="U96"),
    }
