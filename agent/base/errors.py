"""The errors raised on purpose; the text states what happened, to what, and what to do next."""

from __future__ import annotations

import os


class AgentError(Exception):
    """Base class; `exit_code` is what the command line returns."""

    exit_code = 1


class ConfigError(AgentError):
    """The configuration must be changed; systemd does not restart (EX_CONFIG of sysexits.h)."""

    exit_code = 78


class CaptureError(AgentError):
    """A source of frames or sound stopped or cannot be read. Reopen it, with backoff."""


class ModelError(AgentError):
    """A model is absent, altered or not as its manifest declares. Nothing runs."""


class StoreError(AgentError):
    """The outbox or another file cannot be written: disk full, read-only or damaged."""


class PublishError(AgentError):
    """The broker is unreachable or refuses. Messages stay in the outbox."""


CERTIFICATE = {
    9: "not yet valid",
    10: "expired",
    18: "self-signed",
    19: "self-signed certificate in its chain",
    20: "issuer unknown",
    62: "hostname mismatch",
    64: "IP address mismatch",
}
"""Why a certificate is refused: X509_V_ERR_... of OpenSSL's x509_vfy.h."""


def reason(error: BaseException) -> str:
    """Why something failed, in words that are known beforehand: the text of errno(3), SQLite's or
    OpenSSL's name of the error, else the exception's class. Other texts of libraries could hold
    anything, and would go to the log."""
    refused = CERTIFICATE.get(getattr(error, "verify_code", 0))
    if refused is not None:
        return f"certificate verify failed: {refused}"
    for name in (getattr(error, "sqlite_errorname", None), getattr(error, "reason", None)):
        if isinstance(name, str) and name.isidentifier() and name.isupper() and len(name) < 64:
            return name.removeprefix("SQLITE_").replace("_", " ").lower()
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return type(error).__name__
