"""The researcher's pair."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.base.errors import ConfigError
from agent.desk.review import keys
from agent.desk.review.errors import ReviewError
from agent.perceive.traces.recorder import read_public
from agent.perceive.traces.sealed import raw

WORDS = b"twelve and more"
CHEAP = 2**10


def test_a_pair_belongs_together_and_the_private_one_is_nobody_elses(tmp_path: Path) -> None:
    private, public = keys.make(tmp_path / "keys", WORDS, CHEAP)
    assert private.stat().st_mode & 0o777 == 0o600
    opened = keys.load(private, WORDS)
    assert raw(opened.public_key()) == raw(read_public(public))
    assert opened.private_bytes_raw() not in private.read_bytes()


def test_only_its_passphrase_opens_it(tmp_path: Path) -> None:
    private, public = keys.make(tmp_path, WORDS, CHEAP)
    for wrong in (b"", b"twelve and less", WORDS + b" "):
        with pytest.raises(ReviewError, match="does not open"):
            keys.load(private, wrong)
    with pytest.raises(ReviewError, match="is no private key"):
        keys.load(public, WORDS)
    with pytest.raises(ReviewError, match="cannot be read"):
        keys.load(tmp_path / "none", WORDS)
    damaged = private.read_bytes().replace(b"scrypt 1024", b"scrypt 1023")
    private.write_bytes(damaged)
    with pytest.raises(ReviewError, match="does not open"):
        keys.load(private, WORDS)


def test_no_key_is_replaced_and_no_short_passphrase_taken(tmp_path: Path) -> None:
    keys.make(tmp_path, WORDS, CHEAP)
    with pytest.raises(ReviewError, match="is there already"):
        keys.make(tmp_path, WORDS, CHEAP)
    with pytest.raises(ReviewError, match="at least 12"):
        keys.make(tmp_path / "b", b"short", CHEAP)
    assert not (tmp_path / "b").exists()


def test_a_passphrase_file_must_be_private(tmp_path: Path) -> None:
    file = tmp_path / "pass"
    file.write_bytes(WORDS + b"\nsecond line\n")
    file.chmod(0o600)
    assert keys.ask(file, new=True) == WORDS
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        keys.ask(file, new=False)
    with pytest.raises(ConfigError, match="cannot be read"):
        keys.ask(tmp_path / "none", new=False)
