"""A study for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.desk.review.study import fetch
from tests.desk.review.made import Made, device


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return device(tmp_path / "device", X25519PrivateKey.generate())


@pytest.fixture
def study(tmp_path: Path, made: Made) -> Path:
    """The folder of the researcher, with copies."""
    fetch(made.folder, tmp_path / "study")
    return tmp_path / "study"
