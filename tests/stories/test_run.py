"""`fleeting run`: two processes and their supervisor, a clip instead of a camera."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.base.assets import CLIP
from agent.base.config import AgentConfig
from agent.base.settings_file import as_toml, parse
from agent.desk.loopback.broker import Broker
from agent.wall.outbox import Outbox
from tests.uplink.conftest import DEVICE, Listener, eventually


def children(process: int) -> dict[str, int]:
    """Process ids of the two processes by their verb, from /proc."""
    found: dict[str, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            argv = (folder / "cmdline").read_text().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == process:
            found.update(
                {verb: int(folder.name) for verb in ("perceive", "uplink") if verb in argv}
            )
    return found


def configured(folder: Path, port: int) -> AgentConfig:
    return parse(
        {
            "device": {"id": DEVICE},
            "source": {"kind": "file", "target": str(CLIP), "pace": "fast"},
            "privacy": {"policy": "demo"},
            "store": {"outbox": str(folder / "outbox.db")},
            "content": {"socket": str(folder / "kiosk" / "content.sock")},
            "mqtt": {"host": "127.0.0.1", "port": port, "backoff_max": 0.5},
        },
        "test",
    )


@pytest.mark.slow
def test_a_clip_is_processed_to_its_end_while_the_uplink_is_killed(
    tmp_path: Path,
) -> None:
    with Broker() as broker:
        port = broker.port
        config = configured(tmp_path, port)
        settings = tmp_path / "fleeting.toml"
        settings.write_text(as_toml(config))
        listener = Listener(port)
        argv = [sys.executable, "-m", "agent.cli", "run", "--config", str(settings)]
        process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
        try:
            eventually(lambda: listener.bodies("state") == [b"online"], "the uplink is there")
            assert config.content.socket is not None
            eventually(config.content.socket.exists, "the kiosk can say what it shows")
            os.kill(children(process.pid)["uplink"], signal.SIGKILL)
            eventually(lambda: listener.bodies("state")[-1] == b"offline", "the will is seen", 90)
            eventually(lambda: listener.bodies("state")[-1] == b"online", "it is back", 90)
            process.wait(300)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(30)
        assert process.stderr is not None
        log = process.stderr.read()
        assert process.returncode == 0, log
        assert "Traceback" not in log
        assert not config.content.socket.exists()
        assert "uplink ended (killed by SIGKILL)" in log
        eventually(lambda: listener.bodies("state")[-1] == b"offline", "the goodbye is seen")
        got = [json.loads(body) for body in listener.summaries()]
        meta = json.loads(listener.bodies("meta")[-1])
        listener.close()
    # What holds the address of the broker is the unit's packet filter.
    assert set(meta["uplink"]["found_open"]) <= {"address"}
    assert meta["birth"]["cage"]["found_open"] == []
    with Outbox(config.store) as outbox:
        ledger = {(boot, seq) for boot, seq, _, _ in outbox.ledger.entries()}
        left = {(body["boot"], body["seq"]) for body in map(_body, outbox.peek(1000))}
    assert {(each["boot"], each["seq"]) for each in got} | left == ledger
    assert not left
    assert len(ledger) >= 4
    assert sum(each["visits"] or 0 for each in got) > 0


def _body(row: object) -> dict[str, object]:
    body: dict[str, object] = json.loads(row.body)  # type: ignore[attr-defined]
    return body
