"""The updater as a process: alone, in its sandbox, from a stick, and what `status` says."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from agent.base.config import AgentConfig
from agent.base.errors import ConfigError, StoreError
from agent.base.settings_file import as_toml, parse
from agent.host.sandbox import landlock
from agent.update.errors import UpdateError
from agent.update.media import newest
from agent.update.process import run_updater, status
from tests.update.archives import install, package
from tools.common.files import ROOT


@pytest.fixture(autouse=True)
def temporary_files_where_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """The updater moves its process's into its own folder, for good."""
    monkeypatch.setattr(tempfile, "tempdir", tempfile.tempdir)


def configuration(tmp_path: Path, **more: object) -> AgentConfig:
    settings = {
        "folder": str(tmp_path / "slots"), "exchange": str(tmp_path / "exchange"),
        "root": str(tmp_path / "root.json"), **more,
    }  # fmt: skip
    return parse({"update": settings}, "the test")


def test_two_updaters_do_not_work_at_once(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    (tmp_path / "slots").mkdir()
    with (tmp_path / "slots/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UpdateError, match="Another updater") as caught:
            run_updater(config, threading.Event())
        assert caught.value.reason == "busy"


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    (tmp_path / "slots").mkdir()
    os.chown(tmp_path / "slots", 12345, -1)
    with pytest.raises(ConfigError, match="sudo -u"):
        run_updater(config, threading.Event())
    assert list((tmp_path / "slots").iterdir()) == []


def test_a_place_that_cannot_be_made_and_a_stick_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "slots").write_text("a file")
    with pytest.raises(StoreError, match="cannot be used"):
        run_updater(configuration(tmp_path), threading.Event())
    (tmp_path / "slots").unlink()
    (tmp_path / "stick").mkdir()
    with pytest.raises(StoreError, match="no update repository"):
        run_updater(configuration(tmp_path), threading.Event(), media=tmp_path / "stick")


def test_status_of_a_fresh_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = configuration(tmp_path)
    assert status(config, as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["slot"], found["confirmed"], found["phase"]) == ("base", "base", None)
    install(package("0.2.0"), tmp_path / "slots/a")
    (tmp_path / "slots/current").symlink_to("a")
    assert status(config, as_json=False) == 0
    said = capsys.readouterr().out
    assert "package 0.2.0, models 0.2.0 (slot a)" in said
    assert "has yet to prove itself" in said


@pytest.mark.parametrize("folder", ["", "repository"])
def test_the_newest_release_on_a_stick(folder: str, tmp_path: Path) -> None:
    place = tmp_path / folder / "targets"
    for name in (
        f"app/{'a' * 64}.app-0.2.0.tar.gz", "app/app-0.10.0.tar.gz", "app/app-0.9.0.tar.gz",
        "models/models-3.0.0.tar.gz", "app/models-9.0.0.tar.gz", "app/app-99.0.0.zip",
        "app/app-1.0.tar.gz", "app/.app-9.9.9.tar.gz", "other/app-8.0.0.tar.gz",
    ):  # fmt: skip
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).touch()
    stick = tmp_path / folder
    first = newest(stick, "0.1.0", "0.1.0", frozenset())
    assert first is not None
    assert (first.kind, first.version) == ("app", "0.10.0")
    again = newest(stick, "0.1.0", "0.1.0", frozenset({first.job}))
    assert again is not None
    assert again.version == "0.9.0"
    then = newest(stick, "0.10.0", "0.10.0", frozenset())
    assert then is not None
    assert (then.kind, then.version) == ("models", "3.0.0")
    assert newest(stick, "0.10.0", "3.0.0", frozenset()) is None
    assert newest(tmp_path / "none", "0.1.0", "0.1.0", frozenset()) is None


ATTEMPTS = """
import os, pathlib, socket, subprocess, sys
from agent.host.sandbox.enter import enter_updater
mine, other = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
layers = enter_updater([], [mine], {7})
def tries(name, call):
    try:
        call()
        print(name, "open")
    except OSError:
        print(name, "refused")
print("layers", *layers)
tries("own file", lambda: (mine / "x").write_text("x"))
tries("own link", lambda: (mine / "l").symlink_to("x"))
tries("own rename", lambda: (mine / "x").rename(mine / "y"))
tries("other file", lambda: (other / "x").write_text("x"))
tries("other read", lambda: (other / "secret").read_text())
tries("program", lambda: subprocess.run(["/bin/true"], check=True))
tries("fork", os.fork)
tries("device", lambda: open("/dev/kmsg").close())
tries("port", lambda: socket.create_connection(("127.0.0.1", 9), 1))
tries("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
tries("mode", lambda: os.chmod(mine / "y", 0o777))
"""


def test_the_updater_is_confined_to_its_own(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    for each in (mine, other):
        each.mkdir()
    (other / "secret").write_text("x")
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, str(mine), str(other)], cwd="/",
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    first, *lines = done.stdout.splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines)
    assert {found[each] for each in ("own file", "own link", "own rename")} == {"open"}
    if "seccomp" in first:
        assert {found[each] for each in ("program", "fork", "raw", "mode")} == {"refused"}
    if "landlock" in first and landlock.version() >= 4:
        for name in ("other file", "other read", "device", "port"):
            assert found[name] == "refused"


def test_the_command_line_says_what_is_wrong(tmp_path: Path) -> None:
    settings = tmp_path / "fleeting.toml"
    settings.write_text(as_toml(configuration(tmp_path)))

    def fleeting(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "agent.cli", "update", *words, "--config", str(settings)],
            capture_output=True, text=True, check=False, timeout=60,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    done = fleeting("install")
    assert (done.returncode, "Which stick?" in done.stderr) == (78, True)
    done = fleeting("run", "--media", "/x")
    assert (done.returncode, "goes with `install`" in done.stderr) == (78, True)
    done = fleeting("run")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "exchange/installed.json").read_bytes()).keys() == {
        "app", "models",
    }  # fmt: skip
    assert json.loads(fleeting("status", "--json").stdout)["slot"] == "base"
