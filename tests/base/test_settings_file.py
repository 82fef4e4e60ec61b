"""Settings files as editors leave them."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from agent.base import settings_file
from agent.base.errors import ConfigError
from agent.base.settings_file import load


def put(folder: Path, data: bytes) -> Path:
    (folder / "a.toml").write_bytes(data)
    return folder / "a.toml"


@pytest.mark.parametrize(
    "data",
    [
        b'\xef\xbb\xbf[device]\nid = "a"\n',
        b'\xef\xbb\xbf[device]\r\nid = "a"\r\n',
        b'[device]\r\nid = "a"\r\n',
        b'[device]\rid = "a"\r',
        b'[device]\nid = "a"',
    ],
)
def test_marks_and_line_ends_do_not_matter(tmp_path: Path, data: bytes) -> None:
    assert load(put(tmp_path, data)).device.id == "a"


def test_what_a_power_cut_left_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds nothing but zeros.*Write it anew"):
        load(put(tmp_path, bytes(512)))


@pytest.mark.parametrize("code", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_are_named(tmp_path: Path, code: str) -> None:
    with pytest.raises(ConfigError, match=r"not UTF-8\. Save it as UTF-8"):
        load(put(tmp_path, '[device]\nid = "a"\n'.encode(code)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[device]\nid = fleeting\n", r"line 2, column 6: Invalid value\. Text stands in quotes"),
        ("[device\nid = 1", r"line 1, .*A section is \[name\]"),
        ('[device]\nid = "a"\nid = "b"', r"line 3, .*A key stands once"),
        ('[device]\n[mqtt]\n[device]\nid = "a"', r"line 3, .*A section stands once"),
        ('[store]\noutbox = "C:\\data"', r"line 2, .*backslash is written twice"),
        ('[device]\nid = "abc', r"Text ends with its quotes on the same line"),
        ("[mqtt]\nport 1883\n", r"line 2, .*A line is key = value"),
        ("\n\n= 3\n", r"line 3, "),
    ],
)
def test_what_is_no_toml_is_refused_with_line_and_remedy(
    tmp_path: Path, text: str, says: str
) -> None:
    path = put(tmp_path, text.encode())
    with pytest.raises(ConfigError, match=says) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path} is not valid TOML")


def test_a_byte_of_another_encoding_is_found_by_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"in line 2 stands a byte that is no UTF-8"):
        load(put(tmp_path, b'[device]\nid = "caf\xe9"\n'))


def test_what_cannot_be_a_settings_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="File name too long"):
        load(tmp_path / ("n" * 256))
    with pytest.raises(ConfigError, match="larger than 1 MB"):
        load(put(tmp_path, b"#" * 1_000_001))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a = " + "[" * 50_000, "too deep"),
        (".".join("a" * 5_000) + " = 1", "too deep"),
        ("[source]\nfps = " + "9" * 5_000, "thousands of digits"),
        ('[store]\noutbox = "a\\u0000b"', "a text with a zero in it"),
        ("\n".join(f"k{n} = 1" for n in range(100)), "k19: unknown key; and 80 more"),
        ("[source]\nfps = 9" + "0" * 400, r"\(got 90*\.\.\.0*\)"),
        ("k" * 9_000 + " = 1", "cannot be used: k{100}: unknown key"),
    ],
)
def test_what_no_person_wrote_is_refused_in_a_few_words(
    tmp_path: Path, text: str, says: str
) -> None:
    path = put(tmp_path, text.encode())
    with pytest.raises(ConfigError, match=says) as caught:
        load(path)
    assert len(str(caught.value)) < 1000


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "a.toml"
    os.mkfifo(pipe)
    text = b"# " + b"x" * 100_000 + b'\n[device]\nid = "mine"\n'  # more than a pipe holds
    writer = threading.Thread(target=pipe.write_bytes, args=(text,))
    writer.start()
    assert load(pipe).device.id == "mine"
    writer.join()
    reading, writing = os.pipe()
    os.write(writing, b'device.id = "yours"')
    os.close(writing)
    assert load(Path(f"/dev/fd/{reading}")).device.id == "yours"  # as the shell's <(...)
    os.close(reading)


def test_a_pipe_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_file, "_PATIENCE", 0.01)
    pipe = tmp_path / "a.toml"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match=r"a\.toml is a pipe .* name a file"):
        load(pipe)
    # one who has begun and does not end
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(pipe, os.O_WRONLY)
    os.write(writer, b"[device]\n")
    with pytest.raises(ConfigError, match="did not come to an end"):
        load(pipe)
    os.close(writer)
    os.close(reader)
