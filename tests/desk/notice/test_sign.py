"""The drawn sign: text fits on the page without overlap."""

from __future__ import annotations

from typing import Any, get_args

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.desk.notice._sign import as_pdf, as_png, draw_sign
from agent.desk.sheet import HEIGHT, MARGIN, WIDTH, missing_glyphs, width_of, wrap
from agent.privacy.policy.profile import Language
from tests.desk.notice.test_words import policy, text

LONGEST = {
    "operator": "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamten" + "W" * 52,
    "contact": "datenschutz-und-kundenfragen@" + "w" * 91,
    "purpose": "Geschwindigkeitsbegrenzungsüberwachung " * 8 + "mmmmmmmm",
    "legal_basis": "W" * 320,
    "retention": "Rindfleischetikettierung " * 12 + "m" * 20,
    "avoid": "m" * 320,
}
SHORT = {"operator": "A", "contact": "b@c"}


def boxes(figure: Any) -> list[tuple[float, float, float, float]]:
    """Left, top, right, bottom of every text, points from the page's top left."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    scale = 72 / figure.dpi
    found = []
    for each in figure.axes[0].texts:
        box = each.get_window_extent(renderer)
        found.append((box.x0 * scale, HEIGHT - box.y1 * scale, box.x1 * scale,
                      HEIGHT - box.y0 * scale))  # fmt: skip
    return found


@pytest.mark.parametrize("words", [LONGEST, SHORT, {}], ids=["longest", "short", "none"])
@pytest.mark.parametrize("language", get_args(Language))
@pytest.mark.slow
def test_nothing_overlaps_and_nothing_leaves_the_page(
    language: Language, words: dict[str, str]
) -> None:
    rules = policy(
        "retail-us-notice",
        {"region": "us"},
        quiet_hours=[f"{hour:02}:00-{hour:02}:30" for hour in range(8)],
        staff_zones=[[[0, 0], [1, 0], [0, 1]]],
    )
    if words is SHORT:
        rules = policy("classroom")
    drawn = boxes(draw_sign(text(rules, language, notice=words, consent=words is LONGEST)))
    assert len(drawn) > 15
    for left, top, right, bottom in drawn:
        assert left >= MARGIN - 2
        assert right <= WIDTH - MARGIN + 2
        assert top >= 0
        assert bottom <= HEIGHT
    for number, one in enumerate(drawn):
        for other in drawn[number + 1 :]:
            across = min(one[2], other[2]) - max(one[0], other[0])
            down = min(one[3], other[3]) - max(one[1], other[1])
            assert across <= 0.5 or down <= 1.5, "two lines share ink"


def test_the_main_words_can_be_read_from_two_metres() -> None:
    """Capital letters of at least 1/300 of the distance: 6.7 mm; DejaVu's are 0.73 of its size."""
    figure = draw_sign(text(policy(), notice=SHORT))
    sizes = sorted((each.get_fontsize() for each in figure.axes[0].texts), reverse=True)
    title, statement = sizes[0], sizes[3]
    assert title * 0.73 * 25.4 / 72 >= 6.7
    assert statement * 0.73 * 25.4 / 72 >= 4.4


def test_a_dollar_sign_is_no_formula_and_a_name_no_markup() -> None:
    name = r"A$_B$ & <Sons> \alpha $x^2"
    figure = draw_sign(text(policy(), notice={"operator": name, "contact": "c"}))
    assert name in [each.get_text() for each in figure.axes[0].texts]
    boxes(figure)  # a formula would be parsed here


@pytest.mark.slow
def test_png_and_pdf_are_valid_and_reproducible() -> None:
    sign = text(policy(), notice=SHORT)
    figure, again = draw_sign(sign), draw_sign(sign)
    first, second = (as_pdf(each, "Title") for each in (figure, again))
    assert first == second
    assert first.startswith(b"%PDF-")
    assert b"/FontFile2" in first
    assert b"[ 0 0 595.28" in first.replace(b"[0", b"[ 0")
    picture = cv2.imdecode(np.frombuffer(as_png(figure), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    assert picture.shape == (2338, 1653)
    assert picture[60:300, 120:400].std() > 30, "the pictogram is drawn"


def test_a_face_that_is_only_counted_does_not_smile() -> None:
    drawn = []
    for rules in (policy(), policy("classroom")):
        figure = draw_sign(text(rules))
        figure.set_dpi(72)
        picture = cv2.imdecode(np.frombuffer(as_png(figure), np.uint8), cv2.IMREAD_GRAYSCALE)
        assert picture is not None
        drawn.append(picture[30:130, 42:146])
    assert not np.array_equal(*drawn), "the pictograms are alike"


@given(st.text(st.characters(codec="latin-1", categories=["L", "N", "P"]), min_size=1, max_size=90))
def test_wrapping_loses_nothing_and_keeps_within_the_width(words: str) -> None:
    lines = wrap(words, 12, 100)
    assert "".join(lines).replace(" ", "") == words.replace(" ", "")
    assert all(width_of(line, 12) <= 100 or len(line) == 1 for line in lines)


def test_addresses_break_after_their_signs() -> None:
    lines = wrap("someone.with.a.long.name@another-long-name.example", 12, 200)
    assert len(lines) > 1
    assert all(line[-1] in "@.-" for line in lines[:-1])


def test_letters_that_the_font_lacks_are_known() -> None:
    assert missing_glyphs("Straße, Łódź, Ελλάδα") == ""
    assert missing_glyphs("店 a 店") == "店"
