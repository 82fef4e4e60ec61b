"""Subtitles beside a film are its words: both formats, whatever is wrong with them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from agent.base.errors import CaptureError
from agent.desk.films.subtitles import Subtitles, beside, read

SRT = """\ufeff1
00:00:01,000 --> 00:00:02,500
<i>This is wonderful</i>,
thank you.

2
00:00:05,000 --> 00:00:06,000 X1:40 X2:600
{\\an8}I hate it &amp; leave

not a cue
3
01:00:00,000 --> 01:00:01,000
"""
VTT = """WEBVTT - a title

NOTE
This is 00:00 no cue

STYLE
::cue { color: red }

intro
00:03.000 --> 00:04.250 align:start
<v Anna>Good morning

1:00:00.000 --> 1:00:02.000
late
"""


def test_both_formats_are_read(tmp_path: Path) -> None:
    srt, vtt = tmp_path / "a.srt", tmp_path / "b.vtt"
    srt.write_text(SRT, encoding="utf-8")
    vtt.write_text(VTT.replace("\n", "\r\n"), newline="")
    assert read(srt) == [(2.5, "This is wonderful, thank you."), (6.0, "I hate it & leave")]
    assert read(vtt) == [(4.25, "Good morning"), (3602.0, "late")]


def test_lines_come_once_when_they_were_said(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text(SRT, encoding="utf-8")
    lines = Subtitles(tmp_path / "a.srt")
    assert lines.poll() == []
    lines.until(2.6)
    assert lines.poll() == ["This is wonderful, thank you."]
    assert lines.poll() == []
    lines.until(100.0)
    assert lines.poll() == ["I hate it & leave"]


def test_a_film_has_those_of_its_name(tmp_path: Path) -> None:
    film = tmp_path / "caf\udce9 : 1.mp4"
    assert beside(film) is None
    (tmp_path / "caf\udce9 : 1.vtt").write_text(VTT)
    assert beside(film) == tmp_path / "caf\udce9 : 1.vtt"
    (tmp_path / "caf\udce9 : 1.srt").write_text(SRT)
    assert beside(film) == tmp_path / "caf\udce9 : 1.srt"


def test_garbage_has_no_lines_and_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    garbage = tmp_path / "a.srt"
    garbage.write_bytes(random.Random(1).randbytes(5000) + b"\n99:99:99,999 --> 00:00:00,000\n\n")
    assert read(garbage) == []
    with pytest.raises(CaptureError, match=r"gone\.srt cannot be read"):
        read(tmp_path / "gone.srt")
    link = tmp_path / "b.srt"
    link.symlink_to(garbage)
    with pytest.raises(CaptureError):
        read(link)
