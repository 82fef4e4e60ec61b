"""A device, a real Mosquitto and the fleet's side: enrolled, renewed, revoked."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent.base.report import to_json
from agent.base.settings_file import load
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
from tools.fleet.broker.folder import add_device, add_operator
from tools.fleet.cli import main
from tools.fleet.enrolment import decide, records

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[4]


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


def waiting(live: LiveFleet) -> bool:
    with live.store() as store:
        return bool(records.undecided(store))


def waits(live: LiveFleet) -> None:
    eventually(lambda: waiting(live), "a request that waits")


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
    approved(live, box, days=1)
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
        box.session().renew(early=True)
        assert box.identity.device.read_bytes() != old
        eventually(lambda: ended, "an end")
        assert ended == [1]
    finally:
        stop.set()
        thread.join(30)


def answer(live: LiveFleet, body: bytes) -> None:
    """Say something as the fleet, retained."""
    place = live.folder / "operators" / "fleet"
    if not place.exists():
        add_operator(live.folder, "fleet")
    made = ssl.create_default_context(cafile=str(place / "ca.pem"))
    made.load_cert_chain(place / "operator.pem", place / "operator.key")
    client = Client(made, live.operator_port, 5)
    assert client.publish(f"fleeting/1/p/{ID}/cert", body, retain=True) in (0, 16)
    client.close()


def test_a_renewal_changes_key_and_certificate(live: LiveFleet, box: Box) -> None:
    approved(live, box, days=1)
    first = box.identity.pair(box.identity.device)
    assert first is not None
    assert box.session().renew()["state"] == "not due"
    found = box.session().renew(early=True)
    second = box.identity.pair(box.identity.device)
    assert second is not None
    assert found["state"] == "renewed"
    assert second.key.public_key() != first.key.public_key(), "a new key"
    assert renewal(second.certificate) > renewal(first.certificate)
    assert welcomed(context(live, box), live.port)
    left = {each.name for each in box.identity.folder.iterdir()}
    assert left == {"enrol.toml", "ca.pem", "device.pem", "mqtt.toml"}
    with pytest.raises(EnrolError, match="Less than half"):
        box.session().renew(early=True)
    assert box.identity.pair(box.identity.device) is not None


def test_the_old_one_stays_until_the_new_one_has_connected(
    live: LiveFleet, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    approved(live, box, days=1)
    before = box.identity.device.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("agent.uplink.enrol.run.Lookup", _Nowhere)
        with pytest.raises(WaitingError, match="was not tried yet; the old one stays"):
            box.session().renew(early=True)
    assert box.identity.device.read_bytes() == before
    kept = box.identity.pair(box.identity.next)
    assert kept is not None
    assert box.session().renew(early=True)["state"] == "renewed"
    after = box.identity.pair(box.identity.device)
    assert after is not None
    assert after.certificate == kept.certificate, "asked for once"


class _Nowhere:
    lost = False

    def __init__(self, host: str) -> None: ...

    def addresses(self) -> tuple[()]:
        return ()

    def close(self) -> None: ...


def test_answers_that_are_no_answer_are_refused_by_name(live: LiveFleet, box: Box) -> None:
    """Whoever has the broker, or the fleet's connection to it, cannot make a device take another's
    certificate; nor does it go on with a key that somebody else knows."""
    bundle = live.bundle()
    with pytest.raises(WaitingError):
        box.session(wait=1.0).enrol(bundle)
    site = box.identity.site()
    assert site is not None
    pending = box.identity.request(ID)
    number = hashlib.sha256(pending.der).hexdigest()
    ca = certificates.load(live.folder / "ca" / "ca.pem", live.folder / "ca" / "ca.key")
    fake, own = certificates.authority("Fleeting devices"), pending.key.public_key()

    def given(certificate: x509.Certificate) -> bytes:
        der = certificate.public_bytes(Encoding.DER)
        return to_json(Answer(request=number, certificate=encode(der)))

    cases = {
        b"{}": "is none",
        b"x" * 4000: "is none",
        given(certificates.client(ca, ID).certificate): "another key",
        given(certificates.certify(ca, own, "box-8", 9)): "another name",
        given(certificates.certify(fake, own, ID, 9)): "authority",
        given(certificates.certify(ca, own, ID, -0.5)): "ended on",
        to_json(Answer(request=number, certificate="A" * 64)): "no certificate",
    }
    for body, why in cases.items():
        answer(live, body)
        with pytest.raises(EnrolError, match=why):
            box.session(wait=20).enrol(None)
        assert not box.identity.device.exists()
        assert not box.identity.next.exists()
        assert box.identity.request(ID).der == pending.der
    # One for another request is none of ours: the device goes on waiting.
    answer(live, to_json(Answer(request="0" * 64, refused="operator")))
    with pytest.raises(WaitingError):
        box.session(wait=1.0).enrol(None)
    # The right one, at last.
    with live.store() as store:
        decide.approve(store, live.folder, ID, None, 9, int(time.time()))
    assert box.session().enrol(None)["state"] == "enrolled"


def test_refused_by_an_operator(live: LiveFleet, box: Box) -> None:
    bundle = live.bundle()
    run = Run(lambda: box.session().enrol(bundle))
    waits(live)
    with live.store() as store:
        decide.refuse(store, ID, None, int(time.time()))
    with pytest.raises(EnrolError, match="An operator refused it"):
        run.result()
    assert not box.identity.pending.exists(), "that key gets no certificate any more"


def test_stolen_bundles_and_copies_come_too_late(live: LiveFleet, box: Box, tmp_path: Path) -> None:
    bundle = live.bundle()
    copy = tmp_path / "copy.enrol"
    copy.write_bytes(bundle.read_bytes())
    copy.chmod(0o600)
    run = Run(lambda: box.session().enrol(bundle))
    waits(live)
    with live.store() as store:
        decide.approve(store, live.folder, ID, None, 365, int(time.time()))
    run.result()
    thief = Box(tmp_path / "thief")
    with pytest.raises(EnrolError, match="already served another key"):
        thief.session().enrol(copy)
    assert not thief.identity.device.exists()


def test_a_stolen_device_is_out_once_revoked(
    live: LiveFleet, box: Box, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole ceremony: revoked, refused by the broker, replaced under the same name."""
    approved(live, box, days=1)
    fleet = ["--fleet", str(live.folder)]
    assert main(["revoke", ID, *fleet]) == 0
    assert "systemctl reload mosquitto" in capsys.readouterr().err
    add_device(live.folder, "box-8", host="localhost", port=live.port)
    place = live.folder / "devices" / "box-8"
    neighbour = ssl.create_default_context(cafile=str(place / "ca.pem"))
    neighbour.load_cert_chain(place / "device.pem", place / "device.key")
    live.reload()
    eventually(lambda: not welcomed(context(live, box), live.port), "a refusal")
    assert welcomed(neighbour, live.port), "it alone is out"
    live.restart()
    assert not welcomed(context(live, box), live.port)
    assert welcomed(neighbour, live.port)
    with pytest.raises(EnrolError, match=r"refuses this device's certificate.*revoked"):
        box.session(wait=20).renew(early=True)
    assert main(["bootstrap", ID, *fleet]) == 1
    assert "--readmit" in capsys.readouterr().err
    # Its place is taken by another box of the same name.
    bundle_made = ["bootstrap", ID, "--readmit", "--port", str(live.port)]
    assert main([*bundle_made, "--bootstrap-port", str(live.bootstrap_port), *fleet]) == 0
    other = Box(tmp_path / "other")
    run = Run(lambda: other.session().enrol(live.folder / "bootstrap" / f"{ID}.enrol"))
    waits(live)
    assert main(["approve", ID, *fleet]) == 0
    run.result()
    assert welcomed(context(live, other), live.port)
    assert not welcomed(context(live, box), live.port), "the stolen one stays out"


