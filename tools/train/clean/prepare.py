"""Everything that the clean set learns from, made once: `python -m tools.train.clean.prepare`.

Renders faces, labels photographs and moves them to other expressions, into `runs/clean`. What is
there is not made again; half an hour of one core.
"""

from __future__ import annotations

import cv2

from tools.train.clean import photographs, reenacted, render


def prepare() -> None:
    """Make what is missing."""
    cv2.setNumThreads(1)
    if not photographs.FILE.is_file():
        photographs.label()
    for kind in render.KINDS:
        render.draw(kind)
    reenacted.draw()


if __name__ == "__main__":
    prepare()
