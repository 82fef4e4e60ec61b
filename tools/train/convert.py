"""Conversion of a torch network to an int8 LiteRT file that XNNPACK takes whole.

The input is grey / 255 in [0, 1]; its scale is set to exactly 1/255 and its zero point to -128, so
that a uint8 picture becomes the network's input by subtracting 128.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import litert_torch
import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import calibrator, qtyping, quantizer
from ai_edge_quantizer.algorithm_manager import AlgorithmName
from numpy.typing import NDArray
from torch import nn

from tools.train import lite

Name = qtyping.TFLOperationName


@dataclass(frozen=True, slots=True)
class Converted:
    """Both files of one network and how they compare."""

    float_file: bytes
    int8_file: bytes
    delegated: float
    """Share of the int8 file's nodes that XNNPACK takes, in [0, 1]."""
    snr_db: tuple[float, ...]
    """Per output: float signal (about its mean) over the int8 error, on calibration pictures."""


def to_float(
    net: nn.Module, size: tuple[int, int], channel_last_outputs: Sequence[int] = ()
) -> bytes:
    """A float32 LiteRT file with input [1, H, W, 1].

    Parameters
    ----------
    net
        Takes float32[1, 1, H, W] and returns a tensor or a tuple of tensors.
    size
        (H, W) in pixels.
    channel_last_outputs
        Which outputs are feature maps [1, C, h, w] that the file shall hold as [1, h, w, C].
    """
    net = net.eval().cpu()
    wrapped = litert_torch.to_channel_last_io(net, args=[0], outputs=list(channel_last_outputs))
    model = litert_torch.convert(wrapped.eval(), (torch.zeros(1, *size, 1),))
    return bytes(model.model_content())


