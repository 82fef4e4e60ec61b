"""What becomes of a request: waiting, approved, rejected; once for each bootstrap certificate."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from agent.base.report import from_json
from agent.uplink.enrol.messages import Answer, decode, fingerprint
from tests.tools.fleet.enrolment.conftest import ID, Fleet, csr_for, key, pair_in, request
from tests.tools.fleet.postgres import Postgres
from tools.common.errors import ToolError
from tools.fleet.broker.certificates import Pair
from tools.fleet.broker.folder import add_device
from tools.fleet.enrolment import answers, decide, records
from tools.fleet.enrolment.authority import Authority
from tools.fleet.enrolment.intake import MAX_WAITING, Intake, Taken
from tools.fleet.store import Store

DAY = 86_400
NOW = int(time.time())


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Fleet:
    """With a database of each kind."""
    made = Fleet(tmp_path / "fleet")
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        (made.folder / "fleet.toml").write_text(f'[store]\nurl = "{server.url()}"\n')
    return made


@pytest.fixture
def intake(fleet: Fleet, store: Store) -> Intake:
    return Intake(store, fleet.folder)


def asked(
    intake: Intake, secret: ec.EllipticCurvePrivateKey, voucher: Pair, *, renew: bool = False,
    now: int = NOW, der: bytes | None = None,
) -> Taken:  # fmt: skip
    topic = f"fleeting/1/p/{ID}/{'renew' if renew else 'csr'}"
    return intake.take(topic, request(der or csr_for(secret), voucher), now)


def heard(store: Store) -> list[Answer]:
    """What the device is told by now."""
    found = []
    for each in answers.due(store):
        answer = from_json(Answer, each.body)
        assert answer is not None
        assert each.topic == f"fleeting/1/p/{each.device}/cert"
        found.append(answer)
        answers.done(store, each, NOW)
    assert not answers.due(store)
    return found


def enrolled(fleet: Fleet, store: Store, intake: Intake, now: int = NOW, days: int = 365) -> Pair:
    """A device with its first certificate."""
    secret = key()
    assert asked(intake, secret, pair_in(fleet.bundle()), now=now).state == "waiting"
    decide.approve(store, fleet.folder, ID, None, days, now)
    (answer,) = heard(store)
    return Pair(x509.load_der_x509_certificate(decode(answer.certificate or "")), secret)


def refusals(store: Store) -> list[str | None]:
    return [answer.refused for answer in heard(store)]


def test_a_request_waits_and_is_approved_once(fleet: Fleet, store: Store, intake: Intake) -> None:
    secret, voucher = key(), pair_in(fleet.bundle())
    der = csr_for(secret)
    for _ in range(3):
        assert asked(intake, secret, voucher, der=der) == Taken(ID, state="waiting")
    (row,) = records.undecided(store)
    assert row["fingerprint"] == fingerprint(secret.public_key())
    assert not answers.due(store)
    decide.approve(store, fleet.folder, ID, None, 365, NOW)
    (first,) = heard(store)
    certificate = x509.load_der_x509_certificate(decode(first.certificate or ""))
    assert certificate.public_key() == secret.public_key()
    with pytest.raises(ToolError, match="nothing"):
        decide.approve(store, fleet.folder, ID, None, 365, NOW)
    # Whoever did not hear asks again, and gets the very same.
    assert asked(intake, secret, voucher, der=der).state == "approved"
    assert heard(store) == [first]
    (device,) = store.execute("SELECT * FROM devices")
    assert device["certificate_end"] == int(certificate.not_valid_after_utc.timestamp())


def test_a_used_bootstrap_certificate_serves_no_other_key(
    fleet: Fleet, store: Store, intake: Intake
) -> None:
    voucher = pair_in(fleet.bundle())
    asked(intake, key(), voucher)
    decide.approve(store, fleet.folder, ID, None, 365, NOW)
    heard(store)
    assert asked(intake, key(), voucher).state == "rejected"
    assert refusals(store) == ["used"]
    assert len(records.certified(store)) == 1


def test_two_keys_under_one_name_are_told_apart(fleet: Fleet, store: Store, intake: Intake) -> None:
    """A stolen bundle: the operator sees two fingerprints, and approves by the device's screen."""
    voucher, honest, thief = pair_in(fleet.bundle()), key(), key()
    der = csr_for(honest)
    asked(intake, thief, voucher)
    asked(intake, honest, voucher, der=der)
    with pytest.raises(ToolError, match="2 keys wait"):
        decide.approve(store, fleet.folder, ID, None, 365, NOW)
    shown = fingerprint(honest.public_key())
    with pytest.raises(ToolError, match="at least its first 20"):
        decide.approve(store, fleet.folder, ID, shown[:12], 365, NOW)
    with pytest.raises(ToolError, match="no key with this fingerprint"):
        decide.approve(store, fleet.folder, ID, "0" * 64, 365, NOW)
    row = decide.approve(store, fleet.folder, ID, shown[:30], 365, NOW)
    assert row["fingerprint"] == shown
    told = heard(store)
    assert sorted(answer.refused or "" for answer in told) == ["", "used"]
    assert asked(intake, honest, voucher, der=der).state == "approved"


