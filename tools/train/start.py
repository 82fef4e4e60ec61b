"""Where a training begins: the weights of a checkpoint, or those of a shipped `.tflite` file.

A shipped file holds int8 kernels with batch normalisation folded into them. They are dequantised
and put back into the torch network; each normalisation gets the mean and variance of what comes in
on given pictures, and the scale and offset that undo them, so that the function stays the same and
training goes on as if the network had been trained here (Ioffe & Szegedy 2015, arXiv:1502.03167).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray
from torch import Tensor, nn

from tools.train.common import averaged
from tools.train.lite import LiteModel

KERNEL_NORM = 0.58
"""Norm of each kernel that normalisation follows: as torch draws them. The function does not depend
on it, the size of a step does."""
LEAST_SNR_DB = 6.0
"""Below this the file and the network are taken for different functions, which give about 0; int8
alone gives 18 to 30 on pictures like those of training, 8 and more on others."""
_LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")

Pictures = Sequence[NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One convolution or fully connected layer of a file."""

    kernel: NDArray[np.float32]
    """As torch has it: [out, in / groups, h, w] or [out, in]."""
    bias: NDArray[np.float32]


def begin(net: nn.Module, start: Path, pictures: Pictures) -> None:
    """Give `net` the weights of `start`.

    Parameters
    ----------
    start
        A checkpoint of `common.Run` (its averaged weights), or a `.tflite` file of this network.
    pictures
        Grey uint8[H, W] of the network's size, some hundreds, as in training; for files only.

    Raises ValueError where the file is of another network.
    """
    if start.suffix == ".tflite":
        load(net, start.read_bytes(), pictures)
    else:
        net.load_state_dict(averaged(start)["average"])


def load(net: nn.Module, file: bytes, pictures: Pictures) -> tuple[float, ...]:
    """Weights of a float or int8 file into `net`; the signal-to-noise ratio per output, dB.

    The network must answer float32[N, 1, H, W] with the file's outputs in their order. Raises
    ValueError where layers do not match, or where the answers differ by more than int8 explains.
    """
    if not pictures:
        raise ValueError("Normalisation needs pictures; none were given.")
    training = net.training
    net.eval()
    batch = _batch(net, pictures)
    found, wanted = layers(file), sequence(net, batch[:1])
    by_shape: dict[tuple[int, ...], deque[Layer]] = defaultdict(deque)
    for layer in found:
        by_shape[layer.kernel.shape].append(layer)
    if sorted(layer.kernel.shape for layer in found) != sorted(
        tuple(module.weight.shape) for module, _ in wanted
    ):
        raise ValueError("The file's layers are not those of the network.")
    # layers of one shape run in the same order in both
    with torch.no_grad():
        for module, norm in wanted:
            _fill(module, norm, by_shape[tuple(module.weight.shape)].popleft())
        _refill(net, [norm for _, norm in wanted if norm is not None], batch)
    ratios = compare(net, file, pictures)
    if min(ratios) < LEAST_SNR_DB:
        raise ValueError(f"The network does not answer as the file does: {ratios} dB.")
    net.train(training)
    return ratios


