"""Collectors as processes, a real Mosquitto, both databases: nothing is lost, nothing twice."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools.fleet.collector.conftest import Devices, Site, body
from tests.tools.fleet.postgres import Postgres
from tests.uplink.conftest import eventually

pytestmark = pytest.mark.slow
N = 4000


def test_what_is_said_is_stored_once(site: Site, devices: Devices) -> None:
    process = site.collect()
    for seq in range(300):
        devices.say("box-7", body(seq))
        if seq % 3 == 0:
            devices.say("box-7", body(seq))  # as after a PUBACK that was lost
    devices.settle()
    eventually(lambda: site.count("summaries") == 300, "300 rows")
    eventually(lambda: site.metric("received_total") == 400, "400 messages")
    assert site.numbers("box-7") == list(range(300))
    assert site.count("slots") == 300
    assert site.metric("stored_total") == 300
    assert site.metric("duplicates_total") == 100
    assert site.count("open_gaps") == 0
    assert site.store.tuples("SELECT device, name, total FROM counts") == [
        ("box-7", "duplicate", 100)
    ]
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_killed_again_and_again_under_load(site: Site, devices: Devices) -> None:
    process = site.collect()
    for part in range(4):
        for seq in range(part * N // 4, (part + 1) * N // 4):
            devices.say(f"box-{seq % 7}", body(seq // 7))
        least = part * N // 4 + 50
        eventually(lambda least=least: site.count("summaries") > least, "some rows")  # type: ignore[misc]
        process.kill()
        process.wait()
        devices.settle()
        process = site.collect()
    eventually(lambda: site.count("summaries") >= N, f"{N} rows")
    assert site.count("summaries") == site.count("slots") == N
    assert site.count("open_gaps") == 0


def test_two_collectors_share_and_one_is_killed(site: Site, devices: Devices) -> None:
    first = site.collect("a")
    site.collect("b")
    for seq in range(N // 2):
        devices.say(f"box-{seq % 7}", body(seq // 7))
    eventually(lambda: 0 < site.metric("stored_total") < site.count("summaries"), "both store")
    first.kill()
    first.wait()
    for seq in range(N // 2, N):
        devices.say(f"box-{seq % 7}", body(seq // 7))
    devices.settle()
    site.collect("a")
    eventually(lambda: site.count("summaries") >= N, f"{N} rows")
    assert site.count("summaries") == N
    assert site.count("open_gaps") == 0


@pytest.mark.parametrize("kill", [False, True])
def test_the_broker_is_restarted(site: Site, devices: Devices, kill: bool) -> None:
    site.collect()
    for seq in range(500):
        devices.say("box-7", body(seq))
    devices.settle()
    if kill:  # what it holds in memory would be gone: that is the broker's affair, not ours
        eventually(lambda: site.count("summaries") == 500, "500 rows")
    site.broker.stop(kill=kill)
    eventually(lambda: site.health() == 503, "a collector that notices")
    site.broker.start()
    eventually(lambda: site.health() == 200, "a collector that is back")
    for seq in range(500, 1000):
        devices.say("box-7", body(seq))
    devices.settle()
    eventually(lambda: site.count("summaries") >= 1000, "1000 rows")
    assert site.numbers("box-7") == list(range(1000))


def test_postgresql_is_away_for_a_while(
    make_site: Callable[[str], Site], own_postgres: Postgres
) -> None:
    site = make_site(own_postgres.url())
    devices = Devices(site.broker.port)
    process = site.collect()
    for seq in range(500):
        devices.say("box-7", body(seq))
    eventually(lambda: site.count("summaries") > 0, "some rows")
    own_postgres.stop("immediate")
    for seq in range(500, N):
        devices.say("box-7", body(seq))
    devices.settle()
    eventually(lambda: site.health() == 503, "trouble is said")
    assert site.metric("database_up") == 0
    eventually(lambda: site.metric("unacknowledged") >= 1000, "the rest waits at the broker")
    assert site.metric("unacknowledged") <= 1500
    assert process.poll() is None
    own_postgres.start()
    eventually(lambda: site.count("summaries") >= N, f"{N} rows")
    assert site.numbers("box-7") == list(range(N))
    eventually(lambda: site.health() == 200, "all is well")
    devices.close()


def test_the_database_is_away_at_the_start(
    make_site: Callable[[str], Site], own_postgres: Postgres
) -> None:
    site = make_site(own_postgres.url())
    own_postgres.stop()
    devices = Devices(site.broker.port)
    process = subprocess.Popen(site.command("collect", "--name", "a"), stderr=subprocess.DEVNULL)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        own_postgres.start()
        eventually(lambda: _stored_one(site, devices), "a row")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        devices.close()


def _stored_one(site: Site, devices: Devices) -> bool:
    devices.say("box-7", body(1))
    return site.count("summaries") == 1


def test_a_second_collector_of_the_same_name(site: Site, tmp_path: Path) -> None:
    """Refused on this machine; from another one it takes the session over, and one of them ends."""
    first = site.collect("a")
    done = subprocess.run(
        site.command("collect", "--name", "a"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Another collector runs as reader-a here" in done.stderr
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "fleet.toml").write_bytes((site.folder / "fleet.toml").read_bytes())
    site.folder = elsewhere
    second = site.collect("a")
    eventually(lambda: None not in (first.poll(), second.poll()) or
               first.poll() is not second.poll(), "one of them ends")  # fmt: skip
    ended = first if first.poll() is not None else second
    assert ended.returncode == 1
    assert ended.stderr is not None
    assert b"Another collector has connected as reader-a" in ended.stderr.read()


def test_retired_for_good(site: Site, devices: Devices) -> None:
    """What waits for it is stored; afterwards nothing waits for it any more."""
    site.collect("a").kill()
    for seq in range(700):
        devices.say("box-7", body(seq))
    devices.settle()
    done = subprocess.run(
        site.command("retire", "--name", "a"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "is retired" in done.stdout
    assert site.numbers("box-7") == list(range(700))
    devices.say("box-7", body(9999))
    devices.settle()
    process = site.collect("a")
    assert b"session new" in _ended(process)
    assert site.numbers("box-7") == list(range(700))


def _ended(process: subprocess.Popen[bytes]) -> bytes:
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert process.stderr is not None
    return process.stderr.read()
