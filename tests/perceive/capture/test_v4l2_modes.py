"""Choosing among what a camera offers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.base.config import SourceConfig
from agent.perceive.capture.v4l2_abi import code_of, fourcc
from agent.perceive.capture.v4l2_modes import KNOWN, Mode, fitted, gives_pictures, suited

VGA = SourceConfig(width=640, height=480, fps=30.0)


def mode(name: str, width: int = 640, height: int = 480, fps: float = 30.0) -> Mode:
    return Mode(code_of(name), width, height, fps)


@pytest.mark.parametrize(
    ("offered", "best"),
    [
        ([mode("MJPG"), mode("YUYV")], mode("YUYV")),  # uncompressed
        ([mode("MJPG"), mode("YUYV", fps=10)], mode("MJPG")),  # what USB 2 has no bandwidth for
        ([mode("YUYV", fps=15), mode("GREY", fps=5)], mode("GREY", fps=5)),  # neither reaches it
        ([mode("H264"), mode("MJPG")], mode("MJPG")),
        ([mode("H264")], mode("H264")),
        ([mode("YUYV", fps=0)], mode("YUYV", fps=0)),  # no rates are listed
        ([mode("YUYV", 320, 240), mode("YUYV", 1280, 720)], mode("YUYV", 1280, 720)),
        ([mode("YUYV", 1920, 1080), mode("YUYV", 800, 600)], mode("YUYV", 800, 600)),
        ([mode("YUYV", 160, 120), mode("YUYV", 320, 240)], mode("YUYV", 320, 240)),
        ([mode("GREY", 320, 240), mode("MJPG", fps=15)], mode("MJPG", fps=15)),  # size first
        ([mode("RGGB"), mode("Y16 ")], mode("Y16 ")),
        ([mode("YUYV", fps=29.97), mode("MJPG", fps=60)], mode("YUYV", fps=29.97)),
    ],
)
def test_the_best_mode(offered: list[Mode], best: Mode) -> None:
    assert suited(offered, VGA)[0] == best


def test_every_known_format_has_its_turn() -> None:
    offered = [mode("S920"), mode("MJPG"), mode("YUYV"), mode("YUYV", 320, 240)]
    assert [fourcc(each.code) for each in suited(offered, VGA)] == ["YUYV", "MJPG"]
    assert not suited([mode("Z16 ")], VGA)


def test_which_devices_give_pictures() -> None:
    assert gives_pictures([mode("RG10"), mode("UYVY")])
    assert not gives_pictures([mode("RG10"), mode("pBAA")])
    assert not gives_pictures([mode("Z16 ")])
    assert not gives_pictures([])


@pytest.mark.parametrize(("wanted", "side"), [(640, 640), (641, 656), (10, 32), (5000, 4096)])
def test_sides_in_steps(wanted: int, side: int) -> None:
    assert fitted(wanted, 32, 4096, 16) == side


def test_the_table_of_formats_is_whole() -> None:
    text = (Path(__file__).parents[3] / "docs" / "cameras.md").read_text()
    table = text.partition("## Pixel formats")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([^`]{4}|Y16 -BE)`", table)) == KNOWN
