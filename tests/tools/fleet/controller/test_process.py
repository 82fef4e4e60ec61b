"""The process: one at a time, a database that goes away, a broker that does, metrics."""

from __future__ import annotations

import time
import urllib.request

import pytest

from tests.tools.fleet.controller.conftest import Fleet
from tests.tools.fleet.controller.devices import NEW
from tests.tools.fleet.postgres import Postgres
from tests.uplink.conftest import eventually
from tools.common.mosquitto import Mosquitto, free_port
from tools.fleet.cli import main
from tools.fleet.controller.link import open_link
from tools.fleet.controller.meters import Meters
from tools.fleet.settings import BrokerSettings

pytestmark = pytest.mark.slow

NAMES = [f"box-{n}" for n in range(10)]
FAST = ("--gate", "soak=0", "--gate", "within=0")


def log(fleet: Fleet) -> str:
    return (fleet.folder / "control.log").read_text()


def test_a_second_controller_stands_by_until_the_first_is_dead(fleet: Fleet) -> None:
    devices = fleet.devices(NAMES)
    devices.come()
    first = fleet.process()
    fleet.knows(10)
    second = fleet.process()
    eventually(lambda: "Another controller is at work" in log(fleet), "it stands by")
    time.sleep(2)
    assert second.poll() is None
    assert fleet.rows("lease", "name = 'controller'")[0]["token"] == 1
    first.kill()
    first.wait()
    eventually(lambda: fleet.rows("lease", "name = 'controller'")[0]["token"] == 2, "it takes over")
    made = fleet.start("app", NEW, "--waves", "100%", *FAST)
    eventually(lambda: fleet.status(made) == "SUCCEEDED", "the end")
    second.terminate()
    assert second.wait(20) == 0
    assert fleet.rows("lease", "name = 'controller'")[0]["holder"] == "", "given back"


def test_a_first_that_wakes_up_finds_itself_overtaken(fleet: Fleet) -> None:
    first = fleet.process()
    eventually(lambda: fleet.rows("lease", "name = 'controller'")[0]["token"] == 1, "it begins")
    first.send_signal(19)  # SIGSTOP: it is not dead, and does not know that it was
    second = fleet.process()
    eventually(lambda: fleet.rows("lease", "name = 'controller'")[0]["token"] == 2, "it takes over")
    first.send_signal(18)
    eventually(lambda: "has taken over" in log(fleet), "it notices")
    time.sleep(1)
    assert fleet.rows("lease", "name = 'controller'")[0]["token"] == 2
    assert first.poll() is None
    assert second.poll() is None


def test_what_is_said_while_the_controller_or_the_broker_is_away_waits(fleet: Fleet) -> None:
    devices = fleet.devices(NAMES)
    devices.outcome = lambda name, job: "hang"
    devices.come()
    process = fleet.process()
    fleet.knows(10)
    made = fleet.start("app", NEW, "--waves", "100%", *FAST)
    eventually(lambda: len(fleet.jobs("IN_PROGRESS")) == 10, "all have begun")
    process.kill()
    process.wait()
    for name in NAMES:
        devices.succeed(name, devices.said[name].job)
    time.sleep(0.5)
    assert len(fleet.jobs("IN_PROGRESS")) == 10
    fleet.process()
    eventually(lambda: fleet.status(made) == "SUCCEEDED", "the session kept them")


def test_a_database_that_is_away_loses_nothing(
    tmp_path: object, own_postgres: Postgres, mosquitto: Mosquitto
) -> None:
    fleet = Fleet(tmp_path / "fleet", mosquitto, own_postgres.url())  # type: ignore[operator]
    with fleet.stack:
        devices = fleet.devices(NAMES)
        devices.outcome = lambda name, job: "hang"
        devices.come()
        fleet.controller()
        fleet.knows(10)
        made = fleet.start("app", NEW, "--waves", "100%", *FAST)
        eventually(lambda: len(fleet.jobs("IN_PROGRESS")) == 10, "all have begun")
        fleet.store.close()
        own_postgres.stop("immediate")
        for name in NAMES:
            devices.succeed(name, devices.said[name].job)
        time.sleep(1.5)
        own_postgres.start()
        eventually(lambda: fleet.status(made) == "SUCCEEDED", "they were not acknowledged before")
        fleet.store.close()


def test_metrics(fleet: Fleet) -> None:
    devices = fleet.devices(NAMES)
    devices.outcome = lambda name, job: "REJECTED" if name == "box-1" else "SUCCEEDED"
    devices.come()
    port = free_port()
    fleet.process("--metrics", f"127.0.0.1:{port}")
    fleet.knows(10)
    made = fleet.start("app", NEW, "--waves", "100%", "--gate", "succeeded=50", *FAST)
    devices.say("box-2", "state", b"nonsense")
    eventually(lambda: fleet.status(made) == "SUCCEEDED", "the end")

    def read() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            return str(answer.read().decode())

    wanted = {
        "fleeting_controller_lease 1.0",
        "fleeting_controller_connected 1.0",
        'fleeting_devices{state="online"} 10.0',
        f'fleeting_device_versions{{kind="app",version="{NEW}"}} 9.0',
        'fleeting_jobs{reason="none",status="SUCCEEDED"} 9.0',
        'fleeting_jobs{reason="unlisted",status="REJECTED"} 1.0',
        'fleeting_rollouts{status="SUCCEEDED"} 1.0',
        'fleeting_controller_refused_total{reason="fields"} 1.0',
        'fleeting_controller_published_total{kind="next"} 20.0',
    }
    eventually(lambda: wanted <= {*read().splitlines()}, f"all of {wanted}")


def test_metrics_need_an_address() -> None:
    for text in ("9465", "x", "127.0.0.1:0", "127.0.0.1:x"):
        with pytest.raises(Exception, match="no address"):
            Meters().serve(text)


def test_without_tls_only_here(tmp_path: object) -> None:
    with pytest.raises(Exception, match=r"broker\.tls"):
        open_link(tmp_path, BrokerSettings(host="broker.example", tls=False), ())  # type: ignore[arg-type]


def test_without_a_certificate(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["control", "--fleet", str(tmp_path)]) == 1
    assert "Make one: fleeting-fleet operator fleet" in capsys.readouterr().err
