"""Certificates that are not the one that was asked for."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

from agent.uplink.enrol.errors import EnrolError
from agent.uplink.enrol.examine import Wanted, common_name, examine, parse
from tools.fleet.broker import certificates
from tools.fleet.broker.certificates import Pair

ID = "box-7"
KEY = ec.generate_private_key(ec.SECP256R1())
CA = certificates.authority("Fleet")
NAMESAKE = certificates.authority("Fleet")


def wanted(**changes: object) -> Wanted:
    given = {"device": ID, "key": KEY.public_key(), "authorities": [CA.certificate],
             "now": time.time()}  # fmt: skip
    return Wanted(**{**given, **changes})  # type: ignore[arg-type]


def built(
    change: Callable[[x509.CertificateBuilder], x509.CertificateBuilder],
    *,
    name: x509.Name | None = None,
    signer: Pair = CA,
    begin: int = -1,
    end: int = 100,
) -> x509.Certificate:
    """A certificate for our key that only differs by `change`. `begin`, `end`: days from now."""
    now = dt.datetime.now(dt.UTC)
    subject = name or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ID)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.certificate.subject)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=begin))
        .not_valid_after(now + dt.timedelta(days=end))
    )
    return change(builder).sign(signer.key, hashes.SHA256())


def client(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    usage = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH])
    return builder.add_extension(usage, critical=False)


def with_more(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    odd = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"x")
    return client(builder).add_extension(odd, critical=True)


def an_authoritys(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    return client(builder).add_extension(x509.BasicConstraints(True, None), critical=True)


TWO_NAMES = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each) for each in (ID, "box-8")])
ORGANISATION = x509.Name(
    [
        x509.NameAttribute(NameOID.COMMON_NAME, ID),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "x"),
    ]
)


def test_the_right_one_is_taken() -> None:
    found = certificates.certify(CA, KEY.public_key(), ID, 30)
    examine(parse(found.public_bytes(Encoding.DER)), wanted())
    examine(found, wanted(authorities=[NAMESAKE.certificate, CA.certificate]))
    assert common_name(found) == ID


@pytest.mark.parametrize(
    ("certificate", "why"),
    [
        (certificates.client(CA, ID).certificate, "another key"),
        (certificates.certify(CA, KEY.public_key(), "box-8", 30), "another name"),
        (certificates.certify(CA, KEY.public_key(), f"{ID} ", 30), "another name"),
        (built(client, name=TWO_NAMES), "another name"),
        (built(client, name=ORGANISATION), "another name"),
        (certificates.certify(NAMESAKE, KEY.public_key(), ID, 30), "authority"),
        (built(client, signer=Pair(CA.certificate, NAMESAKE.key)), "authority"),
        (built(an_authoritys), "is an authority's"),
        (built(lambda builder: builder), "clients only"),
        (certificates._sign(CA, KEY.public_key(), ID, 30,
                            x509.oid.ExtendedKeyUsageOID.SERVER_AUTH, ()), "clients only"),
        (built(with_more), "not known here"),
        (built(client, begin=-20, end=-1), "ended on"),
        (built(client, begin=2), "valid from"),
        (built(client, end=10_000), "cannot be meant"),
    ],
)  # fmt: skip
def test_any_other_is_refused_by_name(certificate: x509.Certificate, why: str) -> None:
    with pytest.raises(EnrolError, match=why):
        examine(certificate, wanted())


def test_a_next_one_must_end_later() -> None:
    before = certificates.certify(CA, KEY.public_key(), ID, 30)
    with pytest.raises(EnrolError, match="no later"):
        examine(before, wanted(later_than=before))
    examine(certificates.certify(CA, KEY.public_key(), ID, 31), wanted(later_than=before))


def test_without_a_clock_no_date_is_judged() -> None:
    over = built(client, begin=-20, end=-1)
    examine(over, wanted(now=None))
    with pytest.raises(EnrolError, match="ended on"):
        examine(over, wanted())


@pytest.mark.parametrize("cut", [0, 1, 50, -1])
def test_what_is_no_certificate_is_refused(cut: int) -> None:
    whole = CA.certificate.public_bytes(Encoding.DER)
    for der in (whole[:cut], whole + b"x", b"0" * 5000):
        with pytest.raises(EnrolError, match="no certificate"):
            parse(der)


def test_bytes_that_are_turned_are_refused_or_examined() -> None:
    """No damage gets through as the right one, and none ends the program otherwise."""
    whole = certificates.certify(CA, KEY.public_key(), ID, 30).public_bytes(Encoding.DER)
    for place in range(0, len(whole), 3):
        damaged = whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]
        with pytest.raises(EnrolError):
            examine(parse(damaged), wanted())
