"""TFLite inference: verified model bytes to an `Infer` callable.

Uses `ai_edge_litert`, else `tflite_runtime` (Python 3.11 and NumPy below 2), and imports only
NumPy and the standard library besides, for both to work.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from agent.base.errors import ModelError, reason
from agent.base.types import Float, Grey
from agent.inference.manifest import Manifest, ModelEntry, TensorSpec

RUNTIMES = ("ai_edge_litert", "tflite_runtime")
"""In order of preference."""
SIGN = np.array(0x80, np.uint8)
"""Flipping this bit converts uint8 to int8 with zero point -128."""
LOG_PREFIXES = (b"INFO:", b"I0000 ", b"W0000 ")
"""Prefixes of the log lines that the runtime writes at every start."""
Detail = Mapping[str, Any]


class Model:
    """A loaded network as an `Infer` callable; not thread-safe.

    The image is written into the interpreter's input tensor with its top bit flipped: uint8 to int8
    at scale 1/255 and zero point -128, real value grey / 255.
    """

    entry: ModelEntry
    size: tuple[int, int]
    """(H, W) of the input image, pixels."""

    def __init__(self, entry: ModelEntry, interpreter: Any) -> None:
        """Verify `interpreter` against `entry` and run it once. Raises `ModelError`."""
        self.entry = entry
        self._interpreter = interpreter
        inputs = _verify(entry, "input", entry.inputs, interpreter.get_input_details())
        indices = _verify(entry, "output", entry.outputs, interpreter.get_output_details())
        self.size = _input_size(entry)
        self._input = interpreter.tensor(inputs[0])
        self._outputs = tuple(
            (
                spec.name,
                index,
                spec.dtype == "int8",
                np.array(spec.zero_point, np.float32),
                np.array(spec.scale, np.float32),
            )
            for spec, index in zip(entry.outputs, indices, strict=True)
        )
        # XNNPACK packs the weights in the first run
        outputs = self(np.zeros(self.size, np.uint8))
        not_finite = [name for name, value in outputs.items() if not np.isfinite(value).all()]
        if not_finite:
            raise ModelError(
                f"Model {entry.name!r} gives infinite or NaN values in {', '.join(not_finite)} on "
                "this machine. Do not use it here; report the board and runtime."
            )

    def __call__(self, image: Grey) -> dict[str, Float]:
        """Outputs by manifest name, new float32 arrays, for a grey image uint8[H, W] of `size`.

        Raises `ValueError` for another shape or type, `ModelError` when the runtime fails.
        """
        if image.shape != self.size or image.dtype != np.uint8:
            raise ValueError(
                f"Model {self.entry.name!r} takes uint8{list(self.size)}, "
                f"not {image.dtype}{list(image.shape)}."
            )
        # no view of the tensor may be alive during `invoke`
        np.bitwise_xor(image, SIGN, out=self._input().view(np.uint8)[0, :, :, 0])
        try:
            self._interpreter.invoke()
        except RuntimeError as error:
            raise ModelError(
                f"Model {self.entry.name!r} failed while running: {reason(error)}. "
                "Restart; if it happens again, report the board and runtime."
            ) from None
        outputs: dict[str, Float] = {}
        for name, index, quantised, zero_point, scale in self._outputs:
            value = self._interpreter.get_tensor(index)
            if quantised:
                value = np.subtract(value, zero_point, dtype=np.float32)
                np.multiply(value, scale, value)
            outputs[name] = value
        return outputs


def open_model(manifest: Manifest, name: str) -> Model:
    """Load one model, verified against the manifest, on one thread.

    Raises `ModelError` when the model is absent, altered or not as declared, or without a runtime.
    """
    entry = manifest.entry(name)
    content = entry.read()
    runtime = _runtime()
    try:
        with _quiet():
            interpreter = runtime.Interpreter(model_content=content, num_threads=1)
            interpreter.allocate_tensors()
            return Model(entry, interpreter)
    except (ValueError, RuntimeError, SystemError, AttributeError) as error:
        raise ModelError(
            f"Model {name!r} cannot be loaded by {runtime_name()}: {reason(error)}. "
            "Update the runtime (`pip install --upgrade ai-edge-litert`)."
        ) from None


def runtime_name() -> str:
    """`ai_edge_litert` or `tflite_runtime`, whichever `open_model` uses. Raises `ModelError`."""
    return str(_runtime().__name__).partition(".")[0]


def _runtime() -> Any:
    for name in RUNTIMES:
        if name == "tflite_runtime" and int(np.__version__.partition(".")[0]) >= 2:
            break  # built for NumPy 1: imports, then fails with internal errors
        try:
            return import_module(f"{name}.interpreter")
        except ImportError:
            continue
    raise ModelError(
        "There is no TFLite runtime for this Python. Install one: `pip install ai-edge-litert`, or "
        "`pip install tflite-runtime 'numpy<2'` on Python 3.11."
    )


def _verify(
    entry: ModelEntry, kind: str, specs: Sequence[TensorSpec], details: Sequence[Detail]
) -> list[int]:
    """Check tensors against `specs`; return their indices in that order."""
    if len(specs) != len(details):
        raise _not_as_declared(entry, f"{len(details)} {kind}s instead of {len(specs)}")
    if sorted(spec.index for spec in specs) != list(range(len(specs))):
        raise _not_as_declared(entry, f"the {kind} indices are not 0 to {len(specs) - 1}")
    indices = []
    for spec in specs:
        detail = details[spec.index]
        scales = detail["quantization_parameters"]["scales"]
        points = detail["quantization_parameters"]["zero_points"]
        found = {
            "tensor": str(detail["name"]),
            "shape": tuple(int(n) for n in detail["shape"]),
            "dtype": np.dtype(detail["dtype"]).name,
            "scale": float(scales[0]) if len(scales) == 1 else 1.0,
            "zero_point": int(points[0]) if len(points) == 1 else 0,
        }
        for key, value in found.items():
            declared = getattr(spec, key)
            if key == "scale":
                same = abs(float(value) / declared - 1.0) < 1e-5  # type: ignore[arg-type]
            else:
                same = value == declared
            if not same:
                problem = f"{kind} {spec.name!r} has {key} {value!r} instead of {declared!r}"
                raise _not_as_declared(entry, problem)
        indices.append(int(detail["index"]))
    return indices


def _input_size(entry: ModelEntry) -> tuple[int, int]:
    first = entry.inputs[0]
    if (
        len(entry.inputs) != 1
        or len(first.shape) != 4
        or (first.shape[0], first.shape[3]) != (1, 1)
        or first.dtype != "int8"
        or first.zero_point != -128
        or abs(first.scale * 255.0 - 1.0) > 1e-5
    ):
        raise _not_as_declared(
            entry, "it does not take one grey image int8[1, H, W, 1] at scale 1/255, zero -128"
        )
    return first.shape[1], first.shape[2]


def _not_as_declared(entry: ModelEntry, problem: str) -> ModelError:
    return ModelError(
        f"Model {entry.name!r}: {entry.file} is not as its manifest declares: {problem}. Nothing "
        "runs. Use the manifest that was made with this file."
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop the runtime's INFO lines from file descriptor 2; pass all other output on."""
    sys.stderr.flush()
    try:
        stderr = os.dup(2)
    except OSError:  # stderr is closed
        yield
        return
    # in memory, since the sandboxed perceive process may not write files
    with open(os.memfd_create("runtime-messages", os.MFD_CLOEXEC), "w+b") as buffer:
        os.dup2(buffer.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            buffer.seek(0)
            kept = [line for line in buffer if not line.startswith(LOG_PREFIXES)]
            if kept:
                os.write(stderr, b"".join(kept))
            os.close(stderr)
