"""Memory that only the start of a process needed, given back."""

from __future__ import annotations

import gc

from agent.base.loaded import give_back, trim


def settle() -> None:
    """Once everything is imported and open: collect, and return to the system what malloc(3) holds
    free and the pages of libraries, of which few are needed from here on.

    What is there now stays, and is not looked at again: `tidy` then takes a millisecond.
    """
    gc.collect()
    gc.freeze()
    give_back()


def tidy() -> None:
    """Free what only refers to itself. Python counts objects, not bytes, and would wait for a
    hundred thousand frames: a picture that PyAV decoded, once its side data was asked for, is five
    objects. And what lies among free pages would keep them, a little more each hour."""
    gc.collect()
    trim()
