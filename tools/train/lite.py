"""Inspection of a `.tflite` file: tensors, delegation to XNNPACK, inference, latency, MACs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output as the file declares it."""

    tensor: str
    """Its name in the file."""
    index: int
    """Position in `get_input_details()` or `get_output_details()`."""
    shape: tuple[int, ...]
    dtype: str
    """`int8`, `uint8` or `float32`."""
    scale: float
    zero_point: int
    """1.0 and 0 for float32."""

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest value that the tensor can hold; float32 gives (-inf, inf)."""
        if self.dtype == "float32":
            return -np.inf, np.inf
        info = np.iinfo(self.dtype)
        return (
            (int(info.min) - self.zero_point) * self.scale,
            (int(info.max) - self.zero_point) * self.scale,
        )


def _tensor(detail: dict[str, Any], index: int) -> Tensor:
    scales = detail["quantization_parameters"]["scales"]
    points = detail["quantization_parameters"]["zero_points"]
    if len(scales) > 1:
        raise ValueError(f"{detail['name']}: an input or output must have one scale, not several.")
    return Tensor(
        tensor=str(detail["name"]),
        index=index,
        shape=tuple(int(n) for n in detail["shape"]),
        dtype=np.dtype(detail["dtype"]).name,
        scale=float(scales[0]) if len(scales) else 1.0,
        zero_point=int(points[0]) if len(points) else 0,
    )


class LiteModel:
    """One `.tflite` file on one thread. Outputs come in the order of the converted network's tuple.

    The signature of a converted network names its outputs output_0, output_1, ...; their order in
    `get_output_details()` may be another one.
    """

    def __init__(self, file: Path | bytes, threads: int = 1) -> None:
        content = file if isinstance(file, bytes) else file.read_bytes()
        self.content = content
        self._interpreter = Interpreter(model_content=content, num_threads=threads)
        self._interpreter.allocate_tensors()
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        self.input = _tensor(inputs[0], 0)
        self._input_index = int(inputs[0]["index"])
        runner = self._interpreter.get_signature_runner()
        by_name = runner.get_output_details()
        ordered = sorted(by_name, key=lambda name: int(name.rpartition("_")[2]))
        indices = [int(detail["index"]) for detail in outputs]
        places = [indices.index(int(by_name[name]["index"])) for name in ordered]
        self.outputs = [_tensor(outputs[place], place) for place in places]
        self._output_indices = [int(outputs[place]["index"]) for place in places]

    def __call__(self, picture: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """One grey uint8[H, W] picture in, dequantised outputs out."""
        if self.input.dtype == "int8":
            data: NDArray[Any] = (picture.astype(np.int16) - 128).astype(np.int8)
        else:
            data = picture.astype(np.float32) / 255.0
        self._interpreter.set_tensor(self._input_index, data.reshape(self.input.shape))
        self._interpreter.invoke()
        answers = []
        for tensor, index in zip(self.outputs, self._output_indices, strict=True):
            raw = self._interpreter.get_tensor(index).astype(np.float32)
            answers.append(((raw - tensor.zero_point) * tensor.scale).astype(np.float32))
        return answers

    def latency(self, runs: int = 300) -> dict[str, float]:
        """Milliseconds of one `invoke`: minimum and median of `runs`, after a warm-up."""
        for _ in range(20):
            self._interpreter.invoke()
        times = np.empty(runs)
        for i in range(runs):
            start = time.perf_counter()
            self._interpreter.invoke()
            times[i] = time.perf_counter() - start
        return {
            "min_ms": round(float(times.min()) * 1e3, 4),
            "median_ms": round(float(np.median(times)) * 1e3, 4),
        }


def _operations(content: bytes, delegate: bool) -> list[dict[str, Any]]:
    kind = OpResolverType.BUILTIN if delegate else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(
        model_content=content, num_threads=1, experimental_op_resolver_type=kind
    )
    interpreter.allocate_tensors()
    return list(interpreter._get_ops_details())


def operations(content: bytes) -> list[str]:
    """Names of the operations in the file, in order."""
    return [str(op["op_name"]) for op in _operations(content, delegate=False)]


def convolutions(content: bytes) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Kernels float32[O, I, H, W] and biases float32[O] of a file's convolutions, in its order.

    Read back from int8 with one scale per output channel; depthwise kernels have I = 1.
    """
    interpreter = Interpreter(model_content=content, num_threads=1)
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    layers = []
    for op in _operations(content, delegate=False):
        depthwise = op["op_name"] == "DEPTHWISE_CONV_2D"
        if not depthwise and op["op_name"] != "CONV_2D":
            continue
        kernel, bias = (_real(interpreter, details[index]) for index in op["inputs"][1:3])
        layers.append((kernel.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2)), bias))
    return layers


def _real(interpreter: Interpreter, detail: dict[str, Any]) -> NDArray[np.float32]:
    """A constant tensor with its scales applied."""
    value = interpreter.get_tensor(detail["index"])
    how = detail["quantization_parameters"]
    shape = np.ones(value.ndim, int)
    shape[how["quantized_dimension"]] = -1
    return np.asarray(value * how["scales"].reshape(shape), np.float32)


def undelegated(content: bytes) -> list[str]:
    """Operations that XNNPACK leaves to LiteRT's own kernels.

    LiteRT keeps replaced nodes in its list and adds one DELEGATE node per partition; a node belongs
    to a partition when it lies between that node's outputs and its inputs.
    """
    ops = _operations(content, delegate=True)
    plain = [op for op in ops if op["op_name"] != "DELEGATE"]
    producer = {int(t): i for i, op in enumerate(plain) for t in op["outputs"]}
    taken: set[int] = set()
    for partition in (op for op in ops if op["op_name"] == "DELEGATE"):
        stops = {int(t) for t in partition["inputs"]}
        pending = [int(t) for t in partition["outputs"]]
        while pending:
            tensor = pending.pop()
            node = producer.get(tensor)
            if node is None or node in taken or tensor in stops:
                continue
            taken.add(node)
            pending += [int(t) for t in plain[node]["inputs"]]
    return [str(op["op_name"]) for i, op in enumerate(plain) if i not in taken]


def delegated_share(content: bytes) -> float:
    """Share of the file's nodes that run inside XNNPACK, in [0, 1]."""
    return 1.0 - len(undelegated(content)) / max(len(operations(content)), 1)


def multiply_accumulates(content: bytes) -> int:
    """MACs of one inference: convolutions, depthwise convolutions and fully connected layers."""
    interpreter = Interpreter(
        model_content=content,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    shapes = {
        int(d["index"]): [int(n) for n in d["shape"]] for d in interpreter.get_tensor_details()
    }
    total = 0
    for op in interpreter._get_ops_details():
        if op["op_name"] not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            continue
        kernel, out = shapes[int(op["inputs"][1])], shapes[int(op["outputs"][0])]
        # kernels: [out, h, w, in], [1, h, w, out] and [out, in]
        per_output = int(np.prod(kernel[1:3] if op["op_name"].startswith("DEPTH") else kernel[1:]))
        total += int(np.prod(out)) * per_output
    return total
