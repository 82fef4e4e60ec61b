"""Files of any name, for every verb that takes files: it works, or one sentence says why not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from agent.cli import build_parser, main
from tests.desk.spot.tracks import save, still
from tests.perceive.capture.test_sound_file import write_video, write_wav

NAMES = [
    b"caf\xe9\n10:20", b"[red]$a^{$", b"-dash '\"\\ 100%s", b"\x1b[31m", "日本👩\u202e".encode(),
    b"http:", b"7",
]  # fmt: skip


def named(folder: Path, name: bytes, ending: str) -> Path:
    return folder / os.fsdecode(name + ending.encode())


def assert_clean(text: str) -> None:
    """It can be printed and sent, and moves no cursor."""
    text.encode("utf-8")
    assert all(line.isprintable() or not line for line in text.replace("\u200d", "").split("\n"))


@pytest.mark.slow
def test_replay_draws_and_tells_of_any_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_video(tmp_path / "a.mkv", 0.3, None)
    for name in NAMES[:2]:
        video = named(tmp_path, name, ".mkv")
        video.write_bytes(source.read_bytes())
        outputs = [named(tmp_path, name, ending) for ending in (".png", ".npz")]
        places = ["--plot", str(outputs[0]), "--trace", str(outputs[1])]
        assert main(["replay", *places, "--", str(video)]) == 0, name
        assert all(each.stat().st_size for each in outputs)
        assert_clean("".join(capsys.readouterr()))


def test_a_file_named_like_a_camera_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "0").write_bytes(b"no video")
    assert main(["replay", "0"]) == 1
    assert "live source" not in capsys.readouterr().err
    assert main(["replay", "1"]) == 1
    assert "live source" in capsys.readouterr().err


def test_listen_tells_of_any_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_wav(tmp_path / "a.wav", np.zeros(3200, np.float32), 16000)
    files = []
    for name in NAMES:
        files.append(str(named(tmp_path, name, ".wav")))
        Path(files[-1]).write_bytes(source.read_bytes())
    assert main(["listen", "--json", *files]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["file"] for each in lines][:2] == ["caf\\xe9\n10:20.wav", "[red]$a^{$.wav"]
    "".join(each["file"] for each in lines).encode()
    assert main(["listen", *files]) == 0
    text = capsys.readouterr().out
    assert "[red]$a^{$.wav: 0.2 s of sound" in text
    assert_clean(text)


@pytest.mark.slow
def test_spot_draws_beside_any_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in NAMES[:2]:
        track = save(named(tmp_path, name, ".npz"), still(60))
        out = named(tmp_path, name, ".png")
        assert main(["spot", str(track), "--render", str(out)]) == 0
        assert out.stat().st_size
        assert_clean("".join(capsys.readouterr()))


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay"], ["audit"], ["inspect"], ["listen"], ["spot"], ["receipt", "verify"],
        ["enrol"], ["config", "show", "--config"], ["check", "--config"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("long", [False, True])
def test_what_is_not_there_is_one_clean_line(
    tmp_path: Path, arguments: list[str], long: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    name = b"n" * 300 if long else b"caf\xe9\n\x1b[31m"
    assert main([*arguments, os.fsdecode(os.fsencode(tmp_path) + b"/" + name)]) != 0
    out, err = capsys.readouterr()
    said = err if err else out
    assert ("n" * 300 if long else "caf\\xe9\\n\\x1b[31m") in said
    assert_clean(out + err)


@pytest.mark.parametrize("option", ["--plot", "--trace"])
def test_outputs_of_any_length(
    tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mkv").write_bytes(b"")
    for name, says in (("x" * 255, "is empty"), ("x" * 256, "cannot be written: File name too")):
        assert main(["replay", str(tmp_path / "a.mkv"), option, str(tmp_path / name)]) == 1
        assert says in capsys.readouterr().err


def test_a_name_like_an_option_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-a.jpg").write_bytes(b"")
    monkeypatch.setattr("sys.argv", ["fleeting", "inspect", "-a.jpg"])
    with pytest.raises(SystemExit):
        build_parser().parse_args()
    assert "if -a.jpg is a file, write ./-a.jpg" in capsys.readouterr().err


@pytest.mark.slow
def test_notices_and_receipts_in_folders_of_any_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = named(tmp_path, NAMES[0], "")
    assert main(["notice", "--language", "en", "--json", "--out", str(folder)]) == 0
    out, err = capsys.readouterr()
    files = json.loads(out)["files"]
    assert all("caf\\xe9\n10:20/" in each for each in files)
    assert_clean(err)
    (folder / "receipts").write_text("no receipt\n")
    assert main(["receipt", "verify", "--json", str(folder / "receipts")]) == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert any("caf\\xe9\\n10:20/receipts:1" in each for each in problems)
    "".join(problems).encode()


def test_an_audits_evidence_needs_a_name_that_settings_can_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_video(tmp_path / "a.mkv", 0.3, None)
    assert main(["audit", str(source), "--keep", str(named(tmp_path, b"caf\xe9", ""))]) == 2
    assert "caf\\xe9 has bytes that are no UTF-8" in capsys.readouterr().err
