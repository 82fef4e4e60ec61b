"""Memory that only the start of a process needed, given back."""

from __future__ import annotations

import ctypes
import gc


def settle() -> None:
    """Once everything is imported and open: collect, and return what malloc(3) holds free to the
    system."""
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # the GNU C library's
        libc.malloc_trim(ctypes.c_size_t(0))
