"""The site, built once for all workers."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from tools.docs.build import build


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return build(tmp_path_factory.mktemp("docs"))
    folder = tmp_path_factory.getbasetemp().parent / "docs"
    folder.mkdir(exist_ok=True)
    done = folder / "done"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            build(folder)
            done.touch()
    return folder / "site"
