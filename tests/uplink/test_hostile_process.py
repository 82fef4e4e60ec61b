"""A real uplink process, in its sandbox, beside a perceive process that was taken over."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from agent.base.config import AgentConfig
from agent.base.settings_file import as_toml
from agent.wall.outbox import Outbox
from tests.summaries import summary
from tests.uplink.conftest import Listen, Listener, agent_config, eventually
from tests.uplink.conftest import summaries as count
from tools.common.agent_process import AgentProcess
from tools.common.mosquitto import Mosquitto


@pytest.fixture
def config(tmp_path: Path, mosquitto: Mosquitto) -> AgentConfig:
    shared = tmp_path / "shared"
    shared.mkdir()
    found = agent_config(shared, mosquitto.port)
    store = found.store.model_copy(update={"receipt_key": tmp_path / "own" / "receipt.key"})
    return found.model_copy(update={"store": store})


@pytest.fixture
def uplink(config: AgentConfig, tmp_path: Path) -> Iterator[AgentProcess]:
    file = tmp_path / "fleeting.toml"
    file.write_text(as_toml(config))
    process = AgentProcess("uplink", file, tmp_path)
    process.start()
    yield process
    process.stop()


def sql(statement: str) -> Callable[[Path], None]:
    def run(outbox: Path) -> None:
        with contextlib.closing(sqlite3.connect(outbox, isolation_level=None)) as database:
            database.executescript(statement)

    return run


def link(suffix: str) -> Callable[[Path], None]:
    def put(outbox: Path) -> None:
        at = Path(f"{outbox}{suffix}")
        at.unlink(missing_ok=True)
        at.symlink_to(outbox.parents[1] / "own" / "receipt.key")

    return put


def pipe(name: str) -> Callable[[Path], None]:
    def put(outbox: Path) -> None:
        at = outbox.with_name(name)
        at.unlink(missing_ok=True)
        os.mkfifo(at)

    return put


ATTACKS = {
    "a trigger": sql("CREATE TRIGGER t BEFORE DELETE ON outbox BEGIN SELECT RAISE(IGNORE); END"),
    "an endless view": sql(
        "DROP TABLE spoken; CREATE VIEW spoken AS WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL"
        " SELECT i + 1 FROM n) SELECT i AS code, i AS pending, i AS said FROM n"
    ),
    "a body of two gigabytes": sql(
        "INSERT INTO outbox (kind, boot, seq, body) VALUES ('summary', 'x', 1, 2000000000)"
    ),
    "text": sql("UPDATE counter SET value = 'x'; UPDATE ledger SET sha256 = 'x'"),
    "a link": link(""),
    "a link as journal": link("-wal"),
    "no file": lambda outbox: outbox.unlink(),
    "bytes": lambda outbox: outbox.write_bytes(os.urandom(50_000)) and None,
    "a pipe as settings": pipe("settings.json"),
}  # fmt: skip


@pytest.mark.slow
def test_it_goes_on_whatever_is_done_to_the_shared_files(
    config: AgentConfig, uplink: AgentProcess, listen: Listen, tmp_path: Path
) -> None:
    listener = listen(config.mqtt.port)
    outbox = config.store.outbox
    eventually(lambda: listener.bodies("state"), "connected")
    key = (tmp_path / "own" / "receipt.key").read_bytes()
    for number, (name, attack) in enumerate(ATTACKS.items()):
        boot = f"{number:08x}"
        attack(outbox)
        time.sleep(2.0)  # the uplink meets it first
        with Outbox(config.store) as perceive:  # an honest one again
            perceive.add(summary(number, boot))
        eventually(partial(arrived, listener, boot), f"after {name}")
        assert uplink.ended() is None, name
        assert (tmp_path / "own" / "receipt.key").read_bytes() == key, name
    with Outbox(config.store) as perceive:
        eventually(lambda: count(perceive) == 0, "all acknowledged")


def arrived(listener: Listener, boot: str) -> bool:
    return any(f'"{boot}"'.encode() in body for body in listener.summaries())


@pytest.mark.slow
def test_a_password_in_the_clear_stops_the_start_and_says_why(tmp_path: Path) -> None:
    config = agent_config(tmp_path, 1883, host="broker.example", username="box")
    config = config.model_copy(update={"privacy": AgentConfig().privacy})
    file = tmp_path / "fleeting.toml"
    file.write_text(as_toml(config))
    command = [sys.executable, "-m", "agent.cli", "uplink", "--config", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 78
    assert "mqtt.plaintext_credentials = true" in done.stderr
    assert "Traceback" not in done.stderr
