"""Headings, anchors and links as forges make them; figures and markers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.docs import figures, generated, markdown


def test_anchors_are_those_of_forges() -> None:
    text = "# A `b.c`, d\n## Same\n## Same\n```\n# code\n```\n<a id='k'></a>\n### x {#y}\n"
    assert [name for _, _, name in markdown.headings(text)] == ["a-bc-d", "same", "same-1", "y"]
    assert markdown.anchors(text) == {"a-bc-d", "same", "same-1", "y", "k"}
    assert "## Same {#same-1}" in markdown.anchored(text)


def test_links_in_code_are_none() -> None:
    text = "[a](b.md) `[c](d.md)` [`e`](f.md#g)\n```\n[h](i.md)\n```\n![j](k.png)\n"
    assert list(markdown.links(text)) == ["b.md", "f.md#g", "k.png"]
    turned = markdown.relink(text, lambda whole, label, target: whole.replace(target, "X"))
    assert turned.count("(X") == 3
    assert "`[c](d.md)`" in turned


def test_cells_hold_no_bars() -> None:
    assert markdown.table(["a"], [["x | y\nz"]]) == "| a |\n|---|\n| x \\| y z |\n"
    assert "|" not in markdown.code("a|b")


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "tools").glob("*/reference/*-2c-*.md")),
    ids=lambda path: path.stem,
)
def test_every_stored_report_is_read(path: Path) -> None:
    report = figures.read(path)
    assert report.command.startswith("python -m tools.")
    assert report.machine
    assert report.lines


def test_figures_come_with_machine_and_command() -> None:
    shown = figures.figure("tools/bench/reference/amd-epyc-2c-models.md | table: 1")
    assert "| detector |" in shown
    assert "AMD EPYC, 2 cores" in shown
    assert "python -m tools.bench models" in shown
    section = figures.figure("models/detector/CARD.md | section: Limits")
    assert section
    assert not section.startswith("#")


@pytest.mark.parametrize(
    "wish",
    [
        "tools/bench/reference/none.md",
        "tools/bench/reference/amd-epyc-2c-models.md | table: 9",
        "tools/bench/reference/amd-epyc-2c-models.md | table: 1 nobody",
        "tools/bench/reference/amd-epyc-2c-models.md | lines: nobody said this",
        "tools/bench/reference/amd-epyc-2c-models.md | chart: 1",
        "models/detector/CARD.md | section: None",
    ],
)
def test_a_figure_that_is_not_stored_stops_the_build(wish: str) -> None:
    with pytest.raises(ToolError):
        generated.expand(f"<!-- figure: {wish} -->\nx\n<!-- end -->\n")


def test_a_marker_that_names_nothing_stops_the_build() -> None:
    for text in ("<!-- generated: none -->\nx\n<!-- end -->\n", "<!-- end -->\n"):
        with pytest.raises(ToolError):
            generated.expand(text)
