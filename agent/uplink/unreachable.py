"""Why a broker is not reached or does not speak MQTT, and what to do about it.

The same sentences for the uplink's log and for `check`. No text of a library is repeated: a log
holds sentences of this program only. Sources: X509_V_ERR_... of OpenSSL's x509_vfy.h; alerts of
RFC 8446, section 6.
"""

from __future__ import annotations

import errno
import socket
import ssl
import time
from dataclasses import dataclass

from agent.base.errors import reason

DATE = "YYYY-MM-DD"
"""In `TEXTS`: where the clock's date stands."""
_EARLIEST = 1_767_225_600.0
"""2026-01-01: a clock that says less is wrong, since this program is younger."""
_PORTS = (
    "Check that mqtt.port and mqtt.tls belong together: commonly 8883 with TLS, 1883 without it."
)
_NOT_TLS = {
    "WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE", "BAD_PROTOCOL_VERSION_NUMBER", "UNEXPECTED_MESSAGE",
}  # fmt: skip
_TOO_OLD = {
    "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE", "VERSION_TOO_LOW", "WRONG_SSL_VERSION",
    "PROTOCOL_VERSION",
}  # fmt: skip
_TOO_WEAK = {
    "DH_KEY_TOO_SMALL", "EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK",
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED", "WRONG_SIGNATURE_TYPE", "INSUFFICIENT_SECURITY",
}  # fmt: skip
_TIMEOUTS = {errno.ETIMEDOUT, errno.EAGAIN, errno.EINPROGRESS}
_NO_WAY = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong, without its full stop, and what to do, in whole sentences."""

    what: str
    advice: str


_EXPIRED = Trouble(
    "the broker's certificate, or its authority's, has expired",
    f"This machine's clock says {DATE}. If that is right give the broker a new certificate, else "
    "set the clock (NTP).",
)
_EARLY = Trouble(
    "the broker's certificate, or its authority's, is not yet valid",
    f"This machine's clock says {DATE}. If that is wrong set it (NTP), else give the broker a "
    "certificate that is in force.",
)
_CLOCK = f"This machine's clock says {DATE}, which is wrong: set it (NTP)."
_UNKNOWN = Trouble(
    "the broker's certificate is not from an authority that this machine trusts",
    "Set mqtt.ca_file to the certificate of the authority that made it, with those between if any.",
)
_WEAK = Trouble(
    "the broker's keys or certificate are weaker than this machine permits",
    "Give the broker a certificate with an EC P-256 or RSA 2048 key, signed with SHA-256.",
)
_MALFORMED = Trouble(
    "the broker's certificate, or its authority's, is not made as RFC 5280 asks",
    "Make both anew: the authority's with basicConstraints CA:TRUE and keyUsage keyCertSign, the "
    "broker's with subjectAltName and extendedKeyUsage serverAuth.",
)
_UNVERIFIED = Trouble(
    "the broker's certificate does not verify",
    "Compare it with mqtt.ca_file: openssl verify -CAfile ca.pem broker.pem.",
)
_VERIFY = {
    2: _UNKNOWN,
    9: _EARLY,
    10: _EXPIRED,
    18: Trouble(
        "the broker's certificate is self-signed and this machine does not trust it",
        "If it is your broker's own, set mqtt.ca_file to a copy of it.",
    ),
    19: _UNKNOWN,
    20: _UNKNOWN,
    21: _UNKNOWN,
    23: Trouble("the broker's certificate was revoked", "Give the broker a new one."),
    24: _MALFORMED,
    26: _MALFORMED,
    62: Trouble(
        "the broker's certificate is for another host name",
        "Set mqtt.host to a name of its subjectAltName, or give the broker one for this name.",
    ),
    64: Trouble(
        "the broker's certificate is for another IP address",
        "Set mqtt.host to a name of its subjectAltName, or give the broker one for this address.",
    ),
    66: _WEAK,
    67: _WEAK,
    68: _WEAK,
    **dict.fromkeys(range(79, 95), _MALFORMED),
}
"""By X509_V_ERR_... code. From 79 on: what VERIFY_X509_STRICT asks, Python's default from 3.13."""
_OWN_EXPIRED = Trouble(
    "this device's certificate has expired",
    f"Renew it. This machine's clock says {DATE}.",
)
_OWN_EARLY = Trouble(
    "this device's certificate is not yet valid",
    f"This machine's clock says {DATE}. If that is wrong set it (NTP), else wait.",
)
_OWN_REFUSED = Trouble(
    "the broker refuses this device's certificate",
    "It must be from an authority that the broker trusts, and not revoked; check mqtt.cert_file "
    "and mqtt.key_file.",
)
_OWN_MISSING = Trouble(
    "the broker asks for a client certificate, and this device has none",
    "Set mqtt.cert_file and mqtt.key_file, or enrol this device.",
)
_NO_AGREEMENT = Trouble(
    "the broker ends the TLS handshake",
    "It may ask for a client certificate (mqtt.cert_file, mqtt.key_file), or refuse the one that "
    "it was shown; its log says why.",
)
_ALERTS = {
    "CERTIFICATE_REQUIRED": _OWN_MISSING,
    "CERTIFICATE_EXPIRED": Trouble(
        "the broker says that this device's certificate has expired",
        "Renew it. If it is in force, set the broker's clock.",
    ),
    "CERTIFICATE_REVOKED": Trouble(
        "the broker says that this device's certificate was revoked",
        "Enrol this device anew.",
    ),
    "BAD_CERTIFICATE": _OWN_REFUSED,
    "CERTIFICATE_UNKNOWN": _OWN_REFUSED,
    "UNSUPPORTED_CERTIFICATE": _OWN_REFUSED,
    "UNKNOWN_CA": _OWN_REFUSED,
    "ACCESS_DENIED": _OWN_REFUSED,
    "DECRYPT_ERROR": _OWN_REFUSED,
    "HANDSHAKE_FAILURE": _NO_AGREEMENT,
    "NO_CERTIFICATE": _OWN_MISSING,
    "UNRECOGNIZED_NAME": Trouble(
        "the broker serves no such host name", "Set mqtt.host to the name that it serves."
    ),
}
"""By the end of OpenSSL's name of the alert."""
_OLD = Trouble(
    "the broker offers no TLS version that this device speaks, 1.2 or 1.3",
    "Let the broker offer TLS 1.2 or later.",
)
_PLAIN = Trouble("what listens there does not speak TLS", _PORTS)
_CUT = Trouble("the connection was closed in the TLS handshake", _PORTS)
_MUTE = Trouble("no answer to the TLS handshake", _PORTS)
_NAMELESS = Trouble("this name is unknown", "Check mqtt.host and the network's name server.")
_SLOW = Trouble("no answer", "Check mqtt.host, the network and the firewall.")
_REFUSED = Trouble("refused: nothing listens there", "Start the broker, or check mqtt.port.")
_AWAY = Trouble("no way leads there", "Check mqtt.host, cable or Wi-Fi, and the route.")
_OTHER = "Check mqtt.host, mqtt.port and the network."
_OTHER_TLS = "Check mqtt.ca_file, mqtt.cert_file and mqtt.key_file."
_SPEAKS_TLS = Trouble(
    "that port speaks TLS", "Set mqtt.tls = true, or mqtt.port to the one without TLS."
)
_WEB = Trouble(
    "a web server listens there", "Set mqtt.port to that of MQTT itself; WebSockets are not spoken."
)
_STRANGE = Trouble("what listens there does not speak MQTT", "Check mqtt.host and mqtt.port.")
_HUNG_UP = Trouble("it closes the connection instead of answering", _PORTS)
_NO_CERTIFICATE = Trouble(
    "the broker closes the connection after the TLS handshake",
    "It may ask for a client certificate: set mqtt.cert_file and mqtt.key_file, or enrol this "
    "device. Its log says why.",
)
_CERTIFICATE = Trouble(
    "the broker closes the connection after the TLS handshake and this device's certificate",
    "It may not trust who made it: compare mqtt.cert_file with the broker's authority. Its log "
    "says why.",
)
_SILENT = Trouble("connected, but no MQTT answer", _PORTS)
TEXTS = frozenset(
    text
    for each in (
        *_VERIFY.values(), *_ALERTS.values(), _UNVERIFIED, _OWN_EXPIRED, _OWN_EARLY, _OLD, _PLAIN,
        _CUT, _MUTE, _NAMELESS, _SLOW, _REFUSED, _AWAY, _SPEAKS_TLS, _WEB, _STRANGE, _HUNG_UP,
        _SILENT, _WEAK, _NO_CERTIFICATE, _CERTIFICATE, Trouble(_OTHER, _OTHER_TLS),
        Trouble(_CLOCK, _PORTS),
    )
    for text in (each.what, each.advice)
)  # fmt: skip
"""All that this module says but for the names that `agent.base.errors.reason` gives."""


