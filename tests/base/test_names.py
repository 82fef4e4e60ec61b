"""File names of any bytes as one line of text, and in JSON."""

from __future__ import annotations

import json
import os

import pytest

from agent.base.names import as_utf8, one_line


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (b"plain name.mp4", "plain name.mp4"),
        ("Łódź 👩\u200d🔬.mp4".encode(), "Łódź 👩\u200d🔬.mp4"),
        (b"caf\xe9.mp4", "caf\\xe9.mp4"),
        (b"a\nb\tc\r.mp4", "a\\nb\\tc\\r.mp4"),
        (b"\x1b[2J\x07.mp4", "\\x1b[2J\\x07.mp4"),
        ("\u202egpj.mp4".encode(), "\\u202egpj.mp4"),
        ("a\u0085\u2028b".encode(), "a\\x85\\u2028b"),
        (b"'\"\\`$x", "'\"\\`$x"),
        (b"\xff" * 3, "\\xff\\xff\\xff"),
    ],
)
def test_a_name_is_one_line_that_can_be_printed(name: bytes, line: str) -> None:
    shown = one_line(os.fsdecode(name))
    assert shown == line
    shown.encode("utf-8")
    assert len(shown.splitlines()) == 1


def test_in_json_only_what_is_no_text_is_replaced() -> None:
    for name in (b"a\nb\x1b", "Łódź".encode()):
        assert json.loads(json.dumps(as_utf8(os.fsdecode(name)))) == name.decode()
    said = json.dumps(as_utf8(os.fsdecode(b"caf\xe9")), ensure_ascii=False)
    assert said.encode() == b'"caf\\\\xe9"'
    assert as_utf8("\ud800") == "\\ud800"
