"""Whether a certificate is the one that was asked for. What comes from the broker is hostile."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.uplink.enrol.errors import EnrolError

MAX_DER = 1800
"""Bytes of a certificate; one of ours has some 500."""
_MAX_LIFE = dt.timedelta(days=3660)
_KNOWN = (
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.AuthorityKeyIdentifier,
    x509.SubjectKeyIdentifier,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a certificate must be."""

    device: str
    """Its common name."""
    key: ec.EllipticCurvePublicKey
    authorities: Sequence[x509.Certificate]
    """Whoever signs for this fleet's devices."""
    now: float | None
    """UTC seconds; None: the clock is not trusted, and dates are not judged."""
    later_than: x509.Certificate | None = None
    """One that it is to follow: it must end later."""


def parse(der: bytes) -> x509.Certificate:
    """Raises `EnrolError`."""
    try:
        if len(der) > MAX_DER:
            raise ValueError("too long")
        found = x509.load_der_x509_certificate(der)
        # All that is looked at later; the library parses lazily.
        _ = found.subject, found.issuer, [each.value for each in found.extensions]
        _ = found.not_valid_before_utc, found.not_valid_after_utc, found.signature_hash_algorithm
    except Exception:  # the library has a dozen kinds for what is damaged, not all ValueErrors
        raise EnrolError(
            "The answer holds no certificate. Whoever runs the broker or the fleet should look "
            "into it; nothing was installed."
        ) from None
    return found


def examine(certificate: x509.Certificate, wanted: Wanted) -> None:
    """Raises `EnrolError` naming what is wrong with it."""
    problem = _problem(certificate, wanted)
    if problem:
        raise EnrolError(
            f"The certificate that came for {wanted.device} {problem}. It was not installed. "
            "Ask whoever runs the fleet: somebody may be pretending to be it."
        )


def common_name(certificate: x509.Certificate) -> str | None:
    """The subject's only attribute; None where there is another, or more."""
    parts = list(certificate.subject)
    if len(parts) != 1 or parts[0].oid != NameOID.COMMON_NAME:
        return None
    return str(parts[0].value)


def _problem(certificate: x509.Certificate, wanted: Wanted) -> str | None:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if key != wanted.key:
        return "is for another key"
    if common_name(certificate) != wanted.device:
        return "bears another name"
    return _issuer(certificate, wanted) or _purpose(certificate) or _dates(certificate, wanted)


def _issuer(certificate: x509.Certificate, wanted: Wanted) -> str | None:
    if not isinstance(certificate.signature_hash_algorithm, hashes.SHA256 | hashes.SHA384):
        return "is signed by an outdated method"
    for each in wanted.authorities:
        try:
            certificate.verify_directly_issued_by(each)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            continue
        return None
    return "is not signed by the fleet's authority"


def _purpose(certificate: x509.Certificate) -> str | None:
    found = {type(each.value): each for each in certificate.extensions}
    constraints = found.get(x509.BasicConstraints)
    if constraints is not None and constraints.value.ca:
        return "is an authority's"
    purposes = found.get(x509.ExtendedKeyUsage)
    if purposes is None or list(purposes.value) != [ExtendedKeyUsageOID.CLIENT_AUTH]:
        return "is not one for clients only"
    usage = found.get(x509.KeyUsage)
    if usage is not None and not usage.value.digital_signature:
        return "does not let its key sign"
    if any(each.critical and not isinstance(each.value, _KNOWN) for each in certificate.extensions):
        return "makes a condition that is not known here"
    return None


def _dates(certificate: x509.Certificate, wanted: Wanted) -> str | None:
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not dt.timedelta(0) < last - first <= _MAX_LIFE:
        return "is valid for a time that cannot be meant"
    if wanted.later_than is not None and last <= wanted.later_than.not_valid_after_utc:
        return "ends no later than the one in use"
    if wanted.now is None:
        return None
    now = dt.datetime.fromtimestamp(wanted.now, dt.UTC)
    if now < first:
        return f"is valid from {first:%Y-%m-%d} on only"
    return f"ended on {last:%Y-%m-%d}" if now >= last else None
