"""A collector at the fleet's own broker: its certificate, its topics, and nobody else's."""

from __future__ import annotations

import signal
import ssl
import subprocess
import sys
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.tools.fleet.collector.conftest import ROOT, body
from tests.uplink.conftest import eventually
from tools.common.mosquitto import die_with_parent, free_port, installed, listens
from tools.common.mqtt_loop import end_loop
from tools.fleet.broker.folder import add_device, add_operator, make_authorities, make_broker
from tools.fleet.store import open_store

pytestmark = pytest.mark.slow


def test_devices_of_the_fleet_are_collected(tmp_path: Path) -> None:
    if installed() is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    port, operators, bootstrap = free_port(), free_port(), free_port()
    make_authorities(tmp_path)
    make_broker(
        tmp_path, ["127.0.0.1"], bind="127.0.0.1", port=port, operator_port=operators,
        bootstrap_port=bootstrap,
    )  # fmt: skip
    add_operator(tmp_path, "reader-shop-1")
    place = add_device(tmp_path, "box-7", host="localhost", port=port)
    (tmp_path / "fleet.toml").write_text(f'[broker]\nhost = "127.0.0.1"\nport = {operators}\n')
    commands = (["serve", str(tmp_path)],
                ["collect", "--fleet", str(tmp_path), "--name", "shop-1"])  # fmt: skip
    running: list[subprocess.Popen[bytes]] = []
    try:
        for words in commands:
            running.append(
                subprocess.Popen(
                    [sys.executable, "-m", "tools.fleet", *words], cwd=ROOT,
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    preexec_fn=die_with_parent,
                )
            )  # fmt: skip
            eventually(lambda: listens(operators) and listens(port), "Mosquitto listens")
        device = mqtt.Client(CallbackAPIVersion.VERSION2, "any", protocol=mqtt.MQTTv5)
        context = ssl.create_default_context(cafile=str(place / "ca.pem"))
        context.load_cert_chain(place / "device.pem", place / "device.key")
        device.tls_set_context(context)
        device.connect("127.0.0.1", port)
        device.loop_start()
        with open_store(f"sqlite:///{tmp_path / 'fleet.db'}") as store:

            def said() -> bool:
                for name in ("box-7", "box-8"):  # the latter is another's
                    device.publish(f"fleeting/1/d/{name}/summary", body(1), qos=1)
                return bool(store.tuples("SELECT 1 FROM summaries"))

            eventually(said, "a row")
            assert store.tuples("SELECT device FROM devices") == [("box-7",)]
        device.disconnect()
        end_loop(device)
        running[1].send_signal(signal.SIGTERM)
        assert running[1].wait(30) == 0
    finally:
        for process in running:
            process.kill()
            process.wait()