def test_keys_that_wait_are_bounded(fleet: Fleet, store: Store, intake: Intake) -> None:
    voucher = pair_in(fleet.bundle())
    states = [asked(intake, key(), voucher).state for _ in range(60)]
    assert states == ["waiting"] * MAX_WAITING + ["rejected"] * (60 - MAX_WAITING)
    assert len(store.execute("SELECT * FROM enrolments")) <= MAX_WAITING + 20
    assert set(refusals(store)) == {"too_many"}


def test_what_was_refused_for_the_time_being_is_decided_anew(
    fleet: Fleet, store: Store, intake: Intake
) -> None:
    """The device asks again with the same key."""
    first, secret = enrolled(fleet, store, intake), key()
    der = csr_for(secret)
    early, due = NOW + 100 * DAY, NOW + 250 * DAY
    assert asked(intake, secret, first, renew=True, now=early, der=der).state == "rejected"
    assert asked(intake, secret, first, renew=True, now=due, der=der).state == "approved"
    (answer,) = heard(store)
    assert answer.certificate is not None
    voucher, last = pair_in(fleet.bundle("box-8")), key()
    der = csr_for(last, "box-8")
    body = request(der, voucher, "box-8")
    for _ in range(MAX_WAITING):
        other = request(csr_for(key(), "box-8"), voucher, "box-8")
        intake.take("fleeting/1/p/box-8/csr", other, NOW)
    assert intake.take("fleeting/1/p/box-8/csr", body, NOW).state == "rejected"
    decide.refuse(store, "box-8", None, NOW)
    assert intake.take("fleeting/1/p/box-8/csr", body, NOW).state == "waiting"


def test_a_refusal_is_said_and_stays(fleet: Fleet, store: Store, intake: Intake) -> None:
    secret, voucher = key(), pair_in(fleet.bundle())
    der = csr_for(secret)
    asked(intake, secret, voucher, der=der)
    decide.refuse(store, ID, None, NOW)
    assert refusals(store) == ["operator"]
    assert asked(intake, secret, voucher, der=der).state == "rejected"
    assert refusals(store) == ["operator"]
    with pytest.raises(ToolError, match="Nothing waits"):
        decide.refuse(store, ID, None, NOW)


def test_a_new_bundle_ends_the_one_before(fleet: Fleet, store: Store, intake: Intake) -> None:
    old, new = pair_in(fleet.bundle()), pair_in(fleet.bundle())
    assert asked(intake, key(), old).state == "rejected"
    assert refusals(store) == ["revoked"]
    assert asked(intake, key(), new).state == "waiting"


def test_a_renewal_is_granted_by_itself(fleet: Fleet, store: Store, intake: Intake) -> None:
    first, secret = enrolled(fleet, store, intake), key()
    due = NOW + 250 * DAY
    assert asked(intake, secret, first, renew=True, now=due) == Taken(ID, state="approved")
    (answer,) = heard(store)
    second = x509.load_der_x509_certificate(decode(answer.certificate or ""))
    assert second.public_key() == secret.public_key()
    # The new one vouches from now on, the old one does not.
    assert asked(intake, key(), first, renew=True, now=due + 9).state == "rejected"
    assert refusals(store) == ["superseded"]


def test_a_renewal_comes_in_its_time(fleet: Fleet, store: Store, intake: Intake) -> None:
    first = enrolled(fleet, store, intake)
    assert asked(intake, key(), first, renew=True, now=NOW + 100 * DAY).state == "rejected"
    assert refusals(store) == ["too_early"]
    late = asked(intake, key(), first, renew=True, now=NOW + 366 * DAY)
    assert late.refused == "dates"


def test_a_certificate_that_the_tool_made_is_renewed_too(
    fleet: Fleet, store: Store, intake: Intake
) -> None:
    place = add_device(fleet.folder, ID, host="localhost", days=10)
    secret = load_pem_private_key((place / "device.key").read_bytes(), None)
    assert isinstance(secret, ec.EllipticCurvePrivateKey)
    pair = Pair(x509.load_pem_x509_certificate((place / "device.pem").read_bytes()), secret)
    assert asked(intake, key(), pair, renew=True, now=NOW + 8 * DAY).state == "approved"


def test_without_the_authoritys_key_a_renewal_waits(
    fleet: Fleet, store: Store, intake: Intake
) -> None:
    first = enrolled(fleet, store, intake)
    (fleet.folder / "ca" / "ca.key").rename(fleet.folder / "away.key")
    secret = key()
    assert asked(intake, secret, first, renew=True, now=NOW + 250 * DAY).state == "waiting"
    (fleet.folder / "away.key").rename(fleet.folder / "ca" / "ca.key")
    decide.approve(store, fleet.folder, ID, None, 365, NOW + 251 * DAY)
    (answer,) = heard(store)
    assert answer.certificate is not None


