"""MediaPipe as a subject: `python -m tools.bench.pipeline.peer`, by an interpreter that has it.

Run as its makers intend: video mode, one face, tracking on, pictures in RGB, its own threads. With
a task file: FaceLandmarker with blendshapes. Without: Face Mesh of the `solutions` interface.
"""

from __future__ import annotations

import platform
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mediapipe
import numpy as np
from numpy.typing import NDArray

from tools.bench.pipeline.worker import Subject, serve

NOTHING: Mapping[str, float] = {}


class FaceMesh:
    """RGB uint8[H, W, 3] in; 468 points."""

    def __init__(self) -> None:
        self._mesh = mediapipe.solutions.face_mesh.FaceMesh(
            static_image_mode=False, max_num_faces=1, refine_landmarks=False
        )

    def __call__(
        self, picture: NDArray[np.uint8], seconds: float
    ) -> tuple[int, Mapping[str, float]]:
        found = self._mesh.process(picture).multi_face_landmarks
        return len(found or ()), NOTHING


class FaceLandmarker:
    """RGB uint8[H, W, 3] in; 478 points and 52 blendshapes."""

    def __init__(self, task: bytes) -> None:
        vision = mediapipe.tasks.vision
        self._landmarker = vision.FaceLandmarker.create_from_options(
            vision.FaceLandmarkerOptions(
                base_options=mediapipe.tasks.BaseOptions(model_asset_buffer=task),
                running_mode=vision.RunningMode.VIDEO,
                num_faces=1,
                output_face_blendshapes=True,
            )
        )

    def __call__(
        self, picture: NDArray[np.uint8], seconds: float
    ) -> tuple[int, Mapping[str, float]]:
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture)
        found = self._landmarker.detect_for_video(image, round(seconds * 1000))
        return len(found.face_landmarks), NOTHING


def assemble(folder: Path) -> bytes:
    """A task bundle from the three networks as single files.

    The bundle is a ZIP archive, stored, with the names that the task looks for. The detector's file
    from the older `solutions` carries no metadata; the task needs to be told how its input is
    normalised ((RGB - 127.5) / 127.5), and MediaPipe's own writer adds that.
    """
    from mediapipe.tasks.python.metadata.metadata_writers import metadata_writer

    writer = metadata_writer.MetadataWriter.create(
        bytearray((folder / "face_detection_short_range.tflite").read_bytes())
    )
    writer.add_image_input([127.5], [127.5])
    detector, _ = writer.populate()
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as bundle:
            bundle.writestr("face_detector.tflite", bytes(detector))
            for name in ("face_landmarks_detector.tflite", "face_blendshapes.tflite"):
                bundle.writestr(name, (folder / name).read_bytes())
        file.seek(0)
        return file.read()


def make(options: dict[str, Any]) -> tuple[Subject, dict[str, Any]]:
    """The subject that the options allow."""
    version = f"mediapipe {mediapipe.__version__}, Python {platform.python_version()}"
    if options.get("task"):
        task: bytes | None = Path(options["task"]).read_bytes()
    elif options.get("networks"):
        task = assemble(Path(options["networks"]))
    else:
        task = None
    if task is not None:
        return FaceLandmarker(task), {"what": f"FaceLandmarker with blendshapes, {version}"}
    if not hasattr(mediapipe, "solutions"):
        raise RuntimeError(
            f"mediapipe {mediapipe.__version__} has no Face Mesh any more and needs a task file "
            "(--peer-model FILE.task); 0.10.21 has it"
        )
    return FaceMesh(), {"what": f"Face Mesh, {version}"}


if __name__ == "__main__":
    serve(make)
