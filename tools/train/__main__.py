"""`python -m tools.train <model>|all`: data and training, then `python -m tools.eval.publish`.

`--data clean` trains the second set of models, only on sources whose terms allow any use (see
`tools.train.clean.sources`); other options are those of each model's training.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

MODELS = ("detector", "landmarks", "expression", "micro", "voice", "activity", "text")

NEEDED = ("torch", "litert_torch", "ai_edge_quantizer", "soundfile", "onnxruntime")


def main(argv: Sequence[str]) -> int:
    """Hand over to the module of one model, or of each in turn; torch is imported only there."""
    if not argv or argv[0] not in (*MODELS, "all"):
        names = "|".join((*MODELS, "all"))
        print(f"usage: python -m tools.train {{{names}}} [options]", file=sys.stderr)
        return 2
    for name in MODELS if argv[0] == "all" else argv[:1]:
        code = _train(name, list(argv[1:]))
        if code:
            return code
    return 0


def _train(name: str, options: list[str]) -> int:
    try:
        if "clean" in options and name != "activity":  # that has nothing to do with faces
            from tools.train.clean import prepare

            prepare.prepare()
        module = importlib.import_module(f"tools.train.{name}.loop")
    except ModuleNotFoundError as error:
        if error.name in NEEDED:
            print(
                f"Training needs {error.name}, which is not installed: pip install '.[train]'",
                file=sys.stderr,
            )
            return 1
        raise
    return int(module.main(options))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
