"""Pictures that are none: frozen, green, black, covered.

A sensor's noise changes some bytes of every picture with light in it, even of a wall at night. So
a picture with content that repeats byte for byte is one that somebody sends again: the camera, its
driver or a virtual camera with a still. Where nearly nothing is between black and white, noise is
cut off, and repetition says nothing: a dark room is not frozen.

A driver that delivers a buffer of zeros gives black luma and colour samples of zero, which is a
vivid green; black is zero luma (16 at limited range) with colour samples in the middle (128). Both
frozen and green are mended by opening the camera again. Darkness and a covered lens are not, and
are only reported: nothing restarts for a room without light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Stalled = Literal["frozen", "green"]
"""Mended by opening the camera again."""
Blind = Literal["black", "covered"]
"""Only reported."""

_REPEATS = 3
"""Identical pictures after the first, at least, of a frozen one: at one frame a second five seconds
are few."""
_DARK, _BRIGHT = 20, 240
"""Grey levels outside of which a sensor's noise may be cut off."""
_CONTENT = 0.02
"""Share of pixels between them, from which on identical pictures are frozen."""
_BLACK = 24.0
"""Grey level that 99.5 % of a black picture's blocks stay below: limited range's 16, and noise."""
_COVERED_FACTOR = 6
"""A covered lens is reported after so many times `stall`: a person may walk past close by."""
_FLAT_STEP, _FLAT_EDGE = 2.5, 8.0
"""Grey levels between neighbouring blocks that the 95th and 100th percentile of a covered lens's
picture stay below. It lets light through, softly; the edges of things are steeper."""
_BLOCKS, _BLOCK = 32, 16
"""Blocks across at most, and pixels of a side at least: noise is averaged in them."""
_LOOK = 0.5
"""Seconds between looks at darkness and contrast."""


class Judge:
    """Looks at each picture of one camera; remembers the last one."""

    def __init__(self, stall: float) -> None:
        """`stall`: seconds after which a picture that does not change, or is green, is a stall,
        and darkness is reported."""
        self._stall = stall
        self.changed = False
        """Whether two different pictures were seen since `restart`."""
        self.blind: Blind | None = None
        """What has been wrong with the picture for long enough to be said."""
        self.restart()

    def restart(self) -> None:
        """The camera was opened again: nothing is compared with what it gave before."""
        self._last: NDArray[np.uint8] | None = None
        self._sum = -1
        self._since = self._green_since = 0.0
        self._repeats = 0
        self._look_at = 0.0
        self._blind: Blind | None = None
        self._blind_since = 0.0
        self.changed = False

    def __call__(
        self, now: float, luma: NDArray[np.uint8], checksum: int, green: bool
    ) -> Stalled | None:
        """Take one picture. `now`: monotonic seconds; `checksum`: equal for equal pictures."""
        first = self._last is None
        if self._is_repeated(luma, checksum):
            self._repeats += 1
        else:
            self.changed = self.changed or not first
            self._since, self._repeats = now, 0
        self._last, self._sum = luma, checksum
        if first or not green:
            self._green_since = now
        elif now - self._green_since > self._stall:
            return "green"
        if now >= self._look_at:
            self._look_at = now + _LOOK
            self._look(now, luma, green)
        stands = now - self._since > self._stall and self._repeats >= _REPEATS
        return "frozen" if stands and _has_content(luma) else None

    def _is_repeated(self, luma: NDArray[np.uint8], checksum: int) -> bool:
        last = self._last
        return (
            last is not None
            and self._sum == checksum
            and last.shape == luma.shape
            and bool((last == luma).all())
        )

    def _look(self, now: float, luma: NDArray[np.uint8], green: bool) -> None:
        found = None if green else blindness(luma)
        if found != self._blind:
            self._blind, self._blind_since = found, now
        after = self._stall * (_COVERED_FACTOR if found == "covered" else 1)
        self.blind = found if found and now - self._blind_since >= after else None


def blindness(luma: NDArray[np.uint8]) -> Blind | None:
    """Whether one picture shows nothing: black, or without any structure. What has none and is dark
    is darkness, not a covered lens."""
    import cv2
    import numpy as np

    from agent.vision.exposure import exposure

    height, width = luma.shape
    across = max(10, min(_BLOCKS, width // _BLOCK))
    down = max(2, min(height, round(across * height / width)))
    blocks = np.asarray(cv2.resize(luma, (across, down), interpolation=cv2.INTER_AREA), np.int16)
    if np.percentile(blocks, 99.5) <= _BLACK:
        return "black"
    steps = np.concatenate([np.abs(np.diff(blocks, axis=axis)).reshape(-1) for axis in (0, 1)])
    wide = _BLOCKS / across  # the fewer blocks, the farther from one to the next
    if np.percentile(steps, 95) <= wide * _FLAT_STEP and steps.max() <= wide * _FLAT_EDGE:
        return "black" if exposure(luma).state == "dark" else "covered"
    return None


def _has_content(luma: NDArray[np.uint8]) -> bool:
    import numpy as np

    part = luma[:: max(1, luma.shape[0] // 120), :: max(1, luma.shape[1] // 160)]
    return float(np.mean((part > _DARK) & (part < _BRIGHT))) >= _CONTENT
