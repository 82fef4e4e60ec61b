"""How a receiver knows that a request is the fleet's, new, and whole."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence

HEADER = "Fleeting-Signature"
DELIVERY = "Fleeting-Delivery"
EVENT = "Fleeting-Event"


def new_secret() -> str:
    """256 bits."""
    return "fws_" + secrets.token_urlsafe(32)


def sign(given: Sequence[str], at: int, body: bytes) -> str:
    """The header's value: one `v1` for each secret. `at`: Unix seconds of this attempt."""
    signed = f"{at}.".encode() + body
    marks = [hmac.new(each.encode(), signed, hashlib.sha256).hexdigest() for each in given]
    return ",".join([f"t={at}", *(f"v1={each}" for each in marks)])
