"""Whose speech is heard in training: the packs' for research, synthesisers' for the clean set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agent.base.types import Float
from tools.common.files import npz, run_folder, save_atomically
from tools.train.activity import synthetic
from tools.train.manifest import SETS

SYNTHETIC = {False: 500, True: 80}
"""Utterances of the clean set: to learn from, and to choose thresholds on."""


def of(which: str, valid: bool) -> list[Float]:
    """Utterances float32[S] each of one set; `valid`: of the speakers that training never hears."""
    path = run_folder("activity") / f"voices-{which}-{'valid' if valid else 'train'}.npz"
    if not path.is_file():
        if which == SETS["clean"]:
            keep(path, synthetic.utterances(SYNTHETIC[valid], valid))
        else:
            from tools.train.voice.corpora import utterances  # needs a decoder

            keep(path, [one.samples for one in utterances() if one.valid == valid])
    return kept(path)


def keep(path: Path, sounds: Sequence[Float]) -> None:
    """Store utterances in 16 bits; decoding them takes longer than much of what follows."""
    joined = np.concatenate(sounds)
    arrays = {
        "samples": np.clip(np.rint(joined * 32767), -32767, 32767).astype(np.int16),
        "ends": np.cumsum([len(each) for each in sounds]),
    }
    save_atomically(path, npz(arrays, compressed=False))


def kept(path: Path) -> list[Float]:
    """What `keep` stored."""
    with np.load(path) as stored:
        samples, ends = stored["samples"], stored["ends"]
    parts = np.split(samples, ends[:-1])
    return [part.astype(np.float32) / np.float32(32767) for part in parts]
