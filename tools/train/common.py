"""Shared parts of the trainings: seed, device, schedule, weight averaging, checkpoints."""

from __future__ import annotations

import argparse
import math
import os
import random
import subprocess
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from agent.base.files import write_atomically


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


def mixed_precision() -> AbstractContextManager[Any]:
    """Forward pass with bfloat16 products where the processor has them; weights stay float32.

    Twice as fast where convolutions are dense; depthwise ones gain nothing (Micikevicius et al.
    2018, arXiv:1710.03740).
    """
    place = device().type
    if place == "cpu" and not torch.cpu._is_avx512_bf16_supported():
        return nullcontext()
    return torch.autocast(place, torch.bfloat16)


def warm_cosine(progress: float, warm_up: float = 0.05, floor: float = 0.01) -> float:
    """Factor on the peak learning rate at `progress` in [0, 1].

    Linear warm-up, then half a cosine down to `floor` (Loshchilov & Hutter 2017, arXiv:1608.03983).
    """
    progress = min(max(progress, 0.0), 1.0)
    if progress < warm_up:
        return max(progress / warm_up, 0.02)
    turn = (progress - warm_up) / (1.0 - warm_up)
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * turn))


def parser(model: str, minutes: float, description: str | None = None) -> argparse.ArgumentParser:
    """Of `python -m tools.train <model>`, with the options that every training has."""
    made = argparse.ArgumentParser(prog=f"python -m tools.train {model}", description=description)
    made.add_argument("--minutes", type=float, default=minutes, help="training, wall time in all")
    made.add_argument("--convert-only", action="store_true", help="use the checkpoint as it is")
    made.add_argument("--data", choices=("all", "clean"), default="all", help="see tools.train")
    return made


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


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The checkpoint, tensors on the CPU, or None where there is none. No pickled code is run."""
    if not path.is_file():
        return None
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if "seconds" in content:  # as the landmark network's used to call it
        content["spent"] = content.pop("seconds")
    return content


def averaged(path: Path) -> dict[str, Any]:
    """A checkpoint whose averaged weights are wanted. Raises `SystemExit` where there is none."""
    content = load_checkpoint(path)
    if content is None:
        raise SystemExit(f"There is no {path}: train first, without --convert-only.")
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


class Run:
    """A training that stops by the clock and goes on from its checkpoint."""

    def __init__(
        self,
        path: Path,
        net: nn.Module,
        optimiser: torch.optim.Optimizer,
        minutes: float,
        decay: float,
        start: Path | None = None,
    ) -> None:
        """`net`: already on its device. `start`: weights to begin with where `path` is absent."""
        if start is not None and not path.is_file():
            net.load_state_dict(averaged(start)["average"])
        self.net = net
        self._path = path
        self._optimiser = optimiser
        self.average = Average(net, decay)
        self.step = 0
        self.saved = load_checkpoint(path) or {}
        """What the checkpoint held; empty where there was none."""
        if self.saved:
            place = next(net.parameters()).device
            net.load_state_dict(self.saved["net"])
            optimiser.load_state_dict(self.saved["optimiser"])
            self.average.state = {k: v.to(place) for k, v in self.saved["average"].items()}
            self.average.steps = self.step = int(self.saved["step"])
        self.budget = Budget(minutes, self.saved.get("spent", 0.0))

    def learn(self, loss: torch.Tensor, rate: float, largest: float) -> None:
        """One step at this learning rate, with the gradient's norm cut to `largest`."""
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), largest)
        self._optimiser.step()
        self.average.update(self.net)
        self.step += 1

    def save(self, **more: Any) -> None:
        """Everything that going on needs, and `more`; a kill leaves the previous checkpoint."""
        content = {
            "net": self.net.state_dict(),
            "average": self.average.state,
            "optimiser": self._optimiser.state_dict(),
            "step": self.step,
            "spent": self.budget.spent,
            **more,
        }
        write_atomically(self._path, lambda file: torch.save(content, file))


class Recent:
    """Means of named figures over about the last `1 / (1 - keep)` steps."""

    def __init__(self, keep: float = 0.98) -> None:
        self._keep = keep
        self._means: dict[str, float] = {}

    def add(self, **figures: float) -> None:
        """One step's."""
        for name, value in figures.items():
            mean = self._means.get(name, value)
            self._means[name] = self._keep * mean + (1.0 - self._keep) * value

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:.3f}" for name, value in self._means.items())


def publish(model: str, *options: str) -> int:
    """Hand over to the command that converts and measures; its exit code.

    It is started as a shell would start it: training knows nothing of how models are measured.
    """
    command = [sys.executable, "-m", "tools.eval.publish", model, *options]
    return subprocess.run(command, check=False).returncode
