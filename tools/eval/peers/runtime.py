"""Opening peers' files, one thread each, and the sampling that MediaPipe's models expect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float, Grey
from agent.inference.tflite import _quiet as quiet
from tools.common.errors import ToolError


@dataclass(frozen=True, slots=True)
class Network:
    """A float32 input tensor in, all outputs in the file's order out."""

    shape: tuple[int, ...]
    """Of the input."""
    run: Callable[[Float], list[Float]]

    def __call__(self, tensor: Float) -> list[Float]:
        return self.run(tensor)


def missing_package(path: Path) -> str | None:
    """The package that running this file needs and that is not installed."""
    name = "onnxruntime" if path.suffix == ".onnx" else "ai_edge_litert"
    return None if find_spec(name) else name


def open_network(path: Path) -> Network:
    """An ONNX or TFLite file on one thread. Raises `ToolError` where file or package is missing."""
    if not path.is_file():
        raise ToolError(f"There is no {path}. Give the peers' folder with --peer-networks.")
    package = missing_package(path)
    if package:
        raise ToolError(
            f"{path.name} needs the package {package}, which is not installed: "
            f"pip install {package.replace('_', '-')}"
        )
    return _onnx(path) if path.suffix == ".onnx" else _lite(path)


def _onnx(path: Path) -> Network:
    import onnxruntime  # type: ignore[import-not-found,unused-ignore]  # only for peers

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    shape = tuple(int(n) for n in entry.shape)
    return Network(shape, lambda tensor: list(session.run(None, {entry.name: tensor})))


def _lite(path: Path) -> Network:
    from ai_edge_litert.interpreter import Interpreter

    with quiet():
        interpreter = Interpreter(model_content=path.read_bytes(), num_threads=1)
        interpreter.allocate_tensors()
    detail = interpreter.get_input_details()[0]
    entry, shape = int(detail["index"]), tuple(int(n) for n in detail["shape"])
    exits = [int(detail["index"]) for detail in interpreter.get_output_details()]

    def run(tensor: Float) -> list[Float]:
        interpreter.set_tensor(entry, tensor)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in exits]

    return Network(shape, run)


def corner_aligned(
    picture: Grey,
    centre: NDArray[Any],
    side: float,
    angle: float,
    size: int,
    border: int = cv2.BORDER_CONSTANT,
) -> tuple[Grey, Float]:
    """A turned square of a picture as MediaPipe's ImageToTensor samples it.

    Pixel i of the tensor is the bilinear value at `i * side / size` from the square's own corner:
    no half-pixel shift and no averaging when shrinking.

    Parameters
    ----------
    picture : uint8[H, W]
    centre : float[2]
        Of the square, picture pixels.
    side
        Of the square, picture pixels.
    angle
        Radians, clockwise as seen.
    size
        Of the tensor, pixels.
    border
        OpenCV's border mode: detectors get black, landmark networks the edge pixel again.

    Returns
    -------
    (uint8[size, size], float32[2, 3])
        The samples, and the matrix from tensor to picture pixels.
    """
    step = side / size
    c, s = np.cos(angle) * step, np.sin(angle) * step
    linear = np.array([[c, -s], [s, c]])
    matrix = np.concatenate([linear, (centre - linear @ [size / 2, size / 2])[:, None]], 1)
    sampled = cv2.warpAffine(
        picture,
        matrix,
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=border,
    )
    return np.asarray(sampled, np.uint8), matrix.astype(np.float32)


def three_channels(picture: Grey) -> Float:
    """Grey uint8[H, W] as float32[1, H, W, 3], 0 to 255."""
    return np.repeat(picture.astype(np.float32)[None, :, :, None], 3, 3)
