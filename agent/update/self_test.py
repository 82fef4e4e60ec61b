"""`python -P -m agent.update.self_test`: a release tests itself, before it is run.

Run with the code of the new slot: that everything can be imported; that every model is the file its
manifest names, and answers as its golden vectors say. One line of JSON tells what failed. What the
sandbox refuses is tried by `agent.host.sandbox`, in processes of its own.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    # Machine code is the services' own, in a folder that only they write.
    os.environ["NUMBA_DISABLE_JIT"] = "1"

import numpy as np

from agent.base.errors import ModelError, reason
from agent.base.types import Float
from agent.inference import golden
from agent.inference.manifest import SETS, Manifest, load_manifest, models_folder
from agent.inference.tflite import open_model
from agent.text.sentiment import Sentiment
from agent.vision.micro.network import NetworkState, SpotterNetwork
from agent.vision.micro.stream import INPUTS

PROCESSES = (
    "agent.cli",
    "agent.perceive.start",
    "agent.perceive.process",
    "agent.uplink.process",
    "agent.update.process",
    "agent.update.helper",
)
"""Entry points of the three processes, with all that they need."""
_STEPS = 12
"""Of the network that looks for micro-expressions."""
_LINES = ("Where is the exit?", "This was wonderful, thank you!", "Das war leider sehr schlecht.")


def main() -> int:
    """Print the verdict; returns 0 where the release passed, else 1."""
    try:
        _import_all()
    except Exception as error:
        return _verdict("no_start", f"it cannot be imported ({reason(error)})")
    try:
        folder = models_folder(None)
        for which in SETS:
            check_models(folder, which)
    except ModelError as error:
        return _verdict("model_self_test", str(error))
    return _verdict(None, "passed")


def check_models(folder: Path, which: str) -> None:
    """Run every model and network of one set against its golden vectors. Raises `ModelError`."""
    for name, found in compare_models(folder, which):
        golden.judge(name, found)


def compare_models(folder: Path, which: str) -> Iterator[tuple[str, list[golden.Difference]]]:
    """How far every model and network of one set is from its golden vectors, by its name. Raises
    `ModelError`."""
    manifest = load_manifest(folder, which)
    for name, entry in manifest.models.items():
        ranges = {output.name: output.range for output in entry.outputs}
        vectors = golden.path_of(entry.file)
        yield name, golden.differences(name, vectors, answers(manifest, name), ranges)
    for name, network in manifest.weights.items():
        vectors = golden.path_of(network.file)
        yield name, golden.differences(name, vectors, answers(manifest, name))


def answers(manifest: Manifest, name: str) -> golden.Answer:
    """What the model or network called `name` answers to the patterns. Raises `ModelError`."""
    if name in manifest.models:
        model = open_model(manifest, name)
        return lambda number: model(golden.picture(model.size, number))
    if name == "micro":
        network = SpotterNetwork.load(manifest.network(name).read())
        return lambda number: {"outputs": _spotted(network, number)}
    if name == "sentiment":
        read = Sentiment(manifest)
        return lambda number: {"probabilities": read(_LINES[number % len(_LINES)]).probabilities}
    raise ModelError(f"Nobody here knows how to run {name!r}.")


def _spotted(network: SpotterNetwork, number: int) -> Float:
    state = NetworkState(network)
    steps = [state.step(golden.vector(INPUTS, number + step)).copy() for step in range(_STEPS)]
    return np.concatenate(steps)


def _import_all() -> None:
    for name in PROCESSES:
        importlib.import_module(name)


def _verdict(why: str | None, text: str) -> int:
    print(json.dumps({"reason": why, "text": text[:400]}))
    return 0 if why is None else 1


if __name__ == "__main__":
    sys.exit(main())
