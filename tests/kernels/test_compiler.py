"""LLVM's code is given back, and comes back when it is needed."""

from __future__ import annotations

import numpy as np
from llvmlite.binding.ffi import get_library_name  # type: ignore[import-untyped]
from numba import njit

from agent.kernels import compiler
from tests.base.test_loaded import mapped


def test_the_code_is_given_back_and_still_compiles() -> None:
    double = njit(lambda x: 2 * x)
    assert double(np.float32(2)) == 4
    before = sum(kib for *_, kib in mapped(get_library_name()))
    assert compiler.release() > 2**24
    after = sum(kib for *_, kib in mapped(get_library_name()))
    assert after < before or before < 2**14  # without the compiler little was there
    assert double(2.5) == 5
