"""What tests of several rooms need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools import geometry


@pytest.fixture(scope="module")
def head_pack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of packs with a coarse head, which the renderer draws."""
    folder = tmp_path_factory.mktemp("head")
    geometry.write(folder)
    with geometry.installed(folder):
        yield folder
