"""A page: valid, alone, without pictures, with a caveat beside every figure."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from dataclasses import replace

import pytest

from agent.desk.films import caveats
from agent.desk.films.chapters import About, document
from agent.desk.films.document import Figure, Still
from agent.desk.films.draw_faces import MOST_MARKS
from agent.desk.films.findings import Findings, entry, find
from agent.desk.films.html import as_html
from agent.desk.films.index import SCRIPT, Entry
from agent.desk.films.index import as_html as index_html
from agent.desk.films.style import STYLE
from tests.desk.films.made import analysed, config, findings
from tests.desk.films.pages import check

ABOUT = About("clip.mp4", 1_400_000, "2026-11-30 10:00 UTC")
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>&amp;{{x}}.mp4'


@pytest.fixture(scope="module")
def page() -> str:
    return as_html(document(findings(), ABOUT))


def test_the_page_is_valid_alone_and_shows_nobody(page: str) -> None:
    parsed = check(page)
    names = [name for name, _ in parsed.elements]
    assert (
        names.count("h1")
        == names.count("main")
        == names.count("title") - len(re.findall("<title>", page.split("</head>")[1]))
    )
    assert not {"img", "script", "iframe", "object", "link", "image"} & set(names)
    assert "data:" not in page.replace("data: ", "")
    assert {"highlights", "timeline", "expressions", "valence", "attention", "units", "micro",
            "voice", "quality", "refused", "sources"} <= set(parsed.ids)  # fmt: skip


def test_headings_go_down_by_one_and_every_table_has_a_caption(page: str) -> None:
    parsed = check(page)
    levels = [int(name[1]) for name, _ in parsed.elements if re.fullmatch(r"h\d", name)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    names = [name for name, _ in parsed.elements]
    assert names.count("table") == names.count("caption") > 4
    assert all(a.get("scope") for name, a in parsed.elements if name == "th")


def test_every_figure_has_its_caveat_with_a_source() -> None:
    figures = [b for b in document(findings(), ABOUT).blocks if isinstance(b, Figure)]
    assert len(figures) >= 8
    for figure in figures:
        assert len(figure.caveat.text) > 60
        assert figure.caveat.sources
        assert set(figure.caveat.sources) <= set(caveats.SOURCES)
        assert figure.alt
    assert len({figure.caveat.text for figure in figures}) == len(figures)


def test_the_figures_are_those_found(page: str) -> None:
    text = " ".join(check(page).text)
    found = findings()
    assert f"{len(found.micro)} in {found.analysable / 60:.1f} analysable face-minutes" in text
    assert found.expected is not None
    assert f"about {found.expected:.1f} expected by chance alone" in text
    for name, share in found.shares.items():
        assert f"{share:.1%}" in text, name
    for row in found.micro:
        assert f"{row['score']:.2f}" in text
    assert found.manifest.hash16 in text
    assert "policy demo" in text


def test_hostile_names_are_text() -> None:
    for name in (HOSTILE, "caf\udce9.mp4", "a\nb\x1b[31m.mp4", "\u202e4pm.exe", "x" * 4000):
        whole = as_html(document(findings(), About(name, 1, "now")))
        parsed = check(whole)
        whole.encode("utf-8")
        names = {tag for tag, _ in parsed.elements}
        assert not {"script", "img"} & names
        assert "\x1b" not in whole
        assert "\u202e" not in whole
        index = index_html(
            [Entry(name, "x", None, f"{name} is broken.")], ["visits.csv"], 0, pdf=True
        )
        assert [tag for tag, _ in check(index).elements].count("script") == 1
        index.encode("utf-8")


def test_what_the_policy_forbids_is_not_said() -> None:
    given = config(privacy={"policy": "classroom", "notice_shown": True, "consent": True},
                   device={"place": "education", "region": "other"})  # fmt: skip
    found = find(analysed(given), given)
    parsed = check(as_html(document(found, ABOUT)))
    assert not {"expressions", "valence", "units", "micro", "voice"} & set(parsed.ids)
    assert {"timeline", "quality", "refused"} <= set(parsed.ids)
    text = " ".join(parsed.text)
    assert "happiness" not in text
    assert "AU12" not in text
    assert list(found.events) == []
    assert found.highlights == []


def test_pictures_are_said_where_there_are_some() -> None:
    still = Still(b"\xff\xd8\xff", "Picture of the film at 0:01.0", "1. 0:01.0", 320, 240)
    page = as_html(document(findings(), ABOUT, [still]))
    images = [a for name, a in check(page).elements if name == "img"]
    assert [a["alt"] for a in images] == ["Picture of the film at 0:01.0"]
    assert "The stills below show people" in page
    assert "img-src data:" in page


def test_the_security_policy_lets_only_what_is_in_the_page(page: str) -> None:
    def hash_of(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    index = index_html([], [], 0, pdf=False)
    for whole in (page, index):
        found = dict(check(whole).elements)["meta"]
        assert found
        (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', whole)
        assert "default-src 'none'" in policy
        assert f"'sha256-{hash_of(STYLE)}'" in policy
        assert "unsafe-inline" not in policy
        assert "style=" not in whole.split("</head>")[1]
    assert f"'sha256-{hash_of(SCRIPT)}'" in index
    assert "script-src" not in page.split("</head>")[0]


def empty() -> Findings:
    analysis = analysed(times=0)
    return find(analysis, config())


def test_a_film_without_anybody_has_a_page() -> None:
    parsed = check(as_html(document(empty(), ABOUT)))
    text = " ".join(parsed.text)
    assert "Nothing stands out" in text
    assert "There was no visit" in text
    assert "micro-expressions: none could be seen" in text
    assert entry(empty())["micro"] is None


def test_a_film_that_failed_is_one_sentence_beside_its_name() -> None:
    failed = Entry("a.mp4", "a-1", None, "a.mp4 is not a video that can be opened.")
    parsed = check(index_html([failed], [], 0, pdf=True))
    heads = sum(name == "th" and a.get("scope") == "col" for name, a in parsed.elements)
    (cell,) = [a for name, a in parsed.elements if name == "td"]
    assert cell["colspan"] == str(heads - 1)


def test_every_cell_of_the_index_says_what_it_is() -> None:
    parsed = check(index_html([Entry("a.mp4", "a-1", entry(findings()))], [], 0, pdf=True))
    named = [a.get("data-h") for name, a in parsed.elements if name == "td"]
    assert len(named) == sum(a.get("scope") == "col" for _, a in parsed.elements) - 1
    assert all(named)


def test_a_long_film_has_a_page_of_bounded_size() -> None:
    found = findings()
    many = [row for row in found.micro for _ in range(600)]
    assert len(many) > 10 * MOST_MARKS
    few, large = replace(found, micro=many[:MOST_MARKS]), replace(found, micro=many)
    sizes = [len(as_html(document(each, ABOUT))) for each in (few, large)]
    assert sizes[1] < 1.1 * sizes[0]
    assert f"the {MOST_MARKS} strongest of {len(many):,}" in as_html(document(large, ABOUT))
    tones = [row for row in found.tones for _ in range(600)]
    words = [{**row, "kind": "words", "label": "positive"} for row in tones]
    page = as_html(document(replace(found, tones=tones, words=words), ABOUT))
    assert len(page) < 1.1 * sizes[0]
    assert f"mostly {tones[0]['label']}" in page
    assert "mostly positive" in page
