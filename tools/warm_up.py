"""`python -m tools.warm_up`: write the pictures that every start of the perceive process looks at.

A few of the bundled clip, of a visitor in full view, one below the other in one JPEG file. Run it
after the clip was made anew.
"""

from __future__ import annotations

import sys
from itertools import islice

import cv2
import numpy as np

from agent.base.assets import CLIP, WARM_UP, WARM_UP_FRAMES
from agent.perceive.capture.video_file import VideoFile
from tools.common.files import ROOT, save_atomically

_FIRST = 55
"""Picture of the clip: the first visitor has come in."""
_QUALITY = 85


def main() -> int:
    """Write it; returns 0."""
    tall = np.vstack([
        frame.luma for frame in islice(VideoFile(CLIP), _FIRST, _FIRST + WARM_UP_FRAMES)
    ])  # fmt: skip
    _, data = cv2.imencode(".jpg", tall, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    save_atomically(WARM_UP, data.tobytes())
    print(f"{WARM_UP.relative_to(ROOT)}: {data.size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