def layers(file: bytes) -> list[Layer]:
    """All layers with weights, dequantised, in the order in which they run."""
    interpreter = Interpreter(
        model_content=file,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    details = {int(d["index"]): d for d in interpreter.get_tensor_details()}

    def constant(index: int) -> NDArray[np.float32]:
        raw = interpreter.get_tensor(index).astype(np.float32)
        coding = details[index]["quantization_parameters"]
        scales, zeros = coding["scales"], coding["zero_points"]
        if not len(scales):
            return np.asarray(raw, np.float32)
        shape = [1] * raw.ndim
        shape[int(coding["quantized_dimension"])] = len(scales)
        return np.asarray((raw - zeros.reshape(shape)) * scales.reshape(shape), np.float32)

    made = []
    for op in interpreter._get_ops_details():
        if op["op_name"] not in _LAYERS:
            continue
        _, weight, *rest = (int(i) for i in op["inputs"])
        kernel = constant(weight)
        if op["op_name"] == "CONV_2D":
            kernel = kernel.transpose(0, 3, 1, 2)
        elif op["op_name"] == "DEPTHWISE_CONV_2D":
            kernel = kernel.transpose(3, 0, 1, 2)
        given = rest and rest[0] >= 0
        bias = constant(rest[0]) if given else np.zeros(len(kernel), np.float32)
        made.append(Layer(np.ascontiguousarray(kernel), bias))
    return made


def sequence(net: nn.Module, batch: Tensor) -> list[tuple[nn.Module, nn.BatchNorm2d | None]]:
    """Convolutions and linear layers as they run, each with the normalisation after it."""
    ran: list[nn.Module] = []
    made: dict[int, int] = {}
    norms: dict[int, nn.BatchNorm2d] = {}
    kept = []

    def note(module: nn.Module, inputs: Any, output: Tensor) -> None:
        if isinstance(module, nn.BatchNorm2d):
            norms[made[id(inputs[0])]] = module
            return
        made[id(output)] = len(ran)
        ran.append(module)
        kept.append(output)  # else another tensor could get its id

    kinds = nn.Conv2d | nn.Linear | nn.BatchNorm2d
    hooks = [m.register_forward_hook(note) for m in net.modules() if isinstance(m, kinds)]
    try:
        with torch.no_grad():
            net(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return [(module, norms.get(k)) for k, module in enumerate(ran)]


def compare(net: nn.Module, file: bytes, pictures: Pictures) -> tuple[float, ...]:
    """Signal-to-noise ratio per output, dB: the file's answers (about their mean) over the torch
    network's difference from them, over up to 64 of the pictures."""
    model = LiteModel(file)
    some = pictures[:: max(len(pictures) // 64, 1)]
    training = net.training
    with torch.no_grad():
        answer = net.eval()(_batch(net, some))
    net.train(training)
    ratios = []
    for i, wanted in enumerate([answer] if torch.is_tensor(answer) else answer):
        got = np.stack([model(picture)[i][0] for picture in some])
        own = wanted.detach().cpu().numpy()
        if own.ndim == 4 and own.shape != got.shape:
            own = own.transpose(0, 2, 3, 1)
        signal = float(((got - got.mean(0)) ** 2).mean())
        noise = max(float(((own.reshape(got.shape) - got) ** 2).mean()), 1e-20)
        ratios.append(round(10.0 * float(np.log10(max(signal, 1e-20) / noise)), 1))
    return tuple(ratios)


def _fill(module: nn.Module, norm: nn.BatchNorm2d | None, layer: Layer) -> None:
    """The layer's weights; a normalisation is made to do nothing but add the bias."""
    kernel, bias = torch.from_numpy(layer.kernel), torch.from_numpy(layer.bias)
    module.weight.copy_(kernel)
    if norm is None:
        if module.bias is None:
            raise ValueError("The file has a bias where the network has no place for one.")
        module.bias.copy_(bias)
        return
    if module.bias is not None:
        module.bias.zero_()
    norm.running_mean.zero_()
    norm.running_var.fill_(1.0)
    # kernels as large as new ones; the scale undoes it
    size = kernel.flatten(1).norm(dim=1) / KERNEL_NORM
    size = torch.where(size > 1e-6, size, torch.ones_like(size)).to(module.weight.device)
    module.weight.div_(size[:, None, None, None])
    norm.weight.copy_(size * float(np.sqrt(1.0 + norm.eps)))
    norm.bias.copy_(bias)


def _refill(net: nn.Module, norms: Sequence[nn.BatchNorm2d], batch: Tensor) -> None:
    """Mean and variance of what each normalisation takes in; its output stays as it is."""
    taken: dict[nn.BatchNorm2d, tuple[Tensor, Tensor]] = {}

    def note(module: nn.Module, inputs: Any, output: Tensor) -> None:
        variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3))
        taken[module] = mean, variance

    hooks = [norm.register_forward_hook(note) for norm in norms]
    try:
        net(batch)
    finally:
        for hook in hooks:
            hook.remove()
    for norm, (mean, variance) in taken.items():
        # before: scale * x / sqrt(1 + eps) + bias
        scale = norm.weight / float(np.sqrt(1.0 + norm.eps))
        norm.bias.add_(scale * mean)
        norm.weight.copy_(scale * (variance + norm.eps).sqrt())
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)


def _batch(net: nn.Module, pictures: Pictures) -> Tensor:
    """float32[N, 1, H, W] in [0, 1], where the network is."""
    place = next(net.parameters()).device
    return torch.from_numpy(np.stack(pictures)).to(place).float()[:, None] / 255.0
