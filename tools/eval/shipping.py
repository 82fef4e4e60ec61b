"""Steps of publishing that all TFLite models share: file, figures, card, manifest entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.common.files import run_folder, save_atomically, save_json
from tools.eval import card
from tools.train import lite, manifest
from tools.train.clean import origins

if TYPE_CHECKING:
    from tools.train.convert import Converted


@dataclass(frozen=True, slots=True)
class Shipment:
    """One model of one set, on its way into `models`."""

    name: str
    which: str
    """The set."""
    outputs: Sequence[str]
    training_data: Sequence[str]
    terms: str
    models: Path
    ranges: Mapping[str, tuple[float, float]] | None = None
    """Of float32 outputs."""

    @property
    def folder(self) -> Path:
        """Where it lies below `models`."""
        return manifest.model_folder(self.name, self.which, self.models)

    def place(self, made: Converted) -> None:
        """The int8 file; the float one stays beside the checkpoint, for `tools.eval`."""
        save_atomically(self.folder / "model.tflite", made.int8_file)
        run = self.name if self.which == manifest.SETS["all"] else f"{self.name}-{self.which}"
        save_atomically(run_folder(run) / "float.tflite", made.float_file)

    def declare(self, parameters: Mapping[str, manifest.Number]) -> None:
        """The manifest entry of the file in its place."""
        entry = manifest.entry(
            self.name,
            self.folder / "model.tflite",
            self.outputs,
            self.training_data,
            self.terms,
            parameters,
            self.ranges,
            self.models,
            self.which,
        )
        manifest.write(entry, self.models)

    def report(self, figures: Mapping[str, Any], table: str) -> None:
        """`figures.json`, their table in the card, and in the clean set's the table of origins."""
        save_json(self.folder / "figures.json", figures)
        card.update_published(self.folder / "CARD.md", table)
        if self.which == manifest.SETS["clean"]:
            chain = origins.table(origins.OF[self.name])
            card.update_published(self.folder / "CARD.md", chain, card.CHAIN)


def file_figures(made: Converted, runs: int, digits: int = 2) -> dict[str, Any]:
    """Size, work, share in XNNPACK and latency on one thread of the int8 file."""
    return {
        "bytes": len(made.int8_file),
        "million_macs": round(lite.multiply_accumulates(made.int8_file) / 1e6, digits),
        "delegated": made.delegated,
        "one_thread": lite.LiteModel(made.int8_file).latency(runs),
    }
