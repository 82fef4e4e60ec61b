"""The errors raised on purpose; the text states what happened, to what, and what to do next."""


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
