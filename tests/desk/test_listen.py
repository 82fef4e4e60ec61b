"""`fleeting listen`, as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agent.base.assets import CLIP
from agent.cli import main
from tests.perceive.capture.test_sound_file import write_video, write_wav
from tests.voice.test_listener import scene


def listen(*arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, inside its sandbox."""
    command = [sys.executable, "-m", "agent.cli", "listen", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_clips_speech_as_json_and_as_a_picture(tmp_path: Path) -> None:
    picture = tmp_path / "sound.png"
    done = listen(str(CLIP), "--json", "--plot", str(picture))
    assert done.returncode == 0, done.stderr
    *stretches, total = map(json.loads, done.stdout.splitlines())
    assert {each["event"] for each in stretches} == {"speech"}
    assert all(abs(sum(each["probabilities"].values()) - 1) < 1e-3 for each in stretches)
    planted = json.loads(CLIP.with_suffix(".json").read_text())["speech"]
    for each in stretches:
        assert any(p["start"] - 0.5 < each["start"] < p["end"] for p in planted)
    assert total["event"] == "sound"
    assert total["seconds"] == pytest.approx(48, abs=0.2)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_several_files_one_of_them_without_sound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = write_video(tmp_path / "silent.mkv", 1.0, None)
    voice = write_wav(tmp_path / "voice.wav", scene((0.5, False), (2.0, True)), 16000)
    assert main(["listen", str(silent), str(voice), "--json"]) == 1
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert {line["file"] for line in lines} == {"voice.wav"}
    assert lines[-1]["speech_seconds"] == pytest.approx(2.0, abs=0.5)
    assert "silent.mkv holds no sound" in err


def test_what_is_wrong_with_the_sound_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clipped = np.clip(200 * scene((2.0, True)), -1, 1)
    silent = np.zeros(32000, np.float32)
    for name, sound, fault in (("c.wav", clipped, "clipped"), ("s.wav", silent, "silent")):
        assert main(["listen", str(write_wav(tmp_path / name, sound, 16000)), "--json"]) == 0
        total = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert total["faults"][fault] == pytest.approx(2.0, abs=0.3)


def test_a_plot_of_several_files_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["listen", "a.wav", "b.wav", "--plot", str(tmp_path / "x.png")]) == 78
    assert "A plot shows one file" in capsys.readouterr().err
