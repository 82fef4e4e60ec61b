"""Every error the agent raises on purpose: it says what happened, to what, and what to do next."""


class AgentError(Exception):
    """The family of all errors meant for a person; `exit_code` is what the command line returns."""

    exit_code = 1


class ConfigError(AgentError):
    """A person must change something; systemd does not retry (EX_CONFIG of sysexits.h)."""

    exit_code = 78


class CaptureError(AgentError):
    """A source of frames or sound stopped or cannot be read. Reopen it, with backoff."""


class ModelError(AgentError):
    """A model is absent, altered or not as its manifest declares. Nothing runs."""


class StoreError(AgentError):
    """The outbox or another file cannot be written: disk full, read-only or damaged."""


class PublishError(AgentError):
    """The broker is away or refuses. The outbox holds on."""
