"""The commands of three pages are run as they stand there, and print what is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.common.errors import ToolError
from tools.docs import executed
from tools.docs.pages import DOCS

PAGES = ("five-minutes", "kiosk", "fleet", "researcher", "school")
WHOLE = ("five-minutes", "kiosk", "fleet")
"""Where each block is run, but for what asks for root, a running device or minutes."""
ELSEWHERE = re.compile(r"^(sudo |sh tools/(fleet/)?run-demo\b|printf .* \| socat )")
"""`run-demo` is run by continuous integration, and by a test of its own."""


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_a_page_does_what_it_says(name: str, tmp_path: Path) -> None:
    executed.like_the_clone(tmp_path)
    run = list(executed.run(DOCS / f"{name}.md", tmp_path))
    assert run
    assert any(block.result for block, _ in run)


@pytest.mark.parametrize("name", WHOLE)
def test_no_command_is_left_out(name: str) -> None:
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    for code in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in code.splitlines():
            assert ELSEWHERE.match(line), f"{name}.md: {line}"


def test_what_is_not_printed_is_missed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh run\necho one\necho two\n```\n\n```text result\no…e\ntwo\n```\n")
    assert len(list(executed.run(page, tmp_path))) == 1
    page.write_text("```sh run\necho one\necho two\n```\n\n```text result\ntwo\none\n```\n")
    with pytest.raises(ToolError, match="'one' is not printed"):
        list(executed.run(page, tmp_path))
    page.write_text("```sh run\nfalse\n```\n")
    with pytest.raises(ToolError, match="exit code 1"):
        list(executed.run(page, tmp_path))
