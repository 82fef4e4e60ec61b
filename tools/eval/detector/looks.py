"""`python -m tools.eval.publish looks`: fit probabilities and thresholds of the detector anew, for
the networks that lie in `models`, without training or converting anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.common.errors import ToolError
from tools.common.files import MODELS
from tools.eval import data
from tools.eval.detector.published import table
from tools.eval.detector.thresholds import measured, parameters_of
from tools.eval.ours import open_set
from tools.eval.shipping import Shipment
from tools.train import manifest


def fitted(which: str, models: Path) -> dict[str, Any]:
    """`thresholds.measured` on what is held out for this set's choices."""
    if which == manifest.SETS["clean"]:
        from tools.train.clean import sources as clean

        scenes = data.scenes_of(*clean.detector_scenes(), "held out")
        return measured(models, which, scenes, clean.detector_blanks(), False)
    return measured(models, which, data.scenes(), data.negatives(), True)


def publish(chosen: str, seed: int, models: Path = MODELS) -> None:
    """Write the parameters of the detector's entry in the manifest, its figures and card.

    `chosen` as in `--data`. Raises `ToolError` where the set is incomplete.
    """
    which = manifest.SETS[chosen]
    entry = open_set(which, models).manifest.entry("detector")
    found = fitted(which, models)
    if not found:
        raise ToolError("The set lacks a model; nothing was changed.")
    outputs = [output.name for output in entry.outputs]
    shipment = Shipment("detector", which, outputs, entry.training_data, entry.terms, models)
    kept: Mapping[str, Any] = {
        name: entry.parameters[name] for name in ("score_above", "nms_above")
    }
    shipment.declare({**kept, **parameters_of(found)})
    figures = json.loads((shipment.folder / "figures.json").read_text(encoding="utf-8"))
    figures["thresholds"] = {"detector_alone": kept["score_above"], **found}
    shipment.report(figures, table(figures))
    print(table(figures))
