"""Makes `tiny/`: a network with untrained weights, its manifest and answers, to test the runtime.

From a 16x16 grey picture come a 4x4 map of two channels and six numbers: both int8 in
`tiny.tflite`, both float32 in `tiny_float.tflite`. Run from the repository's root, where the
training extra is installed:

    python -m tests.golden.make_tiny
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tools.train import convert, manifest
from tools.train.lite import LiteModel

FOLDER = Path(__file__).parent / "tiny"


class Tiny(nn.Module):  # type: ignore[misc]
    """float32[1, 1, 16, 16] to float32[1, 2, 4, 4] and float32[1, 6]."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(4, 8, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.map = nn.Conv2d(8, 2, 1)
        self.head = nn.Linear(128, 6)

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.body(picture)
        return self.map(features), self.head(features.flatten(1))


def main() -> None:
    """Write tests/golden/tiny/."""
    torch.manual_seed(7)
    rng = np.random.default_rng(7)
    pictures = [rng.integers(0, 256, (16, 16), dtype=np.uint8) for _ in range(64)]
    network = Tiny().eval()
    whole = convert.to_float(network, (16, 16), channel_last_outputs=[0])
    FOLDER.mkdir(exist_ok=True)
    for name, float_operations in (("tiny", ()), ("tiny_float", ("FULLY_CONNECTED",))):
        file = FOLDER / f"{name}.tflite"
        file.write_bytes(convert.to_int8(whole, pictures, float_operations))
        table = manifest.entry(
            name,
            file,
            outputs=["map", "head"],
            training_data=["none: untrained weights"],
            terms="Apache-2.0",
            parameters={"threshold": 0.5, "scales": [1.0, 2.0]},
            ranges={"map": (-10.0, 10.0), "head": (-10.0, 10.0)},
            models=FOLDER,
        )
        manifest.write(table, models=FOLDER)
    golden(pictures[:4])


def golden(pictures: list[np.ndarray]) -> None:
    """Answers of the runtime it was made with; others may differ by some int8 steps."""
    answers: dict[str, Any] = {"pictures": np.stack(pictures)}
    for name in ("tiny", "tiny_float"):
        model = LiteModel(FOLDER / f"{name}.tflite")
        found = [model(picture) for picture in pictures]
        for place, output in enumerate(("map", "head")):
            answers[f"{name}_{output}"] = np.stack([one[place] for one in found])
    np.savez_compressed(FOLDER / "answers.npz", **answers)


if __name__ == "__main__":
    main()
