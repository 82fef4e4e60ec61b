"""What device and fleet say to each other about certificates, on `fleeting/1/p/{id}/…`.

`csr` (with a one-time bootstrap certificate) and `renew` (with the device's own) carry a `Request`,
`cert` a retained `Answer`. A request is signed twice: by the new key, as PKCS #10 asks, and by the
key of the certificate that vouches for it, as in CMC and EST (RFC 5272, RFC 7030 section 3.3.2):
the fleet need not believe the broker about who it was that connected.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Annotated, Literal

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import Field, model_validator

from agent.base.report import ClosedModel

MAX_BYTES = 3500
"""Of a message: a broker of ours takes packets of 4096 bytes."""
RENEW_AFTER = 2 / 3
"""Share of a certificate's life after which the device asks for the next one."""
_PURPOSE = b"fleeting enrolment 1\0"
Base64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{16,2400}={0,2}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Refusal = Literal["operator", "used", "revoked", "too_many", "superseded", "too_early"]
"""The operator said no; the bootstrap certificate has served another key; the device's certificates
are revoked; too many keys wait under this name; a newer certificate exists; less than half of the
certificate's life is over."""


class Request(ClosedModel):
    """What a device asks for; all three are base64 (RFC 4648) of DER."""

    v: Literal[1] = 1
    csr: Base64
    """The certificate signing request."""
    certificate: Base64
    """The certificate that vouches for it: bootstrap or the device's present one."""
    proof: Base64
    """ECDSA with SHA-256, by that certificate's key, over `vouched`."""


class Answer(ClosedModel):
    """What the fleet decided. Exactly one of `certificate` and `refused` is given."""

    v: Literal[1] = 1
    request: Sha256
    """Of the request's DER: an answer to an earlier one is no answer."""
    certificate: Base64 | None = None
    """DER."""
    refused: Refusal | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Answer:
        if (self.certificate is None) == (self.refused is None):
            raise ValueError("either a certificate or a refusal")
        return self


def request_topic(device: str, *, renewal: bool) -> str:
    """Where a device asks."""
    return f"fleeting/1/p/{device}/{'renew' if renewal else 'csr'}"


def answer_topic(device: str) -> str:
    """Where the fleet answers, retained."""
    return f"fleeting/1/p/{device}/cert"


def vouched(device: str, csr: bytes) -> bytes:
    """What the vouching key signs; it can be taken for nothing else."""
    return _PURPOSE + device.encode() + b"\0" + csr


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 of the key's SubjectPublicKeyInfo: 16 groups of four hexadecimal digits, for a person
    who compares two screens."""
    found = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    digits = found.hexdigest()
    return ":".join(digits[place : place + 4] for place in range(0, len(digits), 4))


def encode(data: bytes) -> str:
    """Base64."""
    return base64.b64encode(data).decode()


def decode(text: str) -> bytes:
    """Raises `ValueError` for what is not the one base64 form of its bytes."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("no base64") from None
    if encode(data) != text:
        raise ValueError("not the one base64 form of its bytes")
    return data
