"""The kernel tests without compilation, in plain Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from numba import config

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled as it is")
def test_the_kernels_agree_with_their_twins_without_the_compiler() -> None:
    tests = sorted(
        str(file)
        for file in HERE.glob("test_*.py")
        if file.stem not in ("test_adopt", "test_cache", Path(__file__).stem)
    )
    assert len(tests) >= 8
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=HERE.parents[1],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
