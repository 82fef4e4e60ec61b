"""`python -m tools.train <model>`: data -> training -> conversion -> evaluation -> card figures."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

MODELS = ("detector", "landmarks", "expression")


def main(argv: Sequence[str]) -> int:
    """Hand over to the module of one model; it imports torch only when it is wanted."""
    if not argv or argv[0] not in MODELS:
        print(f"usage: python -m tools.train {{{'|'.join(MODELS)}}} [options]", file=sys.stderr)
        return 2
    try:
        module = importlib.import_module(f"tools.train.{argv[0]}")
    except ModuleNotFoundError as error:
        if error.name in ("torch", "litert_torch", "ai_edge_quantizer", "tqdm"):
            print(
                f"Training needs {error.name}, which is not installed: pip install '.[train]'",
                file=sys.stderr,
            )
            return 1
        raise
    return int(module.main(list(argv[1:])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
