"""Codes, names, the open session, and what is left of one that was withdrawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.perceive.traces import session
from agent.perceive.traces.session import (
    OpenSession,
    end_session,
    file_name,
    mark_of,
    name_of,
    new_code,
    open_session,
    parts_of,
    read_open,
    read_withdrawn,
    this_machine,
    withdraw,
)


def test_a_code_names_its_session_however_it_is_typed() -> None:
    code = new_code()
    assert len(code) == 23
    name = name_of(code)
    assert name is not None
    assert name_of(code.lower().replace("-", " ")) == name
    assert name_of(code.replace("1", "I").replace("0", "o")) == name
    assert len({name_of(new_code()) for _ in range(100)}) == 100


@pytest.mark.parametrize("code", ["", "ABC", "U" * 20, "!" * 20, "A" * 21])
def test_what_is_no_code_names_nothing(code: str) -> None:
    assert name_of(code) is None


def test_a_session_is_read_as_it_was_opened_and_ends(tmp_path: Path) -> None:
    name = name_of(new_code())
    assert name is not None
    one = OpenSession(name, 600, 50.0, this_machine())
    assert read_open(tmp_path) is None
    open_session(tmp_path, one)
    assert read_open(tmp_path) == one
    assert [one.at(each) for each in (49.0, 50.0, 649.0, 650.0)] == [None, 0.0, 599.0, None]
    assert OpenSession(name, 600, 50.0, "another start").at(60.0) is None
    assert not end_session(tmp_path, "0" * 32)
    assert end_session(tmp_path, name)
    assert not end_session(tmp_path)


@pytest.mark.parametrize(
    "said",
    [
        b"", b"[]", b"{", b"\xff", b"[" * 900,
        json.dumps({"name": "../x", "seconds": 9, "began": 1, "machine": ""}).encode(),
        json.dumps({"name": "a" * 32, "seconds": 1e9, "began": 1, "machine": ""}).encode(),
        json.dumps({"name": 5, "seconds": 9, "began": 1, "machine": ""}).encode(),
        json.dumps({"name": "a" * 32, "seconds": "9", "began": 1, "machine": ""}).encode(),
    ],
)  # fmt: skip
def test_a_file_that_says_none_opens_none(tmp_path: Path, said: bytes) -> None:
    (tmp_path / session.OPEN).write_bytes(said)
    assert read_open(tmp_path) is None


def test_withdrawing_leaves_a_hash_and_nothing_else(tmp_path: Path) -> None:
    code, other = new_code(), new_code()
    name, kept = name_of(code), name_of(other)
    assert name is not None
    assert kept is not None
    open_session(tmp_path, OpenSession(name, 600, 50.0, this_machine()))
    for each in (file_name(name, 1), file_name(name, 12), file_name(kept, 1), "notes.txt"):
        (tmp_path / each).write_bytes(b"x")
    assert [path.name for path in withdraw(tmp_path, name)] == [
        file_name(name, 1), file_name(name, 12),
    ]  # fmt: skip
    assert withdraw(tmp_path, name) == []
    assert {path.name for path in tmp_path.iterdir()} == {
        file_name(kept, 1), "notes.txt", session.WITHDRAWN,
    }  # fmt: skip
    assert read_withdrawn(tmp_path) == {mark_of(name)}
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert name.encode() not in left
    assert code.encode() not in left


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    names = [name_of(new_code()) for _ in range(2)]
    assert all(names)
    withdraw(tmp_path, str(names[0]))
    with (tmp_path / session.WITHDRAWN).open("ab") as file:
        file.write(b"0123abc")
    withdraw(tmp_path, str(names[1]))
    assert {mark_of(str(name)) for name in names} <= read_withdrawn(tmp_path)


def test_files_are_found_in_order_and_others_left_alone(tmp_path: Path) -> None:
    name = "ab" * 16
    for each in ("-10.trace", "-2.trace", "-1.trace", "-0.trace", "-1.trace.tmp", "-x.trace"):
        (tmp_path / (name + each)).touch()
    assert [path.name for path in parts_of(tmp_path)[name]] == [
        file_name(name, n) for n in (1, 2, 10)
    ]