def unreachable(
    error: Exception, *, reached: bool, tls: bool, own: tuple[float, float] | None = None
) -> Trouble:
    """Why a connection did not come about.

    `reached`: whether TCP had connected; `tls`: whether TLS was to follow; `own`: from when to when
    this device's certificate holds, UTC seconds, None where it has none.
    """
    now = time.time()
    if isinstance(error, ssl.SSLCertVerificationError):
        return _dated(_VERIFY.get(error.verify_code, _UNVERIFIED), now)
    if isinstance(error, ssl.SSLError) or (reached and tls):
        return _dated(_handshake(error, own, now), now)
    if isinstance(error, socket.gaierror):
        return _NAMELESS
    if isinstance(error, ConnectionRefusedError):
        return _REFUSED
    number = getattr(error, "errno", None)
    if isinstance(error, TimeoutError) or number in _TIMEOUTS:
        return _SLOW
    return _AWAY if number in _NO_WAY else Trouble(reason(error), _OTHER)


def unanswered(
    first: bytes,
    failure: OSError | None,
    *,
    closed: bool,
    tls: bool,
    own: tuple[float, float] | None,
) -> tuple[Trouble, bool]:
    """Why no CONNACK came, and whether that may be due to the version of MQTT.

    `first`: bytes that came; `failure`: of reading; `closed`: whether the connection was closed;
    `tls`, `own`: see `unreachable`.
    """
    over = own is not None and not _in_force(own)
    ended = isinstance(failure, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    alert = isinstance(failure, ssl.SSLError) and not ended
    if alert or (closed and over and not first):
        # TLS 1.3: what the broker thinks of our certificate comes after the handshake.
        return unreachable(failure or ConnectionError(), reached=True, tls=True, own=own), False
    if tls and closed and not first:
        return _NO_CERTIFICATE if own is None else _CERTIFICATE, True
    return _no_mqtt(first, closed), closed


def _in_force(period: tuple[float, float]) -> bool:
    return period[0] <= time.time() <= period[1]


def _no_mqtt(first: bytes, closed: bool) -> Trouble:
    if first[:1] in (b"\x15", b"\x16") and first[1:2] == b"\x03":
        return _SPEAKS_TLS
    if first.startswith(b"HTTP/"):
        return _WEB
    if first and first[0] != 0x20:
        return _STRANGE
    return _HUNG_UP if closed else _SILENT


def _handshake(error: Exception, own: tuple[float, float] | None, now: float) -> Trouble:
    """TLS failed though the broker's certificate was not at fault."""
    name = str(getattr(error, "reason", "") or "").upper()
    alert = name.partition("ALERT_")[2] or name.removeprefix("TLSV1_")
    if alert in _TOO_OLD or name in _TOO_OLD:
        return _OLD
    if alert in _TOO_WEAK or name in _TOO_WEAK:
        return _WEAK
    if name in _NOT_TLS:
        return _PLAIN
    if isinstance(error, TimeoutError):
        return _MUTE
    closed = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionError)
    if (closed or alert in _ALERTS) and own is not None and not _in_force(own):
        return _OWN_EARLY if now < own[0] else _OWN_EXPIRED
    if alert in _ALERTS:
        found = _ALERTS[alert]
        return _OWN_MISSING if own is None and found is _OWN_REFUSED else found
    return _CUT if closed else Trouble(reason(error), _OTHER_TLS)


def _dated(found: Trouble, now: float) -> Trouble:
    """With the clock's date; where that is certainly wrong the clock is all there is to mend."""
    if DATE not in found.advice:
        return found
    advice = _CLOCK if now < _EARLIEST else found.advice
    return Trouble(found.what, advice.replace(DATE, time.strftime("%Y-%m-%d", time.gmtime(now))))
