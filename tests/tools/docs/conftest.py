"""The site, built once for all tests of a worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.docs.build import build


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("docs"))
