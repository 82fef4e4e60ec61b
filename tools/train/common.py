"""What every training shares: seed, device, schedule, weight averaging, checkpoints, progress."""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tools.train.files import MODELS as MODELS
from tools.train.files import save_atomically as save_atomically
from tools.train.files import save_json as save_json
from tools.train.packs import ROOT


def seed_everything(seed: int) -> np.random.Generator:
    """Seed Python, NumPy and torch; the returned generator is for the caller's own draws."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    return np.random.default_rng(seed)


def device() -> torch.device:
    """The first CUDA device, else the CPU with the threads of $TRAIN_THREADS (all by default)."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    threads = int(os.environ.get("TRAIN_THREADS", "0"))
    if threads:
        torch.set_num_threads(threads)
    return torch.device("cpu")


def run_folder(model: str) -> Path:
    """`runs/<model>`, made if absent: checkpoints and caches, never committed."""
    folder = ROOT / "runs" / model
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def keep_float(model: str, data: str, file: bytes) -> None:
    """Keep the float network of a set beside its checkpoint, for `tools.eval` to compare with."""
    run = model if data == "research" else f"{model}-{data}"
    save_atomically(run_folder(run) / "float.tflite", file)


def warm_cosine(progress: float, warm_up: float = 0.05, floor: float = 0.01) -> float:
    """Factor on the peak learning rate at `progress` in [0, 1].

    Linear warm-up, then half a cosine down to `floor` (Loshchilov & Hutter 2017, arXiv:1608.03983).
    """
    progress = min(max(progress, 0.0), 1.0)
    if progress < warm_up:
        return max(progress / warm_up, 0.02)
    turn = (progress - warm_up) / (1.0 - warm_up)
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * turn))


class Average:
    """Exponential moving average of a network's weights and buffers (Polyak & Juditsky 1992).

    The decay starts low, so that the first random weights are soon forgotten.
    """

    def __init__(self, net: nn.Module, decay: float = 0.999) -> None:
        self.decay = decay
        self.steps = 0
        self.state = {name: value.detach().clone() for name, value in net.state_dict().items()}

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Take in the weights after one optimiser step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in net.state_dict().items():
            if value.dtype.is_floating_point:
                self.state[name].lerp_(value, 1.0 - decay)
            else:
                self.state[name].copy_(value)


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """`torch.save` through a temporary file: a kill leaves the previous checkpoint whole."""
    temporary = path.with_name(path.name + ".tmp")
    torch.save(dict(content), temporary)
    os.replace(temporary, path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The checkpoint, tensors on the CPU, or None where there is none. No pickled code is run."""
    if not path.is_file():
        return None
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


def split_decay(net: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Optimiser groups: weight decay on kernels only, not on biases or normalisation."""
    kernels = [p for p in net.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in net.parameters() if p.requires_grad and p.ndim <= 1]
    return [
        {"params": kernels, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


class Budget:
    """Progress through a training that is limited by wall time, over all resumptions together."""

    def __init__(self, minutes: float, spent: float = 0.0) -> None:
        self._limit = minutes * 60.0
        self._before = spent
        self._start = time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds."""
        return self._before + time.monotonic() - self._start

    @property
    def progress(self) -> float:
        """0 at the start, 1 when the time is used up."""
        return min(self.spent / self._limit, 1.0) if self._limit > 0 else 1.0
