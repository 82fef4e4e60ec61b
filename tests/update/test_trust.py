"""What a device remembers of what it trusted, and metadata that is none."""

from __future__ import annotations

import pytest

from tests.update.conftest import Device
from tests.update.repository_simulator import RepositorySimulator
from tests.update.test_attacks import EVERY, name_of


@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "folder", "link"])
def test_a_damaged_cache_neither_locks_out_nor_lowers_trust(
    device: Device, fleet: RepositorySimulator, damage: str
) -> None:
    old = dict(fleet.served)
    fleet.rotate("timestamp")
    honest = fleet.publish("targets", "app", "models")
    device.source.serve(honest)
    device.installs()
    cache = device.state / "metadata"
    for attack, name in ((old, "untrusted"), (honest, "")):
        for path in [*cache.glob("*.json"), *cache.glob("root_history/*.json")]:
            data = path.read_bytes() if path.is_file() else b""
            path.unlink(missing_ok=True) if not path.is_dir() else path.rmdir()
            if damage == "empty":
                path.write_bytes(b"")
            elif damage == "cut":
                path.write_bytes(data[: len(data) // 2])
            elif damage == "folder":
                path.mkdir()
            elif damage == "link":
                path.symlink_to(path)
        device.source.serve(attack)
        if name:
            device.refuses("untrusted", words="older than it was")
        else:
            device.installs()


def test_a_new_root_file_begins_anew(device: Device, fleet: RepositorySimulator) -> None:
    """Whoever administers the machine moves it to another fleet."""
    fleet.rotate("timestamp")
    device.source.serve(fleet.publish())
    device.installs()
    other = RepositorySimulator()
    device.source.serve(other.served)
    device.refuses("untrusted")
    device.root.write_bytes(other.root_bytes)
    device.installs()


@pytest.mark.parametrize("content", [b"", b"{", b'{"signed":{},"signatures":[]}'])
def test_a_root_file_that_is_none_is_named(device: Device, content: bytes) -> None:
    device.root.write_bytes(content)
    device.refuses("untrusted")
    device.root.unlink()
    device.refuses("untrusted", words=r"root\.json")


def _nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


BOMBS = {
    "nested": _nested(200_000),
    "nested within": b'{"signatures":[],"signed":{"_type":"timestamp","x":' + _nested(900) + b"}}",
    "a long number": b'{"signed":{"version":' + b"9" * 15_000 + b"}}",
    "infinite": b'{"signed":{"version":1e99999},"signatures":[]}',
    "many": b"[" + b"{}," * 5_000 + b"{}]",
    "a text": b'"' + b"x" * 10_000 + b'"',
    "no text": bytes(range(256)),
    "nulls": b"\0" * 16_000,
    "a list": b'{"signed":[],"signatures":{}}',
    "surrogates": b'{"signed":{"_type":"\\ud800"},"signatures":[]}',
}


@pytest.mark.parametrize("role", EVERY)
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_of_json_is_refused(
    device: Device, fleet: RepositorySimulator, role: str, bomb: str
) -> None:
    content = BOMBS[bomb]
    if role == "timestamp":
        content = content[:16_000]
    attack = {**fleet.served, name_of(fleet, role): content}
    device.refuses_and_recovers("untrusted", attack, fleet.served)