def to_int8(
    float_file: bytes,
    pictures: Iterable[NDArray[np.uint8]],
    float_operations: Sequence[str] = (),
    quantile: float = 1.0,
) -> bytes:
    """Post-training quantisation: int8 activations per tensor, int8 weights per channel.

    Parameters
    ----------
    float_file
        Of `to_float`.
    pictures
        Grey uint8[H, W] calibration pictures, some hundreds.
    float_operations
        Kinds of operation that stay in float32, for instance `("FULLY_CONNECTED",)` for a head that
        regresses coordinates finer than 1/255 of its range. All outputs are float32 then.
    quantile
        1.0 takes each activation's range over all pictures; less cuts that share of the pictures'
        own minima and maxima off, which trades saturation for resolution.
    """
    work = quantizer.Quantizer(float_file)
    work.add_static_config(".*", Name.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
    # a float operation before an output would otherwise be followed by a QUANTIZE
    for kind in (*float_operations, "OUTPUT") if float_operations else ():
        work.update_quantization_recipe(".*", Name(kind), algorithm_key=AlgorithmName.NO_QUANTIZE)
    model = lite.LiteModel(float_file)
    key, argument = _signature(float_file)
    samples = [
        {argument: (picture.astype(np.float32) / 255.0).reshape(model.input.shape)}
        for picture in pictures
    ]
    if not samples:
        raise ValueError("Quantisation needs calibration pictures; none were given.")
    probe = calibrator.Calibrator(float_file, num_threads=1, qsv_update_func=_collect)
    with contextlib.redirect_stdout(io.StringIO()):
        probe.calibrate({key: samples}, work._recipe_manager)
        ranges = {name: _reduce(found, quantile) for name, found in probe.get_model_qsvs().items()}
        entry = ranges[model.input.tensor]
        entry["min"], entry["max"] = np.zeros_like(entry["min"]), np.ones_like(entry["max"])
        result = work.quantize(ranges, enable_progress_report=False)
    file = bytes(result.quantized_model)
    check_input(file)
    return file


def check_input(int8_file: bytes) -> None:
    """Refuse a file whose input is not int8 with scale 1/255 and zero point -128."""
    tensor = lite.LiteModel(int8_file).input
    if (
        tensor.dtype != "int8"
        or abs(tensor.scale * 255.0 - 1.0) > 1e-5
        or tensor.zero_point != -128
    ):
        raise ValueError(f"The input must be int8, scale 1/255, zero point -128; it is {tensor}.")


def convert(
    net: nn.Module,
    size: tuple[int, int],
    pictures: Sequence[NDArray[np.uint8]],
    channel_last_outputs: Sequence[int] = (),
    float_operations: Sequence[str] = (),
    quantile: float = 1.0,
) -> Converted:
    """Float and int8 file of `net`, compared on up to 64 of the calibration pictures.

    Raises ValueError when XNNPACK leaves any node of the int8 file out, or when the float file does
    not answer as the torch network does.
    """
    float_file = to_float(net, size, channel_last_outputs)
    _check_against_torch(net, float_file, pictures[0], channel_last_outputs)
    int8_file = to_int8(float_file, pictures, float_operations, quantile)
    left = lite.undelegated(int8_file)
    if left:
        raise ValueError(f"XNNPACK leaves {len(left)} nodes to slow kernels: {sorted(set(left))}.")
    return Converted(
        float_file,
        int8_file,
        lite.delegated_share(int8_file),
        compare(float_file, int8_file, pictures),
    )


def compare(
    float_file: bytes, int8_file: bytes, pictures: Sequence[NDArray[np.uint8]]
) -> tuple[float, ...]:
    """Signal-to-noise ratio in dB per output, over up to 64 pictures spread over the sequence."""
    step = max(len(pictures) // 64, 1)
    exact, coarse = lite.LiteModel(float_file), lite.LiteModel(int8_file)
    pairs = [(exact(p), coarse(p)) for p in pictures[::step]]
    ratios = []
    for i in range(len(exact.outputs)):
        signal = np.stack([a[i] for a, _ in pairs])
        error = np.stack([b[i] for _, b in pairs]) - signal
        power = float(((signal - signal.mean(0)) ** 2).mean())
        noise = max(float((error**2).mean()), 1e-20)
        ratios.append(round(10.0 * float(np.log10(max(power, 1e-20) / noise)), 1))
    return tuple(ratios)


def _check_against_torch(
    net: nn.Module,
    float_file: bytes,
    picture: NDArray[np.uint8],
    channel_last_outputs: Sequence[int],
) -> None:
    x = torch.from_numpy(picture.astype(np.float32) / 255.0)[None, None]
    with torch.no_grad():
        answer = net.eval().cpu()(x)
    wanted = [answer] if torch.is_tensor(answer) else list(answer)
    for i, (got, want) in enumerate(zip(lite.LiteModel(float_file)(picture), wanted, strict=True)):
        reference = want.permute(0, 2, 3, 1) if i in channel_last_outputs else want
        worst = float(np.abs(got - reference.numpy()).max())
        if worst > 1e-3 * max(1.0, float(reference.abs().max())):
            raise ValueError(f"Output {i} of the float file differs from torch by {worst:.2g}.")


def _signature(file: bytes) -> tuple[str, str]:
    """Key of the only signature and name of its only argument."""
    interpreter = Interpreter(model_content=file)
    key, names = next(iter(interpreter.get_signature_list().items()))
    return key, names["inputs"][0]


def _collect(known: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Keep every picture's range; `_reduce` makes one of them."""
    if not known:
        return new
    return {
        bound: (known[bound] if isinstance(known[bound], list) else [known[bound]]) + [new[bound]]
        for bound in ("min", "max")
    }


def _reduce(found: dict[str, Any], quantile: float) -> dict[str, Any]:
    if not isinstance(found.get("min"), list):
        return dict(found)
    lows, highs = np.stack(found["min"]), np.stack(found["max"])
    return {
        "min": np.quantile(lows, 1.0 - quantile, axis=0).astype(np.float32),
        "max": np.quantile(highs, quantile, axis=0).astype(np.float32),
    }
