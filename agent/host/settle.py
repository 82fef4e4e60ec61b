"""Memory that only the start of a process needed, given back."""

from __future__ import annotations

import gc

from agent.base.loaded import give_back


def settle() -> None:
    """Once everything is imported and open: collect, and return to the system what malloc(3) holds
    free and the pages of libraries, of which few are needed from here on."""
    gc.collect()
    give_back()
