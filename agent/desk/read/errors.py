"""Why numbers are not read or not put together."""

from __future__ import annotations

from agent.base.errors import AgentError


class ReadError(AgentError):
    """Numbers that cannot be read: no such file, no such table, a library that is missing."""


class CannotAddError(ReadError):
    """Windows or figures that must not be added up."""


class ConflictError(CannotAddError):
    """Two different summaries claim the same device, boot and number."""


class UnitError(CannotAddError):
    """Figures of different units."""


class NothingToAddError(CannotAddError):
    """No window among the chosen ones has the figure."""
