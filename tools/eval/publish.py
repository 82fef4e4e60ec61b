"""`python -m tools.eval.publish MODEL`: from a checkpoint to the shipped model.

Converts the averaged weights, chooses thresholds on held-out data, measures, and writes the model's
file, its figures, the card's part and the manifest entry. `python -m tools.train` ends with it.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from agent.base.errors import AgentError
from tools.train.manifest import SETS

MODELS = ("detector", "landmarks", "expression", "micro", "looks", "voice", "activity", "text")
"""`looks`: no network, but how those of detector and landmarks are judged together."""
MODULES = {"looks": "tools.eval.detector.looks"}
"""Where they are not in `tools.eval.<model>.publish`."""
NEEDED = ("torch", "litert_torch", "ai_edge_quantizer", "soundfile", "onnxruntime")


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.eval.publish", description=__doc__)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--data", choices=tuple(SETS), default="all", help="see tools.train")
    parser.add_argument("--seed", type=int, default=68, help="of the calibration crops (landmarks)")
    args = parser.parse_args(argv)
    try:
        module = importlib.import_module(
            MODULES.get(args.model, f"tools.eval.{args.model}.publish")
        )
    except ModuleNotFoundError as error:
        if error.name not in NEEDED:
            raise
        print(f"Publishing needs {error.name}: pip install '.[train]'", file=sys.stderr)
        return 1
    try:
        module.publish(args.data, args.seed)
    except AgentError as error:
        print(f"publish: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