def test_the_broker_comes_back(live: LiveFleet, box: Box) -> None:
    bundle = live.bundle()
    live.stop_broker()
    run = Run(lambda: box.session().enrol(bundle))
    eventually(lambda: any("cannot be reached" in line for line in box.said), "a word about it")
    live.start()
    waits(live)
    live.restart()
    with live.store() as store:
        decide.approve(store, live.folder, ID, None, 365, int(time.time()))
    assert run.result()["state"] == "enrolled"


def test_without_a_clock_dates_are_not_judged(live: LiveFleet, box: Box) -> None:
    box.clock = lambda: None
    found = approved(live, box)
    assert found["dates_judged"] is False
    assert any("clock is not set" in line for line in box.said)
    assert box.session().renew()["state"] == "not due"


def test_another_fleets_broker_is_not_believed(live: LiveFleet, box: Box, tmp_path: Path) -> None:
    other = LiveFleet(tmp_path / "other")
    other.port, other.bootstrap_port = live.port, live.bootstrap_port
    with pytest.raises(EnrolError, match="not the one of this fleet"):
        box.session(wait=20).enrol(other.bundle())


def test_a_bundle_that_is_over(live: LiveFleet, box: Box) -> None:
    bundle, now = live.bundle(), time.time()
    box.clock = lambda: now + 80 * 3600
    with pytest.raises(EnrolError, match="bootstrap certificate ended"):
        box.session(wait=20).enrol(bundle)


