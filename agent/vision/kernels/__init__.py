"""All Numba: NumPy and Numba (with its llvmlite) only, one file per idea, no cross-file calls.

Numba does not compile a cached kernel anew when one that it calls changed in another file: stale
machine code would run, and older values of imported constants stay. A few lines (the least-squares
similarity, the columns of the flow) stand in two files for that.

Compiled kernels are cached beside the source, else under the user's cache, else where
NUMBA_CACHE_DIR says. Where none of these can be written (a read-only installation without a home)
Numba would refuse at import; a temporary folder is used instead, and each start compiles anew.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def _writable(folder: Path) -> bool:
    """Whether `folder` can be written, or made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)


def user_cache() -> Path:
    """The folder that Numba takes where it cannot write beside the source."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "numba"
    except RuntimeError:  # no home at all
        return Path("/nonexistent")


def _provide_cache() -> None:
    if os.environ.get("NUMBA_CACHE_DIR"):
        return
    beside = Path(__file__).parent / "__pycache__"
    if not _writable(beside) and not _writable(user_cache()):
        folder = tempfile.mkdtemp(prefix="fleeting-kernels-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["NUMBA_CACHE_DIR"] = folder


_provide_cache()
