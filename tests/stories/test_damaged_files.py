"""Every small file that the agent reads at start, damaged as by a power cut or a bad card.

Each start either goes on, or ends in an error of ours that names the file. Never a traceback, and
never less trust without a word: keys, floors and the site's own settings are not made anew.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.base.clock import FILE_CLOCK
from agent.base.config import AgentConfig
from agent.base.errors import AgentError
from agent.base.settings_file import load, parse
from agent.host import heartbeat, launch
from agent.inference.manifest import load_manifest
from agent.perceive.controls import RuntimeControls
from agent.privacy.policy.rules import resolve
from agent.update.bookkeeper import Bookkeeper
from agent.update.exchange import Exchange
from agent.update.floors import Floors
from agent.update.slots import Slots
from agent.uplink.enrol.identity import Identity
from agent.uplink.exchange import Exchange as UplinkExchange
from agent.uplink.inbound import EventCounter
from agent.uplink.receipt.book import ReceiptBook
from agent.uplink.receipt.key import open_key
from agent.uplink.settings import RemoteControl
from agent.uplink.warden.warden import Warden
from agent.wall.outbox import Outbox

_KEY = "0" * 64


def _config(folder: Path) -> AgentConfig:
    return parse(
        {
            "store": {
                "outbox": str(folder / "outbox.db"),
                "receipt_key": str(folder / "receipt.key"),
                "warden": str(folder / "warden.json"),
            }
        },
        "a test",
    )


def _outbox(folder: Path) -> None:
    with Outbox(_config(folder).store) as outbox:
        outbox.events.record("paused")


def _settings(folder: Path) -> None:
    config = _config(folder)
    RuntimeControls(config, lambda: FILE_CLOCK, live=False)
    RemoteControl(config, EventCounter()).set_paused(True)


def _warden(folder: Path) -> None:
    warden = Warden(_config(folder), _KEY, EventCounter())
    assert warden.may_report_health(requested=True)


def _receipts(folder: Path) -> None:
    with Outbox(_config(folder).store) as outbox:
        ReceiptBook(_config(folder), outbox).tick(1_800_000_000.0, 700.0)


def _beat(folder: Path) -> None:
    heartbeat.read(folder / "perceive")
    heartbeat.open_file("perceive")
    heartbeat.ready()


def _starts(folder: Path) -> None:
    launch.read_starts(folder / "perceive.starts")
    number = launch._own("perceive")
    assert launch.choose(folder, "perceive", folder, number) is None
    if number is not None:
        os.close(number)


def _record(folder: Path) -> None:
    Bookkeeper(Slots(folder, folder), Exchange(folder)).ask_for_restart()


def _floors(folder: Path) -> None:
    Floors(folder).raise_version("app", "3.0.0")


def _fleet(folder: Path) -> None:
    exchange = UplinkExchange(folder)
    exchange.prepare()
    exchange.progress()
    exchange.installed()
    Exchange(folder).job()
    exchange.keep(None)


def _site(folder: Path) -> None:
    resolve(load(folder / "fleeting.toml"), live=False)


def _identity(folder: Path) -> None:
    identity = Identity(folder)
    with identity.locked():
        identity.site()
        identity.pair(identity.device)
        identity.request("box-7")
        if identity.authorities.exists():
            identity.trusted()


@dataclass(frozen=True)
class Kept:
    """A file, and who reads it at start."""

    name: str
    start: Callable[[Path], object]
    trust: bool = False
    """Whether a damaged one must be named and stay as it is."""


FILES = (
    Kept("outbox.db", _outbox),
    Kept("outbox.db-wal", _outbox),
    Kept("outbox.db-shm", _outbox),
    Kept("outbox.db.lock", _outbox),
    Kept("settings.json", _settings),
    Kept("warden.json", _warden),
    Kept("receipt.key", lambda folder: open_key(folder / "receipt.key"), trust=True),
    Kept("receipt.key.last", _receipts),
    Kept("perceive", _beat),
    Kept("perceive.starts", _starts),
    Kept("state.json", _record),
    Kept("restart", _record),
    Kept("floors.json", _floors, trust=True),
    Kept("floors-copy.json", _floors, trust=True),
    Kept("job.json", _fleet),
    Kept("progress.json", _fleet),
    Kept("installed.json", _fleet),
    Kept("fleeting.toml", _site, trust=True),
    Kept("manifest.toml", load_manifest, trust=True),
    Kept("enrol.toml", _identity, trust=True),
    Kept("device.pem", _identity, trust=True),
    Kept("pending.pem", _identity, trust=True),
    Kept("ca.pem", _identity, trust=True),
)
DAMAGE: dict[str, bytes | None] = {
    "empty": b"",
    "zeros": bytes(4096),
    "half": b'{"v": 1, "version": 7, "pat',
    "garbage": bytes(range(256)) * 16,
    "another form": b"[]",
    "deep": b"[" * 100_000,
    "long": b'{"v": 1}' + b" " * 200_000 + b"x",
    "numbers": b'{"v": 1e999, "number": -1, "time": 99999999999999999999999}',
    "pem": b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
    "a folder": None,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kept", FILES, ids=lambda kept: kept.name)
def test_a_damaged_file_is_named_or_mended(
    kept: Kept, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(heartbeat.FOLDER, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    os.chmod(tmp_path, 0o700)
    path, content = tmp_path / kept.name, DAMAGE[damage]
    if content is None:
        path.mkdir()
        (path / "inside").write_bytes(b"")
    else:
        path.write_bytes(content)
        path.chmod(0o600)
    ends, named = [], []
    for _ in range(2):
        try:
            kept.start(tmp_path)
            ends.append("goes on")
        except AgentError as error:
            named.append(str(error))
            ends.append("named")
    assert all(str(tmp_path) in each for each in named), named
    assert ends[0] in ("goes on", "named")
    assert ends[1] == ends[0] or ends[1] == "goes on"
    empty_site = kept.name == "fleeting.toml" and damage == "empty"  # every setting has a default
    if kept.trust and not empty_site:
        assert ends == ["named", "named"]
        assert content is None or path.read_bytes() == content
    elif content is not None and kept.name not in ("outbox.db-shm", "outbox.db.lock"):
        assert ends[1] == "goes on"


@pytest.mark.parametrize("damage", ["empty", "zeros", "half", "deep"])
def test_one_damaged_copy_lowers_no_floor_and_two_are_named(damage: str, tmp_path: Path) -> None:
    Floors(tmp_path).raise_version("app", "7.0.0")
    content = DAMAGE[damage]
    assert content is not None
    (tmp_path / "floors.json").write_bytes(content)
    assert Floors(tmp_path).version("app") == "7.0.0"
    (tmp_path / "floors-copy.json").write_bytes(content)
    with pytest.raises(AgentError, match=r"floors\.json"):
        Floors(tmp_path)


def test_a_damaged_count_of_the_day_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "warden.json").write_bytes(b"")
    with caplog.at_level(logging.ERROR):
        _warden(tmp_path)
    assert "warden.json is damaged" in caplog.text
