"""`fleeting check` with working and failing parts."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agent.base.clock import ClockReading
from agent.base.config import AgentConfig
from agent.base.settings_file import parse
from agent.desk import check, check_broker, check_camera
from agent.desk.check import PARTS, PartStatus, main, run_check
from agent.host import heartbeat
from agent.host.launch import Starts
from agent.host.swap import SwapAreas
from tools.common.mosquitto import Mosquitto, free_port, installed

TINY = Path(__file__).parents[1] / "golden" / "tiny"
HALVES = ("perceive", "camera", "uplink")
SHIPPED = Path(__file__).parents[2] / "models"


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """A working configuration, except for the broker: video, three models, writable folder."""
    models = tmp_path / "models"
    shutil.copytree(TINY, models)
    text = (models / "manifest.toml").read_text()
    head, first, second = text.split("[[model]]\n")
    tables = [
        first.replace('"tiny"', '"detector"'),
        first.replace('"tiny"', '"landmarks"'),
        second.replace('"tiny_float"', '"expression"'),
    ]
    shutil.copytree(SHIPPED / "micro", models / "micro")
    weights = "[[weights]]" + (SHIPPED / "manifest.toml").read_text().split("[[weights]]")[1]
    (models / "manifest.toml").write_text("[[model]]\n".join([head, *tables]) + weights)
    film = tmp_path / "film.mkv"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"FFV1"), 30, (64, 48))
    for n in range(75):
        writer.write(np.full((48, 64, 3), 60 + n, np.uint8))
    writer.release()
    return {
        "source": {"kind": "file", "target": str(film), "pace": "fast"},
        "models": str(models),
        "store": {"outbox": str(tmp_path / "outbox.db")},
        "mqtt": {"host": "127.0.0.1", "port": free_port()},
    }


def test_services_are_judged_as_after_an_update(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(heartbeat.FOLDER, str(tmp_path))
    assert line(settings, "services") == PartStatus(
        True, "none runs here, or this user may not see it"
    )
    now = heartbeat.boottime()
    with ExitStack() as stack:
        for name, progress in (("perceive", now - 100), ("uplink", now)):
            record = Starts("base", "-", 1, 7, now - 200).encode()
            (tmp_path / f"{name}.starts").write_bytes(record)
            alive = stack.enter_context((tmp_path / f"{name}.starts").open("r+b"))
            fcntl.flock(alive, fcntl.LOCK_EX)
            beat = heartbeat.Beat(
                7, "0.1.0", "ready", frozenset(), None, now - 190, now - 180, progress
            )
            (tmp_path / name).write_bytes(beat.encode())
        ok, detail, advice = line(settings, "services")
    assert (ok, detail) == (False, "perceive makes no progress, uplink is well")
    assert "fleeting-perceive" in advice


def line(settings: dict[str, Any], name: str) -> PartStatus:
    return run_check(parse(settings, "test"), [name])[name]


def test_every_part_of_a_working_configuration(settings: dict[str, Any]) -> None:
    found = run_check(parse(settings, "test"))
    assert list(found) == [
        "camera",
        "microphone",
        "models",
        "broker",
        "clock",
        "heat",
        "disk",
        "swap",
        "day",
        "updates",
        "traces",
        "services",
        "walls",
    ]
    assert found["camera"].ok
    assert "64x48, 30.0 frames/s of 30 asked" in found["camera"].detail
    assert found["models"].ok
    for text in ("detector", "verified", "set research "):
        assert text in found["models"].detail
    assert found["disk"].ok
    assert found["clock"].ok
    if sys.platform == "linux" and os.uname().machine in ("x86_64", "aarch64"):
        assert found["walls"].ok
        assert "network closed" in found["walls"].detail
        assert "uplink: egress" in found["walls"].detail
    assert list(Path(settings["store"]["outbox"]).parent.glob("tmp*")) == []


@pytest.mark.parametrize(
    ("areas", "counted", "may_lock", "ok", "words"),
    [
        (SwapAreas((), ()), False, False, True, "no swap"),
        (SwapAreas((), ("/dev/zram0",)), False, False, True, "zram only"),
        (SwapAreas(("/swapfile",), ()), True, True, True, "kept out of it"),
        (SwapAreas(("/swapfile",), ()), True, False, True, "cannot lock its memory"),
        (SwapAreas(("/swapfile",), ()), False, True, True, "cgroup_enable=memory"),
        (SwapAreas(("/swapfile",), ()), False, False, False, "sudo swapoff -a"),
    ],
)
def test_swap_on_a_disk_and_what_keeps_frames_out_of_it(
    areas: SwapAreas, counted: bool, may_lock: bool, ok: bool, words: str,
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("agent.host.swap.areas", lambda: areas)
    monkeypatch.setattr("agent.host.swap.counted", lambda: counted)
    monkeypatch.setattr("agent.host.swap.may_lock", lambda: may_lock)
    found = line(settings, "swap")
    assert found.ok is ok
    assert words in f"{found.detail} {found.advice}"


@pytest.mark.parametrize(
    ("perceive", "uplink", "ok", "words"),
    [
        ([], [], True, ""),
        ([], ["address"], True, "only the addresses of its unit"),
        (["inet"], [], False, "they close the network"),
        (["file"], [], True, "says what was tried"),
        ([], ["listen", "address"], True, "open: listen, address"),
    ],
)
def test_what_a_sandbox_found_open_is_said(
    perceive: list[str], uplink: list[str], ok: bool, words: str,
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    network = "open" if "inet" in perceive else "closed"
    cages = [
        {"network": network, "writes": "confined", "found_open": perceive, "layers": ["seccomp"]},
        {"found_open": [], "layers": ["seccomp"]},
        {"egress": "open", "writes": "confined", "found_open": uplink, "layers": []},
    ]
    halves = [{"half": half, "cage": cage} for half, cage in zip(HALVES, cages, strict=True)]
    done = subprocess.CompletedProcess([], 1, json.dumps(halves).encode(), b"")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    found = line(settings, "walls")
    assert found.ok is ok
    assert words in f"{found.detail} {found.advice}"


def test_slow_and_dark_cameras(settings: dict[str, Any], tmp_path: Path) -> None:
    film = tmp_path / "slow.mkv"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"FFV1"), 10, (64, 48))
    for _ in range(30):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    settings["source"]["target"] = str(film)
    found = line(settings, "camera")
    assert found.ok
    assert "Below 25 frames/s no micro-expressions" in found.advice
    settings["micro"] = {"enabled": False}
    assert "Very dark" in line(settings, "camera").advice


def test_a_camera_below_its_rate_fails(settings: dict[str, Any]) -> None:
    from agent.perceive.capture.video_file import VideoFile

    source = VideoFile(Path(settings["source"]["target"]))
    source.live = True
    settings["source"]["fps"] = 60.0
    found = check_camera.measure(source, parse(settings, "test"))
    assert not found.ok
    assert "30.0 frames/s of 60 asked" in found.detail
    assert "light" in found.advice


def test_missing_parts_are_failures_with_advice(settings: dict[str, Any], tmp_path: Path) -> None:
    settings["source"]["target"] = str(tmp_path / "none.mkv")
    settings["store"]["outbox"] = str(tmp_path / "none" / "outbox.db")
    (tmp_path / "models" / "tiny.tflite").unlink()
    lines = run_check(parse(settings, "test"), [*PARTS][:-1])
    for name, text in (
        ("camera", "none.mkv does not exist"),
        ("models", "cannot be read"),
        ("broker", "refused"),
        ("disk", "No such file"),
    ):
        assert not lines[name].ok
        assert text in lines[name].detail
        assert lines[name].advice
    assert lines["microphone"].ok  # optional: a note only


def test_a_manifest_without_a_needed_model_fails(settings: dict[str, Any]) -> None:
    settings["models"] = str(TINY)
    found = line(settings, "models")
    assert not found.ok
    assert "no model 'detector'" in found.detail


def test_altered_weights_of_the_spotter_fail(settings: dict[str, Any]) -> None:
    (Path(settings["models"]) / "micro" / "weights.npz").write_bytes(b"something else")
    found = line(settings, "models")
    assert not found.ok
    assert "not the file that the manifest describes" in found.detail


def test_the_other_set_of_models_fails_where_it_is_not_there(settings: dict[str, Any]) -> None:
    found = line(settings | {"model_set": "clean"}, "models")
    assert not found.ok
    assert "'clean' is incomplete" in found.detail


def test_a_small_disk_fails(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    found = line(settings, "disk")
    assert not found.ok
    assert "1 MB free" in found.detail
    assert "64 MB" in found.advice


@pytest.mark.parametrize(
    ("trust", "text"),
    [("ntp", "synchronised"), ("none", "not synchronised"), ("rtc", "battery-backed")],
)
def test_clock(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, trust: Any, text: str
) -> None:
    monkeypatch.setattr(check, "WallClock", lambda: lambda: ClockReading(trust, None))
    found = line(settings, "clock")
    assert found.ok
    assert text in found.detail
    assert bool(found.advice) == (trust != "ntp")


@pytest.fixture
def broker(tmp_path: Path, settings: dict[str, Any]) -> Iterator[None]:
    """A Mosquitto that knows one user."""
    if installed() is None:
        pytest.skip("mosquitto is not installed")
    passwords = tmp_path / "passwords"
    tool = ["mosquitto_passwd", "-b", "-c", str(passwords), "ann", "secret "]
    subprocess.run(tool, check=True, capture_output=True)
    passwords.chmod(0o644)
    mosquitto = Mosquitto(tmp_path, f"allow_anonymous false\npassword_file {passwords}")
    settings["mqtt"]["port"] = mosquitto.port
    mosquitto.start()
    yield
    mosquitto.stop()


@pytest.mark.usefixtures("broker")
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_real_broker_accepts_or_refuses_credentials(
    settings: dict[str, Any], tmp_path: Path, protocol: str
) -> None:
    settings["mqtt"]["protocol"] = protocol
    refused = line(settings, "broker")
    assert not refused.ok
    assert "the broker says: this device is not authorized" in refused.detail
    assert "mqtt.username" in refused.advice
    (tmp_path / "password").write_text("secret \n")  # the space is part of it
    (tmp_path / "password").chmod(0o600)
    settings["mqtt"] |= {"username": "ann", "password_file": str(tmp_path / "password")}
    assert line(settings, "broker").ok


def test_brokers_that_cannot_be_reached(settings: dict[str, Any], tmp_path: Path) -> None:
    settings["mqtt"]["host"] = "no-such-host.invalid"
    default = line(settings, "broker")
    assert not default.ok
    assert 'device.id is "fleeting"' in default.detail
    assert 'id = "box-' in default.advice
    settings["device"] = {"id": "box-7"}
    assert "name is unknown" in line(settings, "broker").detail
    settings["mqtt"] |= {"host": "127.0.0.1", "username": "a"}
    settings["mqtt"]["password_file"] = str(tmp_path / "no")
    found = line(settings, "broker")
    assert not found.ok
    assert str(tmp_path / "no") in found.detail


@pytest.mark.slow
def test_a_server_without_mqtt(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_broker, "BROKER_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", settings["mqtt"]["port"])) as server:
        server.settimeout(10)
        silent: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    silent.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        found = line(settings, "broker")
        assert not found.ok
        assert "no MQTT answer" in found.detail
        settings["mqtt"]["tls"] = True
        found = line(settings, "broker")
        assert not found.ok
        assert found.advice
    for connection in silent:
        connection.close()


def test_text_json_and_exit_code(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With no configuration of its own, on a machine that has no Raspberry Pi camera."""
    monkeypatch.setitem(PARTS, "broker", lambda config: PartStatus(False, "refused", "Start it."))
    assert main(AgentConfig(), as_json=False) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(PARTS)
    assert lines[0].startswith("FAIL  camera      ")
    assert lines[3] == "FAIL  broker      refused  ->  Start it."
    for name in PARTS:
        monkeypatch.setitem(PARTS, name, lambda config: PartStatus(True, "fine"))
    assert main(parse(settings, "test"), as_json=True) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is True
    assert answer["checks"][0] == {"name": "camera", "ok": True, "detail": "fine", "advice": ""}