def test_the_command_says_what_it_did(
    live: LiveFleet, box: Box, capsys: pytest.CaptureFixture[str]
) -> None:
    approved(live, box)
    folder = box.identity.folder
    assert enrol(None, folder, renew=False, early=False, wait=5, as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["device"], found["state"]) == (ID, "enrolled")
    assert enrol(None, folder, renew=False, early=False, wait=5, as_json=False) == 0
    out = capsys.readouterr().out
    assert "to be renewed from" in out
    assert f'cert_file = "{folder / "device.pem"}"' in out
    tls = load_credentials(load_settings(box)).tls
    assert tls is not None


def load_settings(box: Box) -> Any:
    site = box.identity.site()
    assert site is not None
    return box.identity.settings(site, box.identity.device)


@pytest.mark.parametrize("wait", [-1.0, float("nan"), float("inf")])
def test_a_wait_that_is_none(box: Box, wait: float) -> None:
    with pytest.raises(EnrolError, match="no number of seconds"):
        enrol(None, box.identity.folder, renew=False, early=False, wait=wait, as_json=False)


def test_root_leaves_the_files_to_whom_the_folder_belongs(live: LiveFleet) -> None:
    """The bundle may lie where only root reads it; the uplink's user has to read the key."""
    if os.geteuid():
        pytest.skip("needs root")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        Path(place).chmod(0o755)
        folder = Path(place) / "enrol"
        folder.mkdir(mode=0o700)
        os.chown(folder, 65534, 65534)
        command = [sys.executable, "-m", "agent.cli", "enrol", str(live.bundle()), "--folder",
                   str(folder), "--wait", "60"]  # fmt: skip
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as child:
            run = Run(lambda: {"said": child.communicate(timeout=90)[1]})
            eventually(lambda: child.poll() is not None or waiting(live), "a request")
            if child.poll() is None:
                with live.store() as store:
                    decide.approve(store, live.folder, ID, None, 365, int(time.time()))
            said = run.result()["said"]
        assert child.returncode == 0, said
        names = {path.name for path in folder.iterdir()}
        assert names == {"enrol.toml", "ca.pem", "device.pem", "mqtt.toml"}
        assert {path.stat().st_uid for path in folder.iterdir()} == {65534}
