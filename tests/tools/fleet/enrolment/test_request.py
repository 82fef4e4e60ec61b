"""Requests that are none: each is refused, and by its name."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from agent.uplink.enrol.messages import MAX_BYTES, encode, fingerprint
from tests.tools.fleet.enrolment.conftest import ID, Fleet, csr_for, key, pair_in, request
from tools.fleet.broker import certificates
from tools.fleet.enrolment.authority import Authority
from tools.fleet.enrolment.request import RefusedError, examine

TOPIC = f"fleeting/1/p/{ID}/csr"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return Fleet(tmp_path_factory.mktemp("fleet") / "fleet")


def tried(fleet: Fleet, body: bytes, topic: str = TOPIC, now: float | None = None) -> str:
    """The word with which it is refused; empty: it was not."""
    authorities = Authority(fleet.folder, "ca"), Authority(fleet.folder, "bootstrap-ca")
    try:
        examine(topic, body, *authorities, int(now or time.time()))
    except RefusedError as error:
        return str(error)
    return ""


def odd_csr(**changes: Any) -> bytes:
    """A request that differs: `names`, `secret`, `extension`, `digest`."""
    names = changes.get("names", [(NameOID.COMMON_NAME, ID)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    )
    if "extension" in changes:
        builder = builder.add_extension(changes["extension"], critical=True)
    signed = builder.sign(changes.get("secret") or key(), changes.get("digest", hashes.SHA256()))
    return signed.public_bytes(Encoding.DER)


def test_an_honest_one_is_taken(made: Fleet) -> None:
    secret, voucher = key(), pair_in(made.bundle())
    body = request(csr_for(secret), voucher)
    assert len(body) < MAX_BYTES
    asked = examine(
        TOPIC, body, Authority(made.folder, "ca"), Authority(made.folder, "bootstrap-ca"),
        int(time.time()),
    )  # fmt: skip
    assert (asked.device, asked.renewal) == (ID, False)
    assert fingerprint(asked.key) == fingerprint(secret.public_key())


def test_what_asks_for_something_else_is_refused(made: Fleet) -> None:
    voucher = pair_in(made.bundle())
    two = [(NameOID.COMMON_NAME, ID), (NameOID.COMMON_NAME, ID)]
    more = [(NameOID.COMMON_NAME, ID), (NameOID.ORGANIZATION_NAME, "x")]
    ca = x509.BasicConstraints(ca=True, path_length=None)
    turned = bytearray(csr_for(key()))
    turned[-1] ^= 1
    cases = {
        csr_for(key(), "box-8"): "name",
        odd_csr(names=two): "name",
        odd_csr(names=more): "name",
        odd_csr(names=[(NameOID.ORGANIZATION_NAME, ID)]): "name",
        odd_csr(names=[]): "name",
        odd_csr(extension=ca): "csr",
        odd_csr(secret=ec.generate_private_key(ec.SECP384R1())): "curve",
        odd_csr(secret=rsa.generate_private_key(65537, 2048)): "curve",
        odd_csr(digest=hashes.SHA512()): "signature",
        bytes(turned): "signature",
        csr_for(key())[:-1]: "csr",
        csr_for(key()) + b"x": "csr",
        b"x" * 1500: "csr",
        csr_for(voucher.key): "same_key",
    }
    for der, why in cases.items():
        assert tried(made, request(der, voucher)) == why


def test_who_vouches_must_be_the_bootstrap_certificate_of_this_device(made: Fleet) -> None:
    voucher, der = pair_in(made.bundle()), csr_for(key())
    namesake = certificates.authority("Fleeting bootstrap")
    devices = certificates.load(made.folder / "ca" / "ca.pem", made.folder / "ca" / "ca.key")
    other = pair_in(made.bundle("box-8"))
    cases = [
        (request(der, certificates.client(namesake, ID)), "issuer"),
        (request(der, certificates.client(devices, ID)), "issuer"),  # a device's own is for renew
        (request(der, certificates.server(devices, ["x"])), "issuer"),
        (request(der, other), "name"),
        (request(der, certificates.Pair(voucher.certificate, key())), "proof"),
        (request(der, voucher, "box-8"), "proof"),  # signed for another name
    ]
    for body, why in cases:
        assert tried(made, body) == why
    # The proof of one request does not serve another.
    fields = json.loads(request(der, voucher))
    fields["csr"] = encode(csr_for(key()))
    assert tried(made, json.dumps(fields, separators=(",", ":")).encode()) == "proof"


def test_a_bootstrap_certificate_ends(made: Fleet) -> None:
    body, now = request(csr_for(key()), pair_in(made.bundle())), time.time()
    assert tried(made, body, now=now + 71 * 3600) == ""
    assert tried(made, body, now=now + 73 * 3600) == "dates"
    assert tried(made, body, now=now - 3 * 86_400) == "dates"


def test_a_device_cannot_claim_anothers_topic(made: Fleet) -> None:
    """Even where a broker lets it: the name in the request must be the topic's."""
    mine = request(csr_for(key()), pair_in(made.bundle()))
    assert tried(made, mine, "fleeting/1/p/box-8/csr") == "name"
    claimed = request(csr_for(key(), "box-8"), pair_in(made.bundle()), "box-8")
    assert tried(made, claimed, "fleeting/1/p/box-8/csr") == "name"
    assert tried(made, mine, "fleeting/1/p/box-7/renew") == "issuer"
    for topic in ("", "fleeting/1/p/box-7", "fleeting/1/p/a/b/csr", "fleeting/1/p/+/csr",
                  "fleeting/1/p/box-7/csr\n", "fleeting/1/d/box-7/csr"):  # fmt: skip
        assert tried(made, mine, topic) == "topic"


def test_bodies_that_are_none(made: Fleet) -> None:
    body = request(csr_for(key()), pair_in(made.bundle()))
    fields = json.loads(body)
    cases = {
        b"{}": "malformed",
        b"null": "malformed",
        b"\xff": "malformed",
        body[:-1]: "malformed",
        b" " + body: "malformed",
        body.replace(b'"v":1', b'"v":2'): "malformed",
        body.replace(b'"v":1', b'"v":1,"more":1'): "malformed",
        body.replace(fields["proof"].encode(), fields["proof"].encode()[:-1] + b"-"): "malformed",
        b"x" * (MAX_BYTES + 1): "too_long",
    }
    for damaged, why in cases.items():
        assert tried(made, damaged) == why


_BODY: list[tuple[Path, bytes]] = []


@given(place=st.integers(0, 10_000), value=st.integers(1, 255))
def test_no_turned_byte_is_taken(made: Fleet, place: int, value: int) -> None:
    if not _BODY or _BODY[0][0] != made.folder:
        _BODY[:] = [(made.folder, request(csr_for(key()), pair_in(made.bundle())))]
    body = bytearray(_BODY[0][1])
    body[place % len(body)] ^= value
    assert tried(made, bytes(body)) != ""
