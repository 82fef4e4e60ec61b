"""The PDF: all chapters, vectors and text, no picture but where one was asked for."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from matplotlib.font_manager import get_font

from agent.desk import sheet
from agent.desk.films.chapters import About, document
from agent.desk.films.document import Document, Still
from agent.desk.films.pdf import as_pdf
from tests.desk.films.made import findings

ABOUT = About("clip <3> ねこ $x^2$.mp4", 1_400_000, "2026-11-30 10:00 UTC")


@pytest.fixture(scope="module")
def pdf() -> bytes:
    return as_pdf(document(findings(), ABOUT))


def streams(pdf: bytes) -> bytes:
    """All that is compressed in it."""
    found = []
    for each in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            found.append(zlib.decompress(each))
        except zlib.error:
            found.append(each)
    return b"".join(found)


def test_it_has_pages_and_no_picture(pdf: bytes) -> None:
    assert pdf.startswith(b"%PDF-")
    assert 3 <= len(re.findall(rb"/Type /Page\b", pdf)) <= 12
    assert b"/Subtype /Image" not in pdf
    assert b"/FontFile2" in pdf
    text = streams(pdf)
    assert b" re" in text or b" l" in text
    assert len(re.findall(rb"T[jJ]", text)) > 200


def test_it_is_the_same_each_time(pdf: bytes) -> None:
    assert as_pdf(document(findings(), ABOUT)) == pdf


def test_a_still_that_was_asked_for_is_in_it() -> None:
    _, jpeg = cv2.imencode(".jpg", np.full((240, 320), 90, np.uint8))
    still = Still(jpeg.tobytes(), "Picture", "1. 0:01.0", 320, 240)
    assert b"/Subtype /Image" in as_pdf(document(findings(), ABOUT, [still]))


def test_a_name_that_no_font_has_is_written_in_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "FONTS", ())
    sheet.substitute.cache_clear()
    assert sheet.writable("café ねこ.mp4") == "café \\u306d\\u3053.mp4"
    sheet.substitute.cache_clear()


def test_a_name_that_another_font_has_is_drawn_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    monkeypatch.setattr(sheet, "FONTS", (fonts,))
    sheet.substitute.cache_clear()
    known = get_font(str(fonts / "STIXGeneral.ttf")).get_charmap()
    other = next(chr(c) for c in known if chr(c).isprintable() and sheet.missing_glyphs(chr(c)))
    name = f"film {other}.mp4"
    assert sheet.writable(name) == name
    plain, drawn = (
        streams(as_pdf(Document(each, ""))) for each in ("film .mp4", name)
    )  # the second with outlines in place of text
    assert drawn.count(b" c\n") > plain.count(b" c\n")
    assert len(re.findall(rb"T[jJ]", drawn)) < len(re.findall(rb"T[jJ]", plain))
    sheet.substitute.cache_clear()
