"""How readily rare expressions are named: logit adjustment, chosen on a trade-off curve.

A network trained on what cameras meet hardly names what is rare there. Adding `-strength * log
(share of the class)` to the logits gives rare classes their due (Menon et al. 2021,
arXiv:2007.07314); at strength 1 all classes would count alike. It costs accuracy where classes are
as common as in training. Here it is added for the rarest three only, up to the share of the fourth:
on the five common classes it loses more than it gains. Added once to the last layer's bias it costs
nothing at run time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import EXPRESSIONS, Float
from tools.eval.expression.metrics import rounded

RARE = ("disgust", "fear", "contempt")
STRENGTHS = tuple(round(0.05 * k, 2) for k in range(21))
PRICE = 0.002
"""Top-1 accuracy that may be lost against the best strength."""


def adjustment(shares: Float, strength: float) -> Float:
    """What is added to logits float32[8], from the shares of the classes in training."""
    rare = np.array([name in RARE for name in EXPRESSIONS])
    least = shares[~rare].min()
    gain = -strength * np.log(np.maximum(shares, 1e-6) / least)
    return np.where(rare, np.maximum(gain, 0.0), 0.0).astype(np.float32)


def mean_recall(said: NDArray[Any], truth: NDArray[Any]) -> float:
    """Balanced accuracy: the mean over the classes that occur."""
    return float(np.mean([(said[truth == k] == k).mean() for k in np.unique(truth)]))


def trade_off(
    logits: Float, truth: NDArray[Any], shares: Float, strengths: tuple[float, ...] = STRENGTHS
) -> list[dict[str, float]]:
    """Accuracy and balanced accuracy at each strength.

    `logits` must be at the temperature at which they are probabilities, or the strengths mean
    something else.
    """
    curve = []
    for strength in strengths:
        said = (logits + adjustment(shares, strength)).argmax(1)
        curve.append(
            {
                "strength": strength,
                "top1": rounded((said == truth).mean()),
                "balanced": rounded(mean_recall(said, truth)),
            }
        )
    return curve


def choose(curve: list[dict[str, float]], price: float = PRICE) -> float:
    """The strength of best balanced accuracy at which top-1 is at most `price` below the best."""
    best = max(point["top1"] for point in curve)
    affordable = [point for point in curve if point["top1"] >= best - price]
    return max(affordable, key=lambda point: (point["balanced"], -point["strength"]))["strength"]
