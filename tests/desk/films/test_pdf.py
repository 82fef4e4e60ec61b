"""The PDF: all chapters, vectors and text, no picture but where one was asked for."""

from __future__ import annotations

import re
import zlib

import cv2
import numpy as np
import pytest

from agent.desk.films.chapters import About, document
from agent.desk.films.document import Still
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
