"""Which of the pixel formats, sizes and rates that a V4L2 camera offers is used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.perceive.capture import v4l2_abi as abi
from agent.perceive.capture.pixel_formats import LAYOUTS, RAW

if TYPE_CHECKING:  # the capture process does without pydantic
    from agent.base.config import SourceConfig

COMPRESSED = {"MJPG": 4, "JPEG": 4, "H264": 8, "HEVC": 9}
"""Formats of `compressed`, with their ranks among the `pixel_formats.Layout`s'."""
KNOWN = LAYOUTS.keys() | COMPRESSED.keys()
_ENOUGH = 0.99
"""Share of the wanted rate: 29.97 is 30."""


@dataclass(frozen=True, slots=True)
class Mode:
    """A pixel format with a size and the highest rate it is offered at."""

    code: int
    """V4L2's pixel format."""
    width: int
    """Pixels."""
    height: int
    fps: float = 0.0
    """Frames per second; 0: the driver lists none."""


def suited(offered: Iterable[Mode], config: SourceConfig) -> list[Mode]:
    """Known modes, best first, one for each pixel format: that with the wanted size, else the next
    larger one, else the largest; of several formats one that reaches the wanted rate there, then
    the cheapest to read."""
    best: dict[int, tuple[tuple[float, bool, int], Mode]] = {}
    for mode in offered:
        name = abi.fourcc(mode.code)
        if name not in KNOWN:
            continue
        slow = 0 < mode.fps < config.fps * _ENOUGH
        rank = COMPRESSED[name] if name in COMPRESSED else LAYOUTS[name].rank
        key = (_mismatch(mode, config), slow, rank)
        if mode.code not in best or key < best[mode.code][0]:
            best[mode.code] = key, mode
    return [mode for _, mode in sorted(best.values(), key=lambda each: each[0])]


def gives_pictures(offered: Iterable[Mode]) -> bool:
    """Whether a format is known that is not raw Bayer, which wants an image processor."""
    return not {abi.fourcc(mode.code) for mode in offered}.isdisjoint(KNOWN - RAW)


def fitted(wanted: int, least: int, most: int, step: int) -> int:
    """The side nearest above `wanted` that can be chosen in steps."""
    step = max(1, step)
    steps = -(-max(0, wanted - least) // step)
    return min(most, least + steps * step)


def _mismatch(mode: Mode, config: SourceConfig) -> float:
    """0: the wanted size; up to 1: larger, by how much; above: smaller."""
    if (mode.width, mode.height) == (config.width, config.height):
        return 0.0
    wanted, given = config.width * config.height, max(1, mode.width * mode.height)
    if mode.width >= config.width and mode.height >= config.height:
        return 1.0 - wanted / given / 2.0
    return 3.0 - min(1.0, given / wanted)
