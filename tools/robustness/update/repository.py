"""A TUF repository in a folder, with its keys in memory, for releases made here."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

_KINDS = ("app", "models")
_LISTED = 4
"""Releases of a kind that stay listed."""


class SignedRepository:
    """`metadata/` and `targets/` in a folder; `root` is what devices begin with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._keys = {
            role: CryptoSigner.generate_ed25519()
            for role in ("root", "timestamp", "snapshot", "targets", *_KINDS)
        }
        until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
        root = Root(expires=until, consistent_snapshot=True)
        for role in ("root", "timestamp", "snapshot", "targets"):
            root.add_key(self._keys[role].public_key, role)
        targets = Targets(expires=until)
        targets.delegations = Delegations(
            {}, {k: DelegatedRole(k, [], 1, terminating=True, paths=[f"{k}/*"]) for k in _KINDS}
        )
        for kind in _KINDS:
            targets.add_key(self._keys[kind].public_key, kind)
        self._roles: dict[str, Any] = {
            "root": root,
            "targets": targets,
            "snapshot": Snapshot(expires=until),
            "timestamp": Timestamp(expires=until),
            **{kind: Targets(expires=until) for kind in _KINDS},
        }
        (folder / "metadata").mkdir(parents=True)
        self._write("root", "1.root.json")
        self._write("targets", "1.targets.json")
        self.publish()

    @property
    def root(self) -> Path:
        return self.folder / "metadata" / "1.root.json"

    def add(self, kind: str, version: str, archive: Path, floor: str, base: str) -> None:
        """List a release and put it out; of those before, the newest stay."""
        data = archive.read_bytes()
        path = f"{kind}/{kind}-{version}.tar.gz"
        found = TargetFile.from_data(path, data, ["sha256"])
        custom = {"kind": kind, "version": version, "floor": floor, "base": base}
        found.unrecognized_fields["custom"] = custom
        listed = self._roles[kind].targets
        listed[path] = found
        for old in list(listed)[:-_LISTED]:
            del listed[old]
        sha256 = hashlib.sha256(data).hexdigest()
        target = self.folder / "targets" / kind / f"{sha256}.{kind}-{version}.tar.gz"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        self.publish()

    def publish(self) -> None:
        """New versions of the delegated roles, of snapshot and timestamp."""
        snapshot, timestamp = self._roles["snapshot"], self._roles["timestamp"]
        for kind in _KINDS:
            role = self._roles[kind]
            role.version += 1
            self._write(kind, f"{role.version}.{kind}.json")
            snapshot.meta[f"{kind}.json"] = MetaFile(role.version)
        snapshot.meta["targets.json"] = MetaFile(1)
        snapshot.version += 1
        self._write("snapshot", f"{snapshot.version}.snapshot.json")
        timestamp.version += 1
        timestamp.snapshot_meta = MetaFile(snapshot.version)
        self._write("timestamp", "timestamp.json")
        for name in ("snapshot", *_KINDS):
            old = self._roles[name].version - 3
            (self.folder / "metadata" / f"{old}.{name}.json").unlink(missing_ok=True)

    def _write(self, role: str, name: str) -> None:
        metadata = Metadata(self._roles[role])
        metadata.sign(self._keys[role])
        path = self.folder / "metadata" / name
        beside = path.with_suffix(".new")
        beside.write_bytes(metadata.to_bytes())
        beside.replace(path)
