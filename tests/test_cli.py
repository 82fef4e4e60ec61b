from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli import build_parser, main


def test_every_verb_has_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    verbs = "run perceive uplink demo replay spot inspect check audit notice receipt enrol config"
    for verb in verbs.split():
        assert f"\n    {verb} " in shown


@pytest.mark.parametrize("verb", ["run", "perceive", "uplink", "check", "replay"])
def test_a_wrong_configuration_is_one_line_and_exit_78(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "f.toml"
    file.write_text("[source]\nframerate = 30.0\n")
    arguments = [verb, "--config", str(file)]
    if verb == "replay":
        arguments.insert(1, "video.mp4")
    assert main(arguments) == 78
    error = capsys.readouterr().err
    assert "source.framerate: unknown key" in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


@pytest.mark.parametrize("source", ["0", "/dev/video0", "rtsp://camera/1"])
def test_replay_refuses_a_live_camera(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", source, "--trace", "x.npz"]) == 1
    assert "live source" in capsys.readouterr().err


def test_replay_names_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(tmp_path / "no.mp4")]) == 1
    assert "no.mp4" in capsys.readouterr().err


def test_the_configuration_is_shown_as_toml(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show"]) == 0
    assert "[privacy]" in capsys.readouterr().out


def test_an_unknown_verb_is_refused() -> None:
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args(["spy"])
    assert caught.value.code == 2


@pytest.mark.parametrize("option", ["--trace", "--plot"])
def test_replay_never_replaces_a_device_or_a_folder(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for target in ("/dev/null", str(tmp_path)):
        assert main(["replay", "video.mp4", option, target]) == 1
        assert "no ordinary file" in capsys.readouterr().err
    assert Path("/dev/null").is_char_device()


def test_an_unexpected_error_of_a_service_is_logged_without_its_text() -> None:
    code = (
        "from agent import cli\n"
        "cli._close_tracebacks('perceive')\n"
        "import threading\n"
        "thread = threading.Thread(target=lambda: int('pixels'))\n"
        "thread.start(); thread.join()\n"
        "raise ValueError('pixels')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pixels" not in done.stderr
    assert done.stderr.count("perceive: Unexpected ValueError at ") == 2


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_enrol_makes_folders_for_its_user_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    """Where everybody may write above the key's folder it refuses to work."""
    folder = tmp_path / "a" / "b" / "c"
    command = [sys.executable, "-P", "-m", "agent.cli", "enrol", "--renew", "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, umask=umask)
    assert "Nothing is known here yet" in done.stderr
    for each in (folder, *folder.parents[:2]):
        assert each.stat().st_mode & 0o707 == 0o700


def test_a_home_folder_after_an_equals_sign_and_an_empty_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.toml").write_text('[device]\nid = "mine"\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable, arguments in (("", ["--config=~/a.toml"]), ("~/a.toml", [])):
        monkeypatch.setenv("FLEETING_CONFIG", variable)
        assert main(["config", "show", *arguments]) == 0
        assert 'id = "mine"' in capsys.readouterr().out
    monkeypatch.setenv("FLEETING_CONFIG", "")
    assert main(["config", "show"]) == 0


def test_run_takes_no_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    assert main(["run", "--config", f"/dev/fd/{reading}"]) == 78
    assert "is a pipe" in capsys.readouterr().err
    os.close(reading)
