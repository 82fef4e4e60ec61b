"""One thin layer over LiteRT: verified model bytes in, a callable out.

Runs on `ai_edge_litert`, or on `tflite_runtime` where only that is installed (Python 3.11 and
NumPy below 2). NumPy and the standard library only, so that both can be used.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from agent.base.errors import ModelError
from agent.base.types import Float, Grey
from agent.vision.inference.manifest import Manifest, ModelEntry, TensorSpec

RUNTIMES = ("ai_edge_litert", "tflite_runtime")
"""In order of preference."""
SIGN = np.array(0x80, np.uint8)
"""uint8 to int8 is a flip of this bit."""
LOG_PREFIXES = (b"INFO:", b"I0000 ", b"W0000 ")
"""How lines begin that the runtime writes at every start."""
Detail = Mapping[str, Any]


class Model:
    """One loaded network: an `Infer` callable. For one thread at a time.

    The picture goes into the interpreter's own input memory with its top bit flipped, which turns
    uint8 into int8 at scale 1/255 and zero point -128, i.e. grey / 255 in real terms.
    """

    entry: ModelEntry
    size: tuple[int, int]
    """(H, W) of the picture it takes, pixels."""

    def __init__(self, entry: ModelEntry, interpreter: Any) -> None:
        """Check `interpreter` against `entry`, then run it once. Raises `ModelError`."""
        self.entry = entry
        self._interpreter = interpreter
        inputs = _verify(entry, "input", entry.inputs, interpreter.get_input_details())
        indices = _verify(entry, "output", entry.outputs, interpreter.get_output_details())
        self.size = _picture_size(entry)
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
        # also packs the weights, so that the first real picture is not the slow one
        outputs = self(np.zeros(self.size, np.uint8))
        broken = [name for name, value in outputs.items() if not np.isfinite(value).all()]
        if broken:
            raise ModelError(
                f"Model {entry.name!r} answers with infinities in {', '.join(broken)} on this "
                "machine. Do not use it here; report the board and runtime."
            )

    def __call__(self, picture: Grey) -> dict[str, Float]:
        """Outputs by manifest name, dequantised to float32; new arrays at every call.

        Parameters
        ----------
        picture
            uint8[H, W], grey, of `size`.
        """
        if picture.shape != self.size or picture.dtype != np.uint8:
            raise ValueError(
                f"Model {self.entry.name!r} takes uint8{list(self.size)}, "
                f"not {picture.dtype}{list(picture.shape)}."
            )
        # the view must be gone before `invoke`: the runtime refuses while anybody holds one
        np.bitwise_xor(picture, SIGN, out=self._input().view(np.uint8)[0, :, :, 0])
        try:
            self._interpreter.invoke()
        except RuntimeError as error:
            raise ModelError(
                f"Model {self.entry.name!r} failed while running: {_last_line(str(error))}. "
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
    """Load one model: bytes verified by hash, tensors verified against the manifest, one thread.

    Raises `ModelError` when the model is absent, altered or not as declared, or when there is no
    runtime for it.
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
            f"Model {name!r} cannot be loaded by {runtime_name()}: {_last_line(str(error))}. "
            "Update the runtime (`pip install --upgrade ai-edge-litert`)."
        ) from None


def runtime_name() -> str:
    """`ai_edge_litert` or `tflite_runtime`, whichever `open_model` uses. Raises `ModelError`."""
    return str(_runtime().__name__).partition(".")[0]


def _runtime() -> Any:
    for name in RUNTIMES:
        if name == "tflite_runtime" and int(np.__version__.partition(".")[0]) >= 2:
            break  # it imports, and then fails with internal errors
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
    """Tensor indices in the order of `specs`, once each is as declared."""
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


def _picture_size(entry: ModelEntry) -> tuple[int, int]:
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
            entry, "it does not take one grey picture int8[1, H, W, 1] at scale 1/255, zero -128"
        )
    return first.shape[1], first.shape[2]


def _not_as_declared(entry: ModelEntry, problem: str) -> ModelError:
    return ModelError(
        f"Model {entry.name!r}: {entry.file} is not as its manifest declares: {problem}. Nothing "
        "runs. Use the manifest that was made with this file."
    )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "no reason given"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the runtime's INFO lines, which it writes to file descriptor 2, off the screen.

    Everything else that was written meanwhile is passed on.
    """
    sys.stderr.flush()
    try:
        stderr = os.dup(2)
    except OSError:  # no stderr at all
        yield
        return
    # In memory: the perceive process may write no file.
    with open(os.memfd_create("runtime-messages", os.MFD_CLOEXEC), "w+b") as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            caught.seek(0)
            kept = [line for line in caught if not line.startswith(LOG_PREFIXES)]
            if kept:
                os.write(stderr, b"".join(kept))
            os.close(stderr)
