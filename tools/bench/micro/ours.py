"""The agent's spotter, frame by frame as on a device."""

from __future__ import annotations

import hashlib
import time
from functools import lru_cache
from pathlib import Path

from agent.base.config import MicroConfig
from agent.base.errors import ModelError
from agent.base.types import MicroExpression
from agent.inference.manifest import load_manifest, models_folder
from agent.vision.micro.network import SpotterNetwork
from agent.vision.micro.spotter import MicroSpotter
from tools.bench.micro.subject import Answer, Array, Found, Points

_FACE = 0
_TICK = 0.04
"""Seconds without a frame after which the spotter is told the time, as a device's timer does."""
_TICKED = 1.0
"""Seconds of a gap in which it is told; by then everything is decided."""


class Ours:
    """`agent.vision.micro.spotter.MicroSpotter` by its public interface."""

    name = "ours"

    def __init__(self, weights: Path | None = None, min_fps: float | None = None) -> None:
        """Raises `ModelError` where the weights cannot be used.

        Parameters
        ----------
        weights : Path, optional
            The network's `.npz`; default: the shipped one.
        min_fps : float, optional
            Try even at fewer frames per second than the agent's configuration allows.
        """
        self._network = _network(weights)
        self._params = MicroConfig()
        if min_fps is not None:
            self._params = MicroConfig.model_construct(
                **{**self._params.model_dump(), "min_fps": min_fps}
            )

    def __call__(self, timestamps: Array, landmarks: Points, confidence: Points) -> Answer:
        spotter = MicroSpotter(self._params, self._network)
        times, trust = timestamps.tolist(), confidence.tolist()
        events: list[MicroExpression] = []
        analysed = 0
        before = times[0] if times else 0.0
        start = time.process_time()
        for k, now in enumerate(times):
            for late in range(1, int(min(now - before, _TICKED) / _TICK) + 1):
                events += spotter.tick(min(before + late * _TICK, now))
            decided, micro = spotter.update(now, [(_FACE, landmarks[k], trust[k])])
            events += decided
            analysed += micro[_FACE].analysed
            before = now
        events += spotter.finish()
        cpu = time.process_time() - start
        found = [
            Found(e.onset, e.apex, e.offset, e.emitted, e.action_units, e.intensity) for e in events
        ]
        return Answer(found, cpu, analysed / max(len(times), 1), spotter.rejected)


def weights_digest(weights: Path | None) -> str:
    """Beginning of the SHA-256 of the network's file. Raises `ModelError`."""
    return hashlib.sha256(_content(weights)).hexdigest()[:12]


@lru_cache(maxsize=1)
def _network(weights: Path | None) -> SpotterNetwork:
    return SpotterNetwork.load(_content(weights))


def _content(weights: Path | None) -> bytes:
    if weights is None:
        return load_manifest(models_folder(None)).network("micro").read()
    try:
        return weights.read_bytes()
    except OSError as error:
        raise ModelError(f"{weights} cannot be read: {error.strerror}. Check the path.") from None
