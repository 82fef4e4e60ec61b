"""Numba's compiler: started before other libraries are loaded, its code given back afterwards.

LLVM is the largest part of the process, and needed for a moment only: to load the machine code of
a kernel, or to compile it. Its highest demand comes when it starts; what is loaded later then takes
the place of the code that was given back, instead of adding to it.

Importing this module starts it, so import it first. Nothing happens where Numba compiles nothing
(NUMBA_DISABLE_JIT).
"""

from __future__ import annotations

from pathlib import Path

from llvmlite.binding.ffi import get_library_name  # type: ignore[import-untyped]
from numba import config

from agent.base.loaded import give_back
from agent.kernels.machine_code import kernel


def release() -> int:
    """Give the pages of LLVM's code and constants back, and those that it freed of the heap; return
    how many bytes of the former were taken.

    They come back from the file when something is compiled again.
    """
    return give_back(lambda path: Path(path).name == get_library_name())


@kernel()
def _nothing(number: float) -> float:  # pragma: no cover
    return number


if not config.DISABLE_JIT:
    release()  # importing ran through all of LLVM's registrations
    _nothing(0.0)
    release()
