"""The fleet's own certificate authorities, what they sign, and what they revoke.

Three authorities: one for devices and the broker, one for operators, one for bootstrap certificates
of devices that are still to be enrolled, so that none's certificate opens another's listener. A
device's certificate is for clients only and the broker's for servers only: neither can stand in for
the other. Profile after RFC 5280, with every extension that `ssl.VERIFY_X509_STRICT` asks for (the
default from Python 3.13 on).
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tools.common.errors import ToolError

AUTHORITY_DAYS = 3650
DEVICE_DAYS = 730
ENROLLED_DAYS = 365
"""Of a certificate that the device asked for, and renews by itself."""
BOOTSTRAP_HOURS = 72
_EARLIER = dt.timedelta(days=1)
"""Certificates hold from a day before, for clocks that are behind."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_OPERATOR = re.compile(r"(fleet|enrolment|homeassistant|reader(-[A-Za-z0-9_-]{1,48})?)")
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """Not encrypted: a box starts without anybody there. Keep the file 0600."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def check_device(name: str) -> str:
    """`name` where a device may be called so. Raises `ToolError`.

    A `+` or `#` in a common name would make the broker's patterns match other devices' topics.
    """
    if not _ID.fullmatch(name):
        raise ToolError(
            f"{name!r} cannot be a device's id: 1 to 64 letters, digits, - and _ and nothing else."
        )
    if _OPERATOR.fullmatch(name):
        raise ToolError(f"{name!r} is an operator's name. Give the device another id.")
    return name


def check_operator(name: str) -> str:
    """`name` where an operator may be called so. Raises `ToolError`."""
    if not _OPERATOR.fullmatch(name):
        raise ToolError(
            f"{name!r} cannot be an operator's name: fleet, enrolment, homeassistant, reader, or "
            "reader-NAME."
        )
    return name


def authority(name: str, days: int = AUTHORITY_DAYS) -> Pair:
    """A new authority that signs itself and nothing but leaves."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        _builder(subject, subject, key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(_authority_key(key.public_key()), critical=False)
    )
    return Pair(builder.sign(key, hashes.SHA256()), key)


def client(signer: Pair, name: str, days: float = DEVICE_DAYS) -> Pair:
    """A certificate for a device or an operator; `name`, checked before, becomes its CN."""
    return _leaf(signer, name, days, ExtendedKeyUsageOID.CLIENT_AUTH, ())


def certify(
    signer: Pair, key: ec.EllipticCurvePublicKey, name: str, days: float
) -> x509.Certificate:
    """As `client`, for a key that somebody else made."""
    return _sign(signer, key, name, days, ExtendedKeyUsageOID.CLIENT_AUTH, ())


def issued_at(certificate: x509.Certificate) -> int:
    """Unix seconds at which one of these was made."""
    return int((certificate.not_valid_before_utc + _EARLIER).timestamp())


def revocations(
    signer: Pair,
    revoked: Mapping[int, tuple[int, x509.ReasonFlags]],
    before: x509.CertificateRevocationList | None = None,
) -> bytes:
    """A certificate revocation list, PEM. `revoked`: serial number -> (Unix seconds, reason);
    `before`: the list that it takes the place of.

    It is good until the authority ends: OpenSSL lets nobody in at all under a list that is over.
    """
    now, number = dt.datetime.now(dt.UTC).replace(microsecond=0), 1
    begin = now - _EARLIER
    if before is not None:
        number += before.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        # Of two that it has read OpenSSL believes the later one.
        begin = max(begin, before.last_update_utc + dt.timedelta(seconds=1))
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(signer.certificate.subject)
        .last_update(begin)
        .next_update(max(signer.certificate.not_valid_after_utc, now + _EARLIER))
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(_authority_key(signer.key.public_key()), critical=False)
    )
    for serial, (at, reason) in sorted(revoked.items()):
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(serial)
            .revocation_date(dt.datetime.fromtimestamp(at, dt.UTC))
        )
        if reason is not x509.ReasonFlags.unspecified:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def server(signer: Pair, hosts: Sequence[str], days: int = DEVICE_DAYS) -> Pair:
    """A certificate for a broker that is reached by each of `hosts`: names and IP addresses."""
    return _leaf(signer, "broker", days, ExtendedKeyUsageOID.SERVER_AUTH, hosts)


def load(certificate: Path, key: Path) -> Pair:
    """Read an authority back. Raises `ToolError`."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        secret = serialization.load_pem_private_key(key.read_bytes(), None)
        if not isinstance(secret, ec.EllipticCurvePrivateKey):
            raise ValueError("the key is of another kind")
        found.verify_directly_issued_by(found)
        if found.public_key() != secret.public_key():
            raise ValueError("the key belongs to another certificate")
    except OSError as error:
        raise ToolError(
            f"{error.filename} cannot be read: {error.strerror}. "
            "Make the authorities first: fleeting-fleet ca FOLDER."
        ) from None
    except (ValueError, TypeError, InvalidSignature) as error:
        raise ToolError(
            f"{certificate} and {key} are no authority of this tool: {error}."
        ) from None
    return Pair(found, secret)


def _leaf(
    signer: Pair, name: str, days: float, purpose: x509.ObjectIdentifier, hosts: Sequence[str]
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    return Pair(_sign(signer, key.public_key(), name, days, purpose, hosts), key)


def _sign(
    signer: Pair,
    key: ec.EllipticCurvePublicKey,
    name: str,
    days: float,
    purpose: x509.ObjectIdentifier,
    hosts: Sequence[str],
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        _builder(subject, signer.certificate.subject, key, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(_authority_key(signer.key.public_key()), critical=False)
    )
    if hosts:
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer.key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: float
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _authority_key(key: ec.EllipticCurvePublicKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    if not _HOST.fullmatch(text):
        raise ToolError(f"{text!r} is neither a host name nor an IP address.")
    return x509.DNSName(text)
