"""All Numba kernels. May import NumPy, Numba and llvmlite only, and not each other; only
`machine_code`, which compiles and keeps them, and is no kernel.

Numba's cache does not notice a change in another file: stale machine code would run, with old
values of imported constants. A few lines (the least-squares similarity, the columns of the flow)
are therefore duplicated.

Compiled kernels are cached beside the source, else in the user's cache, else in NUMBA_CACHE_DIR.
Where none of these is writable (a read-only installation without a home) Numba would fail at
import; a temporary folder is used instead, and each start compiles again.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

_NOWHERE = Path("/nonexistent")
_KEPT = 3
"""Places whose machine code is kept when another one comes."""


def _writable(folder: Path) -> bool:
    """Whether `folder` is writable or can be created."""
    # Path.exists() raises where a folder may not be looked into.
    while not os.path.exists(folder) and folder != folder.parent:
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


def adopt(cache: Path) -> None:
    """Take over the machine code that the same kernels left in the cache folder from another place,
    such as the slot before an update: Numba keeps it by the folder of its source, and looks at each
    file's content before it uses any. Never raises."""
    folder = os.path.dirname(os.path.abspath(__file__))
    name = f"{os.path.basename(folder)}_"
    own = cache / f"{name}{hashlib.sha1(folder.encode(), usedforsecurity=False).hexdigest()}"
    with contextlib.suppress(OSError):
        if own.exists():
            return
        others = [each for each in cache.glob(f"{name}*") if each.is_dir()]
        if not others:
            return
        others.sort(key=lambda each: each.stat().st_mtime, reverse=True)
        for old in others[_KEPT:]:
            shutil.rmtree(old, ignore_errors=True)
        beside = Path(tempfile.mkdtemp(prefix=".adopted-", dir=cache))
        try:
            for file in others[0].iterdir():
                if file.suffix in (".nbi", ".nbc"):
                    shutil.copyfile(file, beside / file.name)
            beside.rename(own)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _provide_cache() -> None:
    if os.environ.get("NUMBA_CACHE_DIR"):
        return
    beside = Path(__file__).parent / "__pycache__"
    if not _writable(beside) and not _writable(user_cache()):
        folder = tempfile.mkdtemp(prefix="fleeting-kernels-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["NUMBA_CACHE_DIR"] = folder


_provide_cache()
