"""Errors of the database."""

from __future__ import annotations

from tools.common.errors import ToolError


class StoreUnavailable(ToolError):  # noqa: N818 (it is a state, which passes)
    """The database is away, locked or full. Nothing of the transaction was stored; try again."""
