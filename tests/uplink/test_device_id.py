"""One id for each box: beyond this machine the default is refused, and two boxes with one id are
told."""

from __future__ import annotations

import hashlib
import logging
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.base.errors import ConfigError, PublishError
from agent.base.settings_file import parse
from agent.desk.check import run_check
from agent.uplink.broken import CutError, TakenOverError
from agent.uplink.device_id import Takeovers, refuse_default, suggested
from agent.uplink.process import Uplink
from agent.wall.outbox import Outbox
from tests.uplink.conftest import agent_config, until
from tools.common.mosquitto import Mosquitto

TAKEN, CUT = TakenOverError("taken over"), CutError("cut")
INSTALL = Path(__file__).parents[2] / "tools" / "install.sh"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "a.localhost"])
def test_on_this_machine_the_default_id_will_do(host: str) -> None:
    refuse_default(parse({"mqtt": {"host": host}}, "test"))


@pytest.mark.parametrize("host", ["broker.lan", "10.0.0.1", "fd00::1", "localhost.example"])
def test_beyond_it_the_default_is_refused_by_name(host: str) -> None:
    with pytest.raises(ConfigError, match=r'device\.id is "fleeting".*id = "box-[0-9a-f]{8}"'):
        refuse_default(parse({"mqtt": {"host": host}}, "test"))
    refuse_default(parse({"device": {"id": "box-7"}, "mqtt": {"host": host}}, "test"))
    assert ConfigError.exit_code == 78


def test_the_uplink_does_not_begin_with_it(tmp_path: Path) -> None:
    config = agent_config(tmp_path, 1883)
    mqtt = config.mqtt.model_copy(update={"host": "10.0.0.1"})
    device = config.device.model_copy(update={"id": "fleeting"})
    policy = config.privacy.model_copy(update={"policy": "retail-eu"})
    config = config.model_copy(update={"mqtt": mqtt, "device": device, "privacy": policy})
    with Outbox(config.store) as outbox, pytest.raises(ConfigError, match=r"device\.id"):
        Uplink(config, outbox)


def test_the_suggestion_is_the_machines_own_and_the_installers(tmp_path: Path) -> None:
    machine = tmp_path / "machine-id"
    machine.write_text("0123456789abcdef0123456789abcdef\n")
    known = hashlib.sha256(b"fleeting 0123456789abcdef0123456789abcdef").hexdigest()[:8]
    assert suggested(machine) == f"box-{known}"
    assert suggested(tmp_path / "none") == suggested(tmp_path / "none")
    function = INSTALL.read_text().split("\ndevice_id() {")[1].split("\n}\n")[0]
    script = f"live() {{ :; }}\n{function.replace('/etc/machine-id', str(machine))}"
    done = subprocess.run(["sh", "-eu", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f'id = "box-{known}"'


def test_the_pauses_grow_and_the_log_says_it_once(caplog: pytest.LogCaptureFixture) -> None:
    taken = Takeovers("box-7")
    with caplog.at_level(logging.ERROR):
        pauses = [taken.note(TAKEN, float(now), 300.0) for now in range(0, 1200, 100)]
    assert pauses[:4] == [0.0, 5.0, 10.0, 20.0]
    assert pauses[-1] == 600.0
    said = [record.message for record in caplog.records]
    assert len(said) == 1
    assert "Another client has the same device.id, box-7" in said[0]
    assert taken.note(TAKEN, 1e6, 1.0) == 0.0, "an hour later it begins anew"


def test_brokers_that_do_not_name_it(caplog: pytest.LogCaptureFixture) -> None:
    """Four brief connections that were cut; long ones are accidents of the network."""
    taken = Takeovers("box-7")
    with caplog.at_level(logging.ERROR):
        assert not any(taken.note(CUT, 100.0 * n, 90.0) for n in range(20))
        pauses = [taken.note(CUT, 2000.0 + n, 4.0) for n in range(6)]
    assert pauses == [0.0, 0.0, 0.0, 5.0, 10.0, 20.0]
    assert taken.note(CUT, 2100.0, 500.0) == 40.0, "the pauses make it longer"
    assert not taken.note(PublishError("refused"), 2200.0, 1.0)
    assert caplog.text.count("another client may have the same device.id, box-7") == 1


def test_two_boxes_with_one_id_say_so_and_back_off(
    tmp_path: Path,
    mosquitto: Mosquitto,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A real broker, which ends the older connection; Mosquitto 2.0.11 gives no reason. Cuts that
    come while a message is on its way are taken for the message's fault, so there are some more."""
    monkeypatch.setattr("agent.uplink.process.random.uniform", lambda _, most: most)
    waits: dict[str, list[float]] = {"a": [], "b": []}

    def waiter(name: str) -> Callable[[float], bool]:
        def wait(seconds: float) -> bool:
            waits[name].append(seconds)
            return True  # at once

        return wait

    configs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        configs.append(agent_config(tmp_path / name, mosquitto.port))
    with (
        caplog.at_level(logging.WARNING),
        Outbox(configs[0].store) as one,
        Outbox(configs[1].store) as two,
    ):
        first, second = Uplink(configs[0], one, waiter("a")), Uplink(configs[1], two, waiter("b"))
        until(first, lambda: first.connected, "the first is in")
        for _ in range(7):
            until(second, lambda: second.connected, "the second is in")
            until(first, lambda: not first.connected, "the first was put off")
            until(first, lambda: first.connected, "the first is in again")
            until(second, lambda: not second.connected, "the second was put off")
        first.stop()
        second.stop()
    said = [each.message for each in caplog.records if "the same device.id" in each.message]
    assert len(said) == 2, "once by each box"
    assert all(config.device.id in each for config, each in zip(configs, said, strict=True))
    longest = max(waits["a"])
    assert longest >= 5.0, "the pause has grown beyond backoff_max"


def test_a_takeover_that_the_broker_names(tmp_path: Path) -> None:
    """DISCONNECT with reason 0x8E (MQTT 5.0, 3.14.2.1)."""
    pauses: list[float] = []

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        return True

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        threading.Thread(target=put_off, args=(server, 2), daemon=True).start()
        config = agent_config(tmp_path, server.getsockname()[1])
        with Outbox(config.store) as outbox:
            uplink = Uplink(config, outbox, wait)
            until(uplink, lambda: pauses, "put off")
            once = len(pauses)
            until(uplink, lambda: len(pauses) > once, "put off again")
            uplink.stop()
    assert max(pauses) >= 2.5


def put_off(server: socket.socket, times: int) -> None:
    """Accept a client, then say that its session was taken over."""
    for _ in range(times):
        with server.accept()[0] as client:
            client.settimeout(10)
            client.recv(4096)
            client.sendall(b"\x20\x03\x00\x00\x00" + b"\xe0\x02\x8e\x00")
            while client.recv(4096):
                pass


def test_check_mentions_a_device_with_this_id(tmp_path: Path, mosquitto: Mosquitto) -> None:
    config = agent_config(tmp_path, mosquitto.port)
    update = config.update.model_copy(update={"folder": tmp_path / "update"})
    config = config.model_copy(update={"update": update})
    with Outbox(config.store) as outbox:
        uplink = Uplink(config, outbox, lambda _: True)
        until(uplink, lambda: uplink.connected, "connected")
        for _ in range(5):
            uplink.step(0.02)
        busy = run_check(config, ["broker"])["broker"]
        uplink.stop()
    quiet = run_check(config, ["broker"])["broker"]
    assert busy.ok
    assert f"a device with device.id {config.device.id} is connected" in busy.detail
    assert "two have one id" in busy.advice
    assert quiet.ok
    assert not quiet.advice
