"""A device, a real Mosquitto and the fleet's side: enrolled, renewed, revoked."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent.base.config import load
from agent.base.report import to_json
from agent.uplink.client import load_credentials
from agent.uplink.enrol.errors import EnrolError, WaitingError
from agent.uplink.enrol.identity import renewal
from agent.uplink.enrol.messages import Answer, encode
from agent.uplink.enrol.run import enrol
from agent.uplink.process import run_uplink
from agent.wall.outbox import Outbox
from tests.tools.fleet.broker.test_broker import Client, welcomed
from tests.tools.fleet.enrolment.conftest import ID, Box, LiveFleet
from tests.uplink.conftest import eventually
from tools.fleet.broker import certificates
from tools.fleet.broker.folder import add_operator
from tools.fleet.cli import main
from tools.fleet.enrolment import decide, records

pytestmark = pytest.mark.slow
DAY = 86_400


class Run:
    """`fleeting enrol` in a thread."""

    def __init__(self, work: Any) -> None:
        self.found: dict[str, object] | None = None
        self.error: Exception | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.found = self._work()
        except Exception as error:
            self.error = error

    def result(self) -> dict[str, object]:
        self._thread.join(90)
        if self.error is not None:
            raise self.error
        assert self.found is not None
        return self.found


def waits(live: LiveFleet, number: int = 1) -> None:
    def there() -> bool:
        with live.store() as store:
            return len(records.undecided(store)) >= number

    eventually(there, "a request that waits")


def approved(live: LiveFleet, box: Box, days: float = 365) -> dict[str, object]:
    """Enrol a box with a new bundle."""
    bundle = live.bundle()
    run = Run(lambda: box.session().enrol(bundle))
    waits(live)
    with live.store() as store:
        decide.approve(store, live.folder, ID, None, days, int(time.time()))
    return run.result()


def context(live: LiveFleet, box: Box, file: str = "device.pem") -> ssl.SSLContext:
    path = box.identity.folder / file
    made = ssl.create_default_context(cafile=str(live.folder / "ca" / "ca.pem"))
    made.load_cert_chain(path, path)
    return made


@pytest.fixture
def clients() -> Iterator[list[Client]]:
    made: list[Client] = []
    yield made
    for each in made:
        each.close()


def test_enrolled_interrupted_and_approved_later(live: LiveFleet, box: Box) -> None:
    bundle = live.bundle()
    with pytest.raises(WaitingError, match="same key"):
        box.session(wait=1.5).enrol(bundle)
    pending = box.identity.pending.read_bytes()
    waits(live)
    with live.store() as store:
        (row,) = records.undecided(store)
        decide.approve(store, live.folder, ID, None, 365, int(time.time()))
    assert any(str(row["fingerprint"]) in line for line in box.said), "what the operator compares"
    assert box.identity.pending.read_bytes() == pending
    found = box.session().enrol(None)
    assert found["state"] == "enrolled"
    assert found["fingerprint"] == row["fingerprint"]
    assert welcomed(context(live, box), live.port)
    assert not welcomed(context(live, box), live.bootstrap_port), "the bootstrap's port is not its"
    # Run again: nothing happens.
    before = box.identity.device.read_bytes()
    assert box.session().enrol(None) == found
    assert box.identity.device.read_bytes() == before
    with pytest.raises(EnrolError, match="not overwritten"):
        box.session().enrol(live.bundle())
    assert box.identity.device.read_bytes() == before


def test_the_lines_that_are_printed_run_an_uplink(
    live: LiveFleet, box: Box, tmp_path: Path, clients: list[Client],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """And it ends, to be started again, once a new certificate lies there."""
    monkeypatch.setattr("agent.uplink.process.HOUSEKEEPING_INTERVAL", 0.1)
    approved(live, box)
    file = tmp_path / "fleeting.toml"
    policy = '[privacy]\npolicy = "demo"\nmicrophone = false\nwords = false\n'
    outbox = f'[store]\noutbox = "{tmp_path / "outbox.db"}"\n'
    file.write_text(box.identity.lines.read_text() + policy + outbox)
    config = load(file)
    with Outbox(config.store):
        pass
    add_operator(live.folder, "reader")
    place = live.folder / "operators" / "reader"
    reader = ssl.create_default_context(cafile=str(place / "ca.pem"))
    reader.load_cert_chain(place / "operator.pem", place / "operator.key")
    clients.append(Client(reader, live.operator_port, 5))
    clients[0].subscribe(f"fleeting/1/d/{ID}/state")
    ended: list[int] = []
    stop = threading.Event()
    thread = threading.Thread(target=lambda: ended.append(run_uplink(config, stop)))
    thread.start()
    try:
        state = f"fleeting/1/d/{ID}/state"
        eventually(lambda: (state, b"online") in clients[0].messages, "the uplink")
        assert not ended
        old = box.identity.device.read_bytes()
        box.clock = lambda: time.time() + 250 * DAY
        live_renewal(live, box)
        assert box.identity.device.read_bytes() != old
        eventually(lambda: ended, "an end")
        assert ended == [1]
    finally:
        stop.set()
        thread.join(30)


def live_renewal(live: LiveFleet, box: Box) -> dict[str, object]:
    """A renewal whose time has come, by both clocks."""
    import tools.fleet.enrolment.serve as serve

    real = serve.time.time
    serve.time.time = box.clock  # type: ignore[assignment]
    try:
        return box.session().renew()
    finally:
        serve.time.time = real
