"""The shipped models, opened as the agent opens them; and their float files where there are any."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from agent.base.config import AgentConfig
from agent.base.types import Float, Grey, Infer
from agent.inference.manifest import SETS, Manifest, ModelEntry, load_manifest, models_folder
from agent.inference.tflite import Model, open_model
from agent.vision.faces.detect import FaceDetector
from agent.vision.faces.landmarks import LandmarkEstimator
from tools.common.command import REFERENCE
from tools.common.files import ROOT
from tools.common.machine import machine
from tools.eval.latency import latency
from tools.train.lite import LiteModel, delegated_share, multiply_accumulates

NO_FLOAT = (
    "no float network that belongs to the shipped one lies in runs; the figures of tools.train "
    "compare both"
)


@dataclass(frozen=True, slots=True, eq=False)
class Ours:
    """One set of models."""

    which: str
    config: AgentConfig
    manifest: Manifest

    def parameters(self, name: str) -> Mapping[str, Any]:
        """Of one model's manifest entry."""
        return self.manifest.parameters(name)

    def card(self, name: str) -> Path:
        """The model card, beside the model's file."""
        if name == "fusion":  # no model of its own
            return self.manifest.path.parent / "fusion" / "CARD.md"
        weights = self.manifest.weights.get(name)
        file = weights.file if weights else self.manifest.entry(name).file
        return file.parent / "CARD.md"

    def model(self, name: str) -> Model:
        """The int8 network. Raises `ModelError`."""
        return open_model(self.manifest, name)

    def detector(self, score_above: float, infer: Infer | None = None) -> FaceDetector:
        """As the agent builds it, with another threshold."""
        return FaceDetector(infer or self.model("detector"), score_above)

    def placer(self, infer: Infer | None = None) -> LandmarkEstimator:
        """As the agent builds it."""
        return LandmarkEstimator(infer or self.model("landmarks"))

    def exact(self, name: str) -> Infer | None:
        """The float network before quantisation, where training left `runs/<name>/float.tflite`.

        None where there is none, or where it is not the one that the shipped model came from.
        """
        folder = ROOT / "runs" / (name if self.which == SETS[0] else f"{name}-{self.which}")
        path = folder / "float.tflite"
        if not path.is_file():
            return None
        infer = float_network(path, self.manifest.entry(name))
        return infer if _belongs(infer, self.model(name)) else None

    def file_figures(self, name: str) -> dict[str, Any]:
        """Size, work, share in XNNPACK and processor time of one call on this machine."""
        entry = self.manifest.entry(name)
        content = entry.read()
        infer = self.model(name)
        blank = np.full(infer.size, 128, np.uint8)
        return {
            "bytes": len(content),
            "sha256": entry.sha256,
            "million_macs": round(multiply_accumulates(content) / 1e6, 2),
            "delegated": round(delegated_share(content), 4),
            "one_thread": latency(lambda: infer(blank)),
            "machine": machine(),
            "boards": boards(self.manifest, name),
        }


def open_set(which: str, folder: Path | None = None) -> Ours:
    """Open a set of models. Raises `ModelError` where it is absent or altered."""
    cv2.setNumThreads(1)
    config = AgentConfig.model_validate({"models": folder, "model_set": which})
    return Ours(which, config, load_manifest(models_folder(config.models), which))


def float_network(path: Path, entry: ModelEntry) -> Infer:
    """A float file with the outputs of `entry`, in their order."""
    model = LiteModel(path)
    names = [output.name for output in entry.outputs]

    def infer(picture: Grey) -> dict[str, Float]:
        return dict(zip(names, model(picture), strict=True))

    return infer


def _belongs(exact: Infer, shipped: Infer) -> bool:
    """True where both answer random smooth pictures alike: correlation above 0.9 in each output."""
    size = getattr(shipped, "size", (112, 112))
    rng = np.random.default_rng(5)
    pairs: dict[str, list[tuple[Float, Float]]] = {}
    for _ in range(8):
        coarse = rng.integers(0, 256, (6, 6)).astype(np.uint8)
        picture = cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
        a, b = exact(np.asarray(picture, np.uint8)), shipped(np.asarray(picture, np.uint8))
        for name in b:
            if name not in a or a[name].shape != b[name].shape:
                return False
            pairs.setdefault(name, []).append((a[name].ravel(), b[name].ravel()))
    for both in pairs.values():
        x, y = (np.concatenate(column) for column in zip(*both, strict=True))
        if x.std() > 1e-6 and float(np.corrcoef(x, y)[0, 1]) < 0.9:
            return False
    return True


def boards(manifest: Manifest, name: str) -> list[dict[str, Any]]:
    """Latency on the boards whose figures are stored with tools.bench, for just these models."""
    found = []
    for path in sorted(REFERENCE.glob("*-models.md")):
        report = _report(path)
        if report.get("hash") != manifest.hash16:
            continue
        for row in report.get("models", []):
            if row["model"] == name:
                found.append(
                    {
                        "board": report["machine"]["name"],
                        "min_ms": row["ms_1_thread_min"],
                        "median_ms": row["ms_1_thread"],
                    }
                )
    return found


def _report(path: Path) -> dict[str, Any]:
    """The line of JSON at a stored report's end."""
    for line in reversed(path.read_text(encoding="utf-8").splitlines()):
        if line.startswith("{"):
            content: dict[str, Any] = json.loads(line)
            return content
    return {}
