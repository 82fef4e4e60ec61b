"""`python -m tools.train activity`: trains the network that tells speech from other sound.

Targets mix what is known (speech was added here, at this level), the teacher's answer to the clean
speech, and a little of its answer to what the network hears. Training stops after `--minutes` of
wall time, resumptions included, and goes on from `runs/activity/checkpoint.pt`.
"""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from agent.base.types import Float
from agent.voice.activity import ROWS, STEP
from tools.common.files import run_folder
from tools.common.progress import bar
from tools.train import common
from tools.train.activity import material, voices
from tools.train.activity.material import Material
from tools.train.activity.net import ActivityNet
from tools.train.manifest import SETS

SEED = 31
STREAMS = {"train": 60, "valid": 12}
STREAM_SEED = {"train": 100, "valid": 900}
BATCH = 24
STRETCH = 32 * STEP
"""Frames that are answered per window in training."""
PEAK_RATE = 4e-3
WEIGHT_DECAY = 1e-4
SHARES = (0.45, 0.4, 0.15)
"""Of the three targets: known, teacher on clean speech, teacher on what is heard."""
AVERAGE_DECAY = 0.995
EVALUATE_EVERY = 400
SAVE_EVERY = 60.0
"""Seconds."""
RUNS = {"all": "activity", "clean": "activity-clean"}
"""Folder below `runs` by the training data."""


def main(argv: list[str]) -> int:
    """Train (unless told otherwise), then hand over to what converts and measures."""
    parser = common.parser("activity", 5.0)
    parser.add_argument("--restart", action="store_true", help="forget the checkpoint")
    options = parser.parse_args(argv)
    run = RUNS[options.data]
    checkpoint = run_folder(run) / "checkpoint.pt"
    if options.restart:
        checkpoint.unlink(missing_ok=True)
    if not options.convert_only:
        train(checkpoint, options.minutes, known(options.data), part("valid", options.data))
    return common.publish("activity", "--data", options.data)


def known(data: str) -> Material:
    """What the set's network learns from: for research, what the clean set's does as well."""
    own = part("train", data)
    return own if data == "clean" else material.joined([own, part("train", "clean")])


def part(name: str, data: str) -> Material:
    """`train` of the packs' speech or of the clean set's, or `valid`: streams of speakers apart."""
    path = run_folder(RUNS[data]) / f"{name}.npz"
    said = partial(voices.of, SETS[data], name == "valid")
    return material.cached(path, said, STREAMS[name], STREAM_SEED[name] + (data == "clean"))


def train(checkpoint: Path, minutes: float, heard: Material, valid: Material) -> None:
    """Run or go on with the training; `checkpoint` holds all that is needed for either."""
    rng = common.seed_everything(SEED)
    where = common.device()
    net = ActivityNet().to(where, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(common.split_decay(net, WEIGHT_DECAY), lr=PEAK_RATE)
    training = common.Run(checkpoint, net, optimiser, minutes, AVERAGE_DECAY)
    if training.saved:
        rng = np.random.default_rng([SEED, training.step])
    history = training.saved.get("history", [])
    budget = training.budget
    target = blend(heard)
    starts = places(heard)

    def keep() -> None:
        average = copy.deepcopy(net)
        average.load_state_dict(training.average.state)
        history.append({"step": training.step, "auc": round(check(average, valid), 4)})
        print(history[-1], flush=True)
        training.save(history=history)

    saved = budget.spent
    with bar("activity, minutes", minutes) as tell:
        while budget.progress < 1.0:
            net.train()
            chosen = rng.choice(starts, BATCH)
            pictures = varied(rng, windows(heard.rows, chosen, STRETCH))
            wanted = torch.from_numpy(answers_at(target, chosen)).to(where)
            logits = net(pictures.to(where))
            loss = functional.binary_cross_entropy_with_logits(logits, wanted)
            training.learn(loss, PEAK_RATE * common.warm_cosine(budget.progress), 2.0)
            tell(budget.spent / 60, f"step {training.step}: loss {loss.item():.3f}")
            if training.step % EVALUATE_EVERY == 0:
                keep()
                saved = budget.spent
            elif budget.spent - saved > SAVE_EVERY:
                training.save(history=history)
                saved = budget.spent
        keep()


def blend(of: Material) -> Float:
    """float32[R]: what the network is to answer."""
    known, clean, heard = SHARES
    return np.asarray(known * of.spoken + clean * of.clean + heard * of.heard, np.float32)


def places(of: Material) -> NDArray[np.intp]:
    """First rows of the windows of `STRETCH` answers within one stream."""
    whole = ROWS + STRETCH - STEP
    begins = np.flatnonzero(np.diff(of.known.astype(np.int8), prepend=1) < 0)
    ends = np.append(begins[1:], len(of.known))
    return np.concatenate([np.arange(a, b - whole + 1) for a, b in zip(begins, ends, strict=True)])


def windows(rows: NDArray[np.uint8], starts: NDArray[np.intp], answers: int) -> torch.Tensor:
    """float32[N, 1, R, 52] in [0, 1] from these rows on, for so many answers."""
    picked = rows[starts[:, None] + np.arange(ROWS + answers - STEP)]
    return torch.from_numpy(picked).float()[:, None] / 255.0


def answers_at(target: Float, starts: NDArray[np.intp]) -> Float:
    """float32[N, STRETCH]: the targets of the windows' answers."""
    return target[starts[:, None] + ROWS - STEP + np.arange(STRETCH)]


def varied(rng: np.random.Generator, pictures: torch.Tensor) -> torch.Tensor:
    """Each shade of a window somewhat lighter or darker as a whole, and a band hidden now and
    then: other microphones, other noise."""
    count = len(pictures)
    shift = rng.normal(0, 0.02, (count, 1, 1, pictures.shape[3])).astype(np.float32)
    pictures = pictures + torch.from_numpy(shift)
    for n in np.flatnonzero(rng.random(count) < 0.2):
        first, width = 2 * int(rng.integers(26)), 2 * int(rng.integers(1, 5))
        pictures[n, :, :, first : first + width] = pictures[n].mean()
    return pictures.clamp(0, 1).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def predict(net: ActivityNet, of: Material) -> Float:
    """Logits float32[R] of every row in steps of 16; 0 in the black ones, and at streams' ends."""
    net.eval()
    out = np.zeros(len(of.rows), np.float32)
    starts = places(of)
    starts = starts[np.unique(starts // STRETCH, return_index=True)[1]]
    for part in np.array_split(starts, max(len(starts) // 32, 1)):
        told = net(windows(of.rows, part, STRETCH)).numpy()
        out[part[:, None] + ROWS - STEP + np.arange(STRETCH)] = told
    return out


def check(net: ActivityNet, valid: Material) -> float:
    """Area under the curve, frames that are known to be speech against the others."""
    told = predict(net, valid)
    asked = told != 0
    return auc(told[asked], valid.spoken[asked] > 0.5)


def auc(scores: Float, truth: NDArray[np.bool_]) -> float:
    """Area under the receiver operating characteristic (Mann & Whitney 1947), ties a half."""
    _, rank, count = np.unique(scores, return_inverse=True, return_counts=True)
    below = np.cumsum(count) - count + (count + 1) / 2
    ranks = below[rank]
    positive = int(truth.sum())
    negative = len(truth) - positive
    if not positive or not negative:
        return float("nan")
    least = positive * (positive + 1) / 2
    return float((ranks[truth].sum() - least) / (positive * negative))
