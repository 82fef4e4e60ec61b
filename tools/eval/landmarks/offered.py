"""Presence on what the detector offers: how well it tells faces from the detector's own mistakes.

Candidates of unseen scenes and face-free pictures from a low detection score on, each judged as the
agent judges it: two passes, the presence of the second.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.vision.faces.landmarks import LandmarkEstimator
from tools.common.progress import along
from tools.eval.landmarks.measure import auc
from tools.train.landmarks.candidates import Candidates

SMALL = 24.0
"""Pixels: short side of a small face's box."""
PASSED = (0.001, 0.01)
"""Shares of the false candidates that pass at the operating points shown."""


def presence_figures(place: LandmarkEstimator, candidates: Candidates) -> dict[str, Any]:
    """`summary` of what the agent says of the candidates."""
    pairs = list(zip(candidates.pictures, candidates.keypoints, strict=True))
    said = [place.refine(*pair).presence for pair in along(pairs, "presence of candidates")]
    return summary(np.array(said), candidates)


def summary(value: NDArray[Any], candidates: Candidates) -> dict[str, Any]:
    """AUC by kind of face, faces kept where few false candidates pass, and quantiles.

    `value`: presence float[N], in [0, 1]. Empty where there are no faces, or nothing false.
    """
    present = np.array(candidates.present, np.bool_)
    masked, score = np.array(candidates.masked, np.bool_), np.array(candidates.score)
    small = np.array(candidates.side) < SMALL
    false = value[~present]
    if not len(false) or not present.any():
        return {}
    kinds = {
        "all faces": present,
        "bare": present & ~masked,
        "masked": present & masked,
        f"below {SMALL:g} px": present & small,
        "not found by the detector": present & np.isnan(score),
    }
    kinds = {name: rows for name, rows in kinds.items() if rows.any()}
    score = np.nan_to_num(score, nan=0.0)
    return {
        "faces": int(present.sum()),
        "false": len(false),
        "detector_auc": round(auc(score[present], score[~present]), 4),
        "auc": {name: round(auc(value[rows], false), 4) for name, rows in kinds.items()},
        "kept": {
            f"{share:.1%}": {
                name: round(float((value[rows] > np.quantile(false, 1 - share)).mean()), 4)
                for name, rows in kinds.items()
            }
            for share in PASSED
        },
        "quantiles": {
            name: [round(float(q), 3) for q in np.quantile(value[rows], (0.02, 0.1, 0.5))]
            for name, rows in kinds.items()
        },
    }
