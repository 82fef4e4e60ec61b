"""Disk cache of the peers' outputs below runs/eval, keyed by code, network and inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from tools.common.files import ROOT, npz, save_atomically

FOLDER = ROOT / "runs" / "eval"
Arrays = dict[str, NDArray[np.float32]]


def key_of(
    network: Path, modules: Iterable[ModuleType], inputs: Iterable[NDArray[np.generic]]
) -> str:
    """32 hex digits: the network's file, the code that runs it, and all that it is given."""
    digest = hashlib.sha256(network.read_bytes())
    for module in modules:
        digest.update(Path(str(module.__file__)).read_bytes())
    for given in inputs:
        digest.update(repr((given.shape, given.dtype.str)).encode())
        digest.update(np.ascontiguousarray(given).tobytes())
    return digest.hexdigest()[:32]


def remember(name: str, key: str, make: Callable[[], Arrays], folder: Path = FOLDER) -> Arrays:
    """The arrays stored for `name` and `key`; made and stored where there are none yet."""
    words = "".join(c if c.isalnum() else "-" for c in name.lower())
    path = folder / f"{words}-{key}.npz"
    if path.is_file():
        with np.load(path) as stored:
            return {field: stored[field] for field in stored.files}
    made = make()
    save_atomically(path, npz(made))
    return made