def test_a_revoked_device_gets_nothing_until_an_operator_lets_it_in(
    fleet: Fleet, store: Store, intake: Intake
) -> None:
    """The ceremony after a theft."""
    voucher = pair_in(fleet.bundle())
    first = enrolled(fleet, store, intake)
    later = NOW + 200 * DAY
    done = decide.revoke(store, fleet.folder, ID, "key_compromise", later)
    assert done.serials == [first.certificate.serial_number]
    assert intake.devices.revoked(first.certificate.serial_number)
    (device,) = store.execute("SELECT revoked_at FROM devices")
    assert device["revoked_at"] == later
    assert asked(intake, key(), first, renew=True, now=later).state == "rejected"
    assert asked(intake, key(), voucher).state == "rejected"
    assert set(refusals(store)) == {"revoked"}
    # A bundle made afterwards, for the device that replaces it.
    store.execute("UPDATE devices SET revoked_at = ?", (NOW - 5,))
    secret = key()
    assert asked(intake, secret, pair_in(fleet.bundle())).state == "waiting"
    decide.approve(store, fleet.folder, ID, None, 365, NOW)
    (device,) = store.execute("SELECT revoked_at FROM devices")
    assert device["revoked_at"] is None
    assert intake.devices.revoked(first.certificate.serial_number), "the stolen key stays out"


def test_revoking_ends_what_waits_and_what_is_on_the_way(
    fleet: Fleet, store: Store, intake: Intake
) -> None:
    secret, voucher = key(), pair_in(fleet.bundle())
    asked(intake, secret, voucher)
    decide.revoke(store, fleet.folder, ID, "cessation", NOW)
    assert refusals(store) == ["revoked"]
    assert intake.bootstrap.revoked(voucher.certificate.serial_number)
    assert not records.undecided(store)
    with pytest.raises(ToolError, match="No certificate of box-9"):
        decide.revoke(store, fleet.folder, "box-9", "cessation", NOW)


def test_a_list_of_fingerprints_approves_those_that_match(
    fleet: Fleet, store: Store, intake: Intake
) -> None:
    keys = {f"box-{number}": key() for number in range(3)}
    for name, secret in keys.items():
        body = request(csr_for(secret, name), pair_in(fleet.bundle(name)), name)
        intake.take(f"fleeting/1/p/{name}/csr", body, NOW)
    shown = {name: fingerprint(secret.public_key()) for name, secret in keys.items()}
    lines = [
        f"box-0 {shown['box-0']}",
        "",
        "# by phone",
        f"box-1 {shown['box-2']}",
        "box-9 " + "1" * 64,
    ]
    good, bad = decide.matching(store, lines)
    assert good == [("box-0", shown["box-0"])]
    assert len(bad) == 2
    with pytest.raises(ToolError, match="Line 1"):
        decide.matching(store, ["box-0"])


def test_revocations_at_the_same_time_lose_none(fleet: Fleet) -> None:
    authorities = [Authority(fleet.folder, "ca") for _ in range(8)]

    def work(number: int) -> None:
        for serial in range(5):
            authorities[number].revoke([100 * number + serial + 1], "superseded", NOW)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    found = x509.load_pem_x509_crl((fleet.folder / "ca" / "revoked.pem").read_bytes())
    assert len(found) == 40


def test_nobody_hears_of_a_request_that_is_none(store: Store, intake: Intake) -> None:
    assert intake.take(f"fleeting/1/p/{ID}/csr", b"{}", NOW) == Taken(refused="malformed")
    assert intake.take(f"fleeting/1/p/{ID}/csr", b"", NOW) == Taken()
    assert not store.execute("SELECT * FROM enrolments")
    assert not answers.due(store)


def test_the_revocation_list_only_grows(fleet: Fleet, store: Store, intake: Intake) -> None:
    path = fleet.folder / "ca" / "revoked.pem"
    numbers, counts, begins = [], [], []
    for serial in (5, 6, 5):
        intake.devices.revoke([serial], "key_compromise", NOW)
        found = x509.load_pem_x509_crl(path.read_bytes())
        assert found.is_signature_valid(intake.devices.certificate.public_key())  # type: ignore[arg-type]
        extension = found.extensions.get_extension_for_class(x509.CRLNumber)
        numbers.append(extension.value.crl_number)
        counts.append(len(found))
        begins.append(found.last_update_utc)
        assert found.next_update_utc == intake.devices.certificate.not_valid_after_utc
    assert numbers == [2, 3, 4]
    assert counts == [1, 2, 2]
    assert sorted(set(begins)) == begins, "of two in one second the later is told"
    path.write_bytes(b"x")
    with pytest.raises(ToolError, match="damaged"):
        intake.devices.revoked(5)
    other = intake.bootstrap.certificate.public_bytes(Encoding.PEM)
    path.write_bytes(other)
    with pytest.raises(ToolError, match="damaged"):
        intake.devices.revoke([7], "superseded", NOW)
