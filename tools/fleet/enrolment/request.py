"""Whether a request is one: everything in it comes from the network, and a broker may be wrong
about who sent it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.base.report import from_json
from agent.uplink.enrol.examine import MAX_DER, common_name
from agent.uplink.enrol.messages import MAX_BYTES, Request, decode, vouched
from tools.fleet.enrolment.authority import Authority

TOPIC = re.compile(r"fleeting/1/p/([A-Za-z0-9_-]{1,64})/(csr|renew)")
_MAX_CSR = 1000
"""Bytes of DER; an honest one has some 210."""


class RefusedError(Exception):
    """It is no request; the text is one word, for the quarantine."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose two signatures hold."""

    device: str
    renewal: bool
    csr: x509.CertificateSigningRequest
    der: bytes
    key: ec.EllipticCurvePublicKey
    """For which a certificate is asked."""
    voucher: x509.Certificate


def examine(topic: str, body: bytes, devices: Authority, bootstrap: Authority, now: int) -> Asked:
    """Raises `RefusedError`: topic, too_long, malformed, csr, curve, name, signature, issuer,
    purpose, dates, proof, same_key. Raises `ToolError` where the revocation list is not there.
    """
    match = TOPIC.fullmatch(topic)
    if match is None:
        raise RefusedError("topic")
    device, renewal = match[1], match[2] == "renew"
    if len(body) > MAX_BYTES:
        raise RefusedError("too_long")
    request = from_json(Request, body)
    if request is None:
        raise RefusedError("malformed")
    try:
        der, certificate = decode(request.csr), decode(request.certificate)
        proof = decode(request.proof)
    except ValueError:
        raise RefusedError("malformed") from None
    csr, key = _csr(der, device)
    voucher, vouching = _voucher(certificate, device, devices if renewal else bootstrap, now)
    try:
        vouching.verify(proof, vouched(device, der), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise RefusedError("proof") from None
    if key == vouching:
        raise RefusedError("same_key")
    return Asked(device, renewal, csr, der, key, voucher)


def _csr(
    der: bytes, device: str
) -> tuple[x509.CertificateSigningRequest, ec.EllipticCurvePublicKey]:
    try:
        if len(der) > _MAX_CSR:
            raise ValueError("too long")
        csr = x509.load_der_x509_csr(der)
        key, valid = csr.public_key(), csr.is_signature_valid
        names, extensions = list(csr.subject), list(csr.extensions)
        strong = isinstance(csr.signature_hash_algorithm, hashes.SHA256)
    except Exception:  # the library has a dozen kinds for what is damaged, not all ValueErrors
        raise RefusedError("csr") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise RefusedError("curve")
    if not (valid and strong):
        raise RefusedError("signature")
    if [(each.oid, each.value) for each in names] != [(NameOID.COMMON_NAME, device)]:
        raise RefusedError("name")
    if extensions:  # what a certificate says is not the device's to choose
        raise RefusedError("csr")
    return csr, key


def _voucher(
    der: bytes, device: str, authority: Authority, now: int
) -> tuple[x509.Certificate, ec.EllipticCurvePublicKey]:
    try:
        if len(der) > MAX_DER:
            raise ValueError("too long")
        found = x509.load_der_x509_certificate(der)
        key, name = found.public_key(), common_name(found)
        purposes = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        first, last = found.not_valid_before_utc, found.not_valid_after_utc
    except Exception:  # as above
        raise RefusedError("malformed") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not authority.issued(found):
        raise RefusedError("issuer")
    if name != device:
        raise RefusedError("name")
    if list(purposes) != [ExtendedKeyUsageOID.CLIENT_AUTH]:
        raise RefusedError("purpose")
    if not first.timestamp() <= now < last.timestamp():
        raise RefusedError("dates")
    return found, key
