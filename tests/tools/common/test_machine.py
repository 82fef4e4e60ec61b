"""How the machine of a measurement is described."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from tools.common.machine import instructions


@pytest.mark.parametrize(
    ("kind", "flags", "said"),
    [
        ("x86_64", "flags : fma avx512f avx512_vnni", "with VNNI"),
        ("x86_64", "flags : fma avx2", "without VNNI"),
        ("aarch64", "Features : asimd asimddp", "aarch64"),
    ],
)
def test_what_decides_the_speed_of_int8_networks_is_named(
    monkeypatch: pytest.MonkeyPatch, kind: str, flags: str, said: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: kind)
    monkeypatch.setattr(Path, "read_text", lambda *given, **named: flags)
    assert instructions() == said
