"""Per-frame results as CSV with the column names of OpenFace 2 (its wiki, Output Format). Personal
data: for files only.

What is not estimated here has no column: gaze, positions in millimetres, three-dimensional
landmarks, presence of units (`_c`). `AUxx_r` is our intensity times five, OpenFace's scale; some
units are others than OpenFace's. `pose_Rx`, `_Ry` and `_Rz` are radians about axes to the right,
down and away from the camera: positive looking down, turned to the person's own right, tilted
clockwise as seen.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from agent.base.types import ACTION_UNITS
from agent.desk.trace.output import write_whole
from agent.desk.trace.recorder import TraceRecorder

_POSE = ("pose_Rx", "pose_Ry", "pose_Rz")


def columns(*, landmarks: bool) -> list[str]:
    """Names, in order."""
    names = ["frame", "face_id", "timestamp", "confidence", "success", *_POSE]
    if landmarks:
        names += [f"{axis}_{n}" for axis in "xy" for n in range(68)]
    return names + [f"{unit}_r" for unit in ACTION_UNITS]


def write(recorder: TraceRecorder, path: Path, *, landmarks: bool = False) -> None:
    """Write a row per face and frame, atomically; frames count from 1. `landmarks`: with the 68
    points, by which a face can be recognised. Raises `StoreError`."""
    arrays = recorder.arrays()
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns(landmarks=landmarks))
    yaw, pitch, roll = np.radians(arrays["pose"]).T
    poses = np.stack([pitch, -yaw, roll], 1)
    for n in range(len(arrays["time"])):
        row = [
            str(arrays["frame"][n] + 1),
            str(arrays["track_id"][n]),
            f"{arrays['time'][n]:.4f}",
            f"{arrays['presence'][n]:.3f}",
            "1",
            *(f"{value:.4f}" for value in poses[n]),
        ]
        if landmarks:
            row += [f"{value:.3f}" for value in arrays["landmarks"][n].T.ravel()]
        units = 5 * arrays["action_units"][n]
        writer.writerow(row + ["" if np.isnan(value) else f"{value:.3f}" for value in units])
    write_whole(path, text.getvalue().encode(), "table of frames")