def test_check_does_not_load_opencv_or_models_for_its_help() -> None:
    """`fleeting --help` must not pay for what a check needs."""
    run = subprocess.run(
        [sys.executable, "-c", "import agent.cli, sys; print('cv2' in sys.modules)"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=60,
    )
    assert run.stdout.strip() == "False", run.stderr


def test_a_day_is_said_and_where_it_is_counted(settings: dict[str, Any], tmp_path: Path) -> None:
    settings["content"] = {"slots": 3}
    settings["privacy"] = {"policy": "retail-eu"}
    found = line(settings, "day")
    assert found.ok
    assert "366 summaries of 3 content slots" in found.detail
    settings["store"]["warden"] = str(Path(settings["store"]["outbox"]).with_name("warden.json"))
    assert not line(settings, "day").ok


def test_updates_are_off_or_lack_something_or_are_ready(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    found = line(settings, "updates")
    assert found.ok
    assert "rejected" in found.detail
    root, exchange, folder = (tmp_path / each for each in ("root.json", "jobs", "slots"))
    settings["update"] = {
        "url": "https://updates.example/", "root": str(root), "exchange": str(exchange),
        "folder": str(folder),
    }  # fmt: skip
    found = line(settings, "updates")
    assert not found.ok
    assert f"{root} cannot be read" in found.detail
    root.write_text("{}")
    found = line(settings, "updates")
    assert not found.ok
    assert f"{exchange} is not there" in found.detail
    exchange.mkdir()
    found = line(settings, "updates")
    assert found == PartStatus(True, "from https://updates.example/")
    folder.mkdir()
    assert "the base installation is in use" in line(settings, "updates").detail
    (folder / "confirmed").symlink_to("a")
    (folder / "current").symlink_to("b")
    assert "slot b is in use and not confirmed yet" in line(settings, "updates").detail
    (folder / "confirmed").unlink()
    (folder / "confirmed").symlink_to("b")
    assert line(settings, "updates").detail.endswith("slot b is in use")
    (folder / "current").unlink()
    (folder / "current").symlink_to("\x1b[31m")
    assert "\x1b" not in line(settings, "updates").detail
