"""The verbs of an operator."""

from __future__ import annotations

import io
import json
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from agent.uplink.enrol.bundle import read_bundle
from agent.uplink.enrol.messages import fingerprint
from tests.tools.fleet.enrolment.conftest import ID, Fleet, csr_for, key, pair_in, request
from tools.fleet.broker.folder import add_device, add_operator, make_broker
from tools.fleet.cli import main
from tools.fleet.enrolment.intake import Intake


@pytest.fixture
def say(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a verb on the fleet: (exit code, stdout, stderr)."""

    def run(*words: str) -> tuple[int, str, str]:
        code = main([*words, "--fleet", str(fleet.folder)])
        found = capsys.readouterr()
        return code, found.out, found.err

    return run


def wait(fleet: Fleet, device: str = ID) -> str:
    """Let a device ask; its fingerprint."""
    secret = key()
    body = request(csr_for(secret, device), pair_in(fleet.bundle(device)), device)
    with fleet.store() as store:
        Intake(store, fleet.folder).take(f"fleeting/1/p/{device}/csr", body, int(time.time()))
    return fingerprint(secret.public_key())


def test_bundles_are_secret_and_end(fleet: Fleet, say: Any) -> None:
    code, out, err = say("bootstrap", "box-1", "box-2", "--hours", "24", "--host", "broker.example")
    assert code == 0
    assert "fleeting enrol FILE" in err
    for line in out.split():
        path = Path(line)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        found = read_bundle(path)
        assert (found.device, found.host) == (path.stem, "broker.example")
        certificate = x509.load_pem_x509_certificate(found.certificate.encode())
        left = certificate.not_valid_after_utc.timestamp() - time.time()
        assert 23 * 3600 < left <= 24 * 3600


@pytest.mark.parametrize("names", [["fleet"], ["box+"], ["box-1", "box-1"], ["ok", "a/b"]])
def test_no_bundle_for_a_name_that_is_none(fleet: Fleet, say: Any, names: list[str]) -> None:
    code, _, err = say("bootstrap", *names)
    assert code == 1
    assert err.count("\n") == 1
    assert not (fleet.folder / "bootstrap").exists()


def test_what_waits_is_shown_and_decided(fleet: Fleet, say: Any) -> None:
    assert say("enrolments")[1] == "nothing waits\n"
    shown = wait(fleet)
    _, out, _ = say("enrolments")
    assert ID in out
    assert shown in out
    assert "its first certificate" in out
    (row,) = json.loads(say("enrolments", "--json")[1])
    assert (row["fingerprint"], row["state"]) == (shown, "waiting")
    code, out, _ = say("approve", ID, "--fingerprint", shown, "--days", "30", "--json")
    assert code == 0
    (done,) = json.loads(out)
    assert done["not_after"] == pytest.approx(time.time() + 30 * 86_400, abs=60)
    assert say("enrolments")[1] == "nothing waits\n"
    assert "approved" in say("enrolments", "--all")[1]
    other = wait(fleet, "box-8")
    code, out, _ = say("refuse", "box-8")
    assert code == 0
    assert other in out


def test_a_list_from_the_installers(fleet: Fleet, say: Any, monkeypatch: Any) -> None:
    shown = {name: wait(fleet, name) for name in ("box-1", "box-2", "box-3")}
    lines = f"box-1 {shown['box-1']}\nbox-2 {shown['box-2'][:30]}\nbox-3 {shown['box-1']}\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    code, out, err = say("approve", "--all-matching", "-")
    assert code == 1, "one of them does not match"
    assert "line 3" in err
    assert "box-1: approved" in out
    assert "box-2: approved" in out
    (left,) = json.loads(say("enrolments", "--json")[1])
    assert left["device"] == "box-3"
    assert say("approve")[0] == 1
    assert say("approve", "box-3", "--all-matching", "x")[0] == 1
    assert say("approve", "--all-matching", str(fleet.folder / "none"))[0] == 1


def test_a_revocation_reaches_the_broker(fleet: Fleet, say: Any) -> None:
    make_broker(fleet.folder, ["localhost"])
    place = add_device(fleet.folder, ID, host="localhost")
    certificate = x509.load_pem_x509_certificate((place / "device.pem").read_bytes())
    code, out, _ = say("revoke", ID, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["serials"] == [f"{certificate.serial_number:x}"]
    for path in (fleet.folder / "ca" / "revoked.pem", fleet.folder / "broker" / "revoked.pem"):
        assert str(path) in found["written"]
        listed = x509.load_pem_x509_crl(path.read_bytes())
        entry = listed.get_revoked_certificate_by_serial_number(certificate.serial_number)
        assert entry is not None
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
        assert reason is x509.ReasonFlags.key_compromise
    assert say("revoke", ID)[0] == 0, "again, and it stays so"
    assert len(x509.load_pem_x509_crl(path.read_bytes())) == 1
    code, _, err = say("revoke", "box-9")
    assert code == 1
    assert "No certificate of box-9" in err
    assert say("bootstrap", ID)[0] == 1
    assert say("bootstrap", ID, "--readmit")[0] == 0


def test_every_certificate_is_listed(fleet: Fleet, say: Any) -> None:
    make_broker(fleet.folder, ["localhost"])
    add_device(fleet.folder, "box-1", host="localhost", days=5)
    add_operator(fleet.folder, "reader")
    wait(fleet)
    say("approve", ID)
    found = json.loads(say("certificates", "--json")[1])
    names = {(each["what"], each["name"]) for each in found}
    assert names >= {
        ("device", "box-1"), ("device", ID), ("operator", "reader"), ("broker", "broker"),
        ("bootstrap", ID), ("authority", "ca"), ("authority", "bootstrap-ca"),
    }  # fmt: skip
    assert [each["not_after"] for each in found] == sorted(each["not_after"] for each in found)
    soon = say("certificates", "--within", "7")[1]
    assert "box-1" in soon
    assert "reader" not in soon
    say("revoke", ID)
    assert "revoked" in say("certificates")[1]


def test_a_folder_without_authorities_is_named(tmp_path: Path, capsys: Any) -> None:
    assert main(["bootstrap", ID, "--fleet", str(tmp_path)]) == 1
    assert "fleeting-fleet ca" in capsys.readouterr().err
