"""An agent that leaks on purpose is found out, leak by leak."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.desk.audit.clip import frames, write
from tools.robustness.__main__ import main
from tools.robustness.leaks.registry import KINDS


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("clip") / "clouds.mkv", frames(40))


def findings(kind: str, clip: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    assert main(["leaks", kind, str(clip), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"] == "fail"
    assert report["blind"] == []
    return list(report["findings"])


@pytest.mark.slow
def test_leaks_of_perceive_are_each_found(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one run, for the time it takes, here as below; every leak leaves traces of its own."""
    found = findings("base64+landmarks+float+log+words+pages+socket+gone", clip, capsys)
    schema = " ".join(each["what"] for each in found if each["detector"] == "schema")
    assert all(name in schema for name in ("'note'", "'points'", "'preview'"))
    wire = [each for each in found if each["where"].startswith("uplink to broker")]
    assert any("32x24" in each["what"] and "base64" in each["what"] for each in wire)
    assert any("24x18" in each["what"] and "numbers" in each["what"] for each in wire)
    log = [each["detector"] for each in found if "perceive.log" in each["where"]]
    assert {"file", "pixels"} <= set(log)
    words = [each["detector"] for each in found if each["where"].startswith("perceive's words")]
    assert {"entropy", "pixels"} <= set(words)
    pages = [each["what"] for each in found if each["detector"] == "residue"]
    assert any(int(each.split()[0]) > 4000 for each in pages)
    # past the messages
    what = [each["what"] for each in found]
    assert any("pixels in a row" in each and "160x120" in each for each in what)
    assert any(each["detector"] == "file" and "scratch" in each["where"] for each in found)


STRACE = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is missing")


@STRACE
@pytest.mark.slow
def test_leaks_through_names_attributes_and_before_the_sandbox_closes_are_each_found(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = (
        "names", "folders", "links", "socketname", "renames", "kernel", "times", "modes", "sizes",
        "xattr", "threadname", "early", "earlysocket", "child", "topic",
    )  # fmt: skip
    found = findings("+".join(kinds), clip, capsys)
    calls = " ".join(each["what"] for each in found if each["detector"] == "call")
    for call in ("mkdir", "rmdir", "symlink", "rename", "chmod", "truncate", "setxattr",
                 "utimensat", 'PR_SET_NAME, "', ".nbc", "early.raw", "sendto",
                 "AF_UNIX, SOCK_DGRAM", "AF_INET, SOCK_DGRAM", "execve", "pipe:["):  # fmt: skip
        assert call in calls, call
    names = {each["where"] for each in found if each["detector"] == "file"}
    assert any(each.startswith("outbox/0-") for each in names)
    assert any(each.startswith("kernels/") for each in names)
    assert any(each["what"].startswith("the topic") for each in found)
    pixels = {each["where"] for each in found if each["detector"] == "pixels"}
    assert any("early.raw" in each for each in pixels)
    assert any("sendto" in each for each in pixels)


@pytest.mark.slow
def test_leaks_in_words_memory_and_the_outbox_s_rows_and_pages_are_each_found(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = (
        "dictionary", "template", "number", "index", "rowtimes", "counters", "counternames",
        "header", "slack",
    )  # fmt: skip
    found = findings("+".join(kinds), clip, capsys)
    words = " ".join(each["what"] for each in found if each["detector"] == "words")
    for what in ("weather: ", "lines of trouble", "Warm after"):
        assert what in words, what
    assert any("-shm" in each["where"] for each in found if each["detector"] == "pixels")
    what = " | ".join(each["what"] for each in found if each["detector"] == "residue")
    assert re.search(r"time \d+\.\d", what)
    for part in (
        "counter ('receipt_upto'", "counter ('n", "the file's header", "in free space",
    ):  # fmt: skip
        assert part in what, what


@pytest.mark.slow
def test_leaks_in_fields_of_packets_are_each_found(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In two runs: each names its own bytes."""
    what = [each["what"] for each in findings("session+expiry+reason+health", clip, capsys)]
    assert any(each.startswith("CONNECT is not as configured: from byte 14") for each in what)
    assert any(each.startswith("not the packet of a summary message") for each in what)
    assert any(each.startswith("a packet of type 14 with 2") for each in what)
    assert any(each.startswith("a health message") for each in what)
    what = [each["what"] for each in findings("limits+propertynames+ids", clip, capsys)]
    assert any(each.startswith("CONNECT is not as configured: from byte 21") for each in what)
    assert any("packet id" in each for each in what)
    assert any(each.startswith("not the packet of a summary message") for each in what)


@pytest.mark.slow
def test_leaks_of_sound_and_a_leaked_word_are_each_found(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = findings("pcm+logmel+opus+word", clip, capsys)
    where = {name: [each["where"] for each in found if each["detector"] == name]
             for name in ("sound", "spectrum", "magic", "schema", "residue", "file", "phrase",
                          "words")}  # fmt: skip
    assert any(each.startswith("uplink to broker") for each in where["sound"])
    assert any("outbox.db" in each for each in where["sound"])
    assert any("features.bin" in each for each in where["spectrum"])
    assert any(each.startswith("uplink to broker") for each in where["magic"])
    assert where["schema"]
    assert where["residue"]
    assert any("features.bin" in each for each in where["file"])
    assert any(each.startswith("perceive's words") for each in where["phrase"])
    assert any(each.startswith("perceive's words") for each in where["words"])


def test_the_kinds_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaks", "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(KINDS)


def test_unknown_kinds_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["leaks", "base65", "video.mp4"])
    assert "no such kind: base65" in capsys.readouterr().err
