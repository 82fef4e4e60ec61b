"""LLVM's code is given back, and comes back when it is needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from llvmlite.binding.ffi import get_library_name  # type: ignore[import-untyped]
from numba import njit

from agent.kernels import compiler


def _mapped(library: str) -> list[tuple[int, int, str, int]]:
    """First and last address, permissions and resident KiB of each mapping of a library."""
    found: list[tuple[int, int, str, int]] = []
    inside = False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            inside = Path(words[-1]).name == library
            if inside:
                first, last = (int(each, 16) for each in words[0].split("-"))
                found.append((first, last, words[1], 0))
        elif inside and words[0] == "Rss:":
            found[-1] = (*found[-1][:3], int(words[1]))
    return found


def test_what_may_be_written_is_left_alone() -> None:
    mapped = _mapped(get_library_name())
    segments = compiler.read_only_segments(get_library_name())
    assert any("w" in permissions for _, _, permissions, _ in mapped)
    assert segments
    for start, length in segments:
        within = [p for first, last, p, _ in mapped if first < start + length and last > start]
        assert within
        assert not any("w" in permissions for permissions in within)


def test_a_library_that_is_not_loaded_has_no_segments() -> None:
    assert compiler.read_only_segments("libnothing.so") == []


def test_the_code_is_given_back_and_still_compiles() -> None:
    double = njit(lambda x: 2 * x)
    assert double(np.float32(2)) == 4
    before = sum(kib for *_, kib in _mapped(get_library_name()))
    assert compiler.release() > 2**24
    after = sum(kib for *_, kib in _mapped(get_library_name()))
    assert after < before or before < 2**14  # without the compiler little was there
    assert double(2.5) == 5
