"""When a repository's metadata ends, for a monitor."""

from __future__ import annotations

import json
from pathlib import Path

from tools.fleet.controller.meters import Meters
from tools.fleet.repository.expiry import ends
from tools.fleet.store import Store, open_store


def write(folder: Path, name: str, expires: object) -> None:
    (folder / name).write_text(json.dumps({"signed": {"expires": expires}, "signatures": []}))


def test_the_newest_version_of_each_role_counts(tmp_path: Path) -> None:
    write(tmp_path, "timestamp.json", "2026-12-06T00:00:00Z")
    write(tmp_path, "9.snapshot.json", "2026-12-01T00:00:00Z")
    write(tmp_path, "10.snapshot.json", "2026-12-20T00:00:00Z")
    write(tmp_path, "2.app.json", 7)
    (tmp_path / "1.models.json").write_text("{")
    (tmp_path / "notes.txt").touch()
    assert ends(tmp_path) == {"timestamp": 1_796_515_200.0, "snapshot": 1_797_724_800.0}
    assert ends(tmp_path / "nowhere") == {}


def test_the_controller_tells_prometheus(tmp_path: Path) -> None:
    write(tmp_path, "timestamp.json", "2024-01-01T00:00:00Z")
    meters = Meters(tmp_path)
    store: Store
    with open_store(f"sqlite:///{tmp_path / 'fleet.db'}") as store:
        meters.count(store)
    left = meters.registry.get_sample_value(
        "fleeting_repository_seconds_left", {"role": "timestamp"}
    )
    assert left is not None
    assert left < 0
