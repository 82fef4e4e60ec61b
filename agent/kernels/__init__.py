"""All Numba kernels. May import NumPy, Numba and llvmlite only, and not each other.

Numba's cache does not notice a change in another file: stale machine code would run, with old
values of imported constants. A few lines (the least-squares similarity, the columns of the flow)
are therefore duplicated.

Compiled kernels are cached beside the source, else in the user's cache, else in NUMBA_CACHE_DIR.
Where none of these is writable (a read-only installation without a home) Numba would fail at
import; a temporary folder is used instead, and each start compiles again.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_NOWHERE = Path("/nonexistent")


def _writable(folder: Path) -> bool:
    """Whether `folder` is writable or can be created."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)


def user_cache() -> Path:
    """Numba's fallback where it cannot write beside the source."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "numba"
    except RuntimeError:  # no home directory
        return _NOWHERE / "numba"


def has_home() -> bool:
    """Whether there is a folder for `user_cache`, perhaps yet to be made."""
    return user_cache().parent != _NOWHERE


def _provide_cache() -> None:
    if os.environ.get("NUMBA_CACHE_DIR"):
        return
    beside = Path(__file__).parent / "__pycache__"
    if not _writable(beside) and not _writable(user_cache()):
        folder = tempfile.mkdtemp(prefix="fleeting-kernels-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["NUMBA_CACHE_DIR"] = folder


_provide_cache()
