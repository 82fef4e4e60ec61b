"""Every kind of video file that docs/formats.md calls tested."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from agent.perceive.capture.video_file import VideoFile
from tests.perceive.capture.films import KINDS, LEVELS, Kind, film, quarters, seen

COUNT = 6
PAGE = (Path(__file__).parents[3] / "docs" / "formats.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.row}: {kind.codec} {kind.pix_fmt}")
def test_a_kind_is_read_as_it_was_written(kind: Kind, tmp_path: Path) -> None:
    path = film(
        tmp_path / f"a.{kind.ending}", kind.codec, [quarters(*kind.size)] * COUNT,
        pix_fmt=kind.pix_fmt, options=kind.options, form=kind.form,
    )  # fmt: skip
    source, rate = VideoFile(path), 25 * kind.doubles
    frames = list(source)
    assert len(frames) == COUNT * kind.doubles
    times = np.array([frame.time for frame in frames])
    np.testing.assert_allclose(
        np.diff(times), 1 / rate, atol=0.011 if kind.ending == "gif" else 0.002
    )
    assert 0.0 <= times[0] <= 2 / 25
    for frame in frames:
        assert frame.luma.dtype == np.uint8
        assert frame.luma.flags.c_contiguous
        np.testing.assert_allclose(seen(frame.luma), LEVELS, atol=kind.tolerance)
    assert source.flags == set()
    assert source.fps_nominal == pytest.approx(rate)


def test_the_page_lists_what_is_tested_and_nothing_else() -> None:
    section = PAGE.partition("## Moving pictures")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+?) +\| read +\| yes +\|", section, re.M)
    assert sorted(rows) == sorted({kind.row for kind in KINDS})
