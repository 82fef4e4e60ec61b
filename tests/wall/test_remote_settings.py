"""The settings file: validated, replaced atomically, bounded numbers only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.base.errors import ConfigError, StoreError
from agent.base.settings_file import parse
from agent.wall.remote_settings import Patch, Settings, apply, read, write
from tests.fakes import full_disk


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    assert read(path) == Settings()
    given = Settings(
        version=3,
        patch=Patch.model_validate({"privacy": {"k": 12}, "micro": {"enabled": False}}),
        paused=True,
        content=200,
        content_count=4,
    )
    write(path, given)
    assert read(path) == given
    assert [each.name for each in tmp_path.iterdir()] == ["settings.json"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"v":2}',
        b'{"version":-1}',
        b'{"version":true}',
        b'{"content":256}',
        b'{"content":"7"}',
        b'{"paused":1}',
        b'{"run":"rm"}',
        b'{"patch":{"store":{"outbox":"/etc/passwd"}}}',
        b'{"patch":{"privacy":{"policy":"demo"}}}',
        b'{"patch":{"privacy":{"window":11}}}',
        b" " * 5000,
    ],
)
def test_what_is_not_ours_is_refused_by_name(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(body)
    with pytest.raises(StoreError, match=r"settings\.json"):
        read(path)


def test_a_patch_changes_only_what_it_names() -> None:
    config = parse({"privacy": {"quiet_hours": ["22:00-06:00"], "notice_shown": True}}, "test")
    changed = apply(config, Patch.model_validate({"privacy": {"window": 3600}}))
    assert changed.privacy.window == 3600
    restored = changed.privacy.model_copy(update={"window": None})
    assert changed.model_copy(update={"privacy": restored}) == config
    assert apply(config, Patch()) == config


def test_a_disk_that_takes_nothing_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "settings.json"
    write(path, Settings(version=1))
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(StoreError, match="No space"):
        write(path, Settings(version=2))
    assert read(path).version == 1


def test_a_patch_cannot_break_the_configuration() -> None:
    config = parse({}, "test")
    privacy = Patch().privacy.model_copy(update={"k": 0})
    with pytest.raises(ConfigError):
        apply(config, Patch().model_copy(update={"privacy": privacy}))
