"""An update repository in memory, with all its keys: what a fleet would publish, and what a thief
of some of the keys could."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable
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
from tuf.api.serialization.json import JSONSerializer

BASE = hashlib.sha256(b"requirements").hexdigest()
DELEGATED = ("app", "models")
ONLINE = ("timestamp", "snapshot")
_COMPACT = JSONSerializer(compact=True)


def day(number: float) -> dt.datetime:
    """From now."""
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    return now + dt.timedelta(days=number)


def archive_of(kind: str, version: str) -> bytes:
    """What stands for an archive; a device's trust does not look inside."""
    return f"{kind} {version} ".encode() * 5_000


class RepositorySimulator:
    """Roles as attributes of `roles`, keys in `signers`; nothing is seen from outside before
    `publish`, which fills `served`: bytes by path."""

    def __init__(self) -> None:
        self.signers: dict[str, list[CryptoSigner]] = {
            role: [CryptoSigner.generate_ed25519() for _ in range(3 if role == "root" else 1)]
            for role in ("root", "targets", *ONLINE, *DELEGATED)
        }
        root = Root(expires=day(365), consistent_snapshot=True)
        for role in ("root", "targets", *ONLINE):
            for signer in self.signers[role]:
                root.add_key(signer.public_key, role)
        root.roles["root"].threshold = 2
        targets = Targets(expires=day(90))
        targets.delegations = Delegations(
            {},
            {
                role: DelegatedRole(role, [], 1, terminating=True, paths=[f"{role}/*"])
                for role in DELEGATED
            },
        )
        for role in DELEGATED:
            targets.add_key(self.signers[role][0].public_key, role)
        self.roles: dict[str, Any] = {
            "root": root,
            "targets": targets,
            "snapshot": Snapshot(expires=day(30)),
            "timestamp": Timestamp(expires=day(7)),
            **{role: Targets(expires=day(90)) for role in DELEGATED},
        }
        self.served: dict[str, bytes] = {}
        self.root_bytes = self._publish_root()
        self.add("app", "0.2.0")
        self.add("models", "0.2.0")
        self.publish()

    def add(
        self,
        kind: str,
        version: str,
        *,
        role: str = "",
        data: bytes | None = None,
        path: str = "",
        custom: Any = None,
        **changes: Any,
    ) -> str:
        """List a release in `role` (else that of its kind) and put its file out; returns its path.
        `changes`: of the listing's custom part, which `custom` replaces as a whole."""
        data = archive_of(kind, version) if data is None else data
        path = path or f"{kind}/{kind}-{version}.tar.gz"
        info = TargetFile.from_data(path, data, ["sha256"])
        said = {"kind": kind, "version": version, "floor": version, "base": BASE, **changes}
        info.unrecognized_fields["custom"] = said if custom is None else custom
        self.roles[role or kind].targets[path] = info
        folder, _, name = path.rpartition("/")
        self.served[f"targets/{folder}/{info.hashes['sha256']}.{name}"] = data
        return path

    def signed(self, role: str, signers: Iterable[CryptoSigner] | None = None) -> bytes:
        """The role's metadata as it stands, signed with its keys or with `signers`."""
        metadata = Metadata(self.roles[role])
        for signer in self.signers[role] if signers is None else signers:
            metadata.sign(signer, append=True)
        return metadata.to_bytes(_COMPACT)

    def publish(self, *changed: str) -> dict[str, bytes]:
        """New versions of `changed` (default: the two delegated roles), then of snapshot and
        timestamp; a copy of all that is served."""
        for role in changed or DELEGATED:
            self.roles[role].version += 1
        return self.publish_as_they_are()

    def publish_as_they_are(self) -> dict[str, bytes]:
        """Only snapshot and timestamp get a new version."""
        snapshot, timestamp = self.roles["snapshot"], self.roles["timestamp"]
        for role in ("targets", *DELEGATED):
            self.put(role)
            snapshot.meta[f"{role}.json"] = MetaFile(self.roles[role].version)
        snapshot.version += 1
        self.put("snapshot")
        timestamp.snapshot_meta = MetaFile(snapshot.version)
        self.refresh()
        return dict(self.served)

    def refresh(self) -> dict[str, bytes]:
        """A new timestamp."""
        self.roles["timestamp"].version += 1
        self.served["metadata/timestamp.json"] = self.signed("timestamp")
        return dict(self.served)

    def put(self, role: str, data: bytes | None = None) -> None:
        """Serve `data` as the role's current version."""
        version = self.roles[role].version
        self.served[f"metadata/{version}.{role}.json"] = data or self.signed(role)

    def rotate(self, role: str, number: int = 0, *, publish: bool = True) -> CryptoSigner:
        """Replace a key of a top-level role by a new one, in a new root; returns the old one."""
        root: Root = self.roles["root"]
        old, new = self.signers[role][number], CryptoSigner.generate_ed25519()
        root.revoke_key(old.public_key.keyid, role)
        root.add_key(new.public_key, role)
        before = list(self.signers["root"])
        self.signers[role] = [new if each is old else each for each in self.signers[role]]
        if publish:
            root.version += 1
            self._publish_root(before)
        return old

    def rotate_delegated(self, role: str) -> CryptoSigner:
        """Replace a delegated role's key; returns the old one."""
        targets: Targets = self.roles["targets"]
        old, new = self.signers[role][0], CryptoSigner.generate_ed25519()
        targets.revoke_key(old.public_key.keyid, role)
        targets.add_key(new.public_key, role)
        self.signers[role] = [new]
        return old

    def next_root(self, **changes: Any) -> bytes:
        """A new version of the root as it stands."""
        for name, value in changes.items():
            setattr(self.roles["root"], name, value)
        self.roles["root"].version += 1
        return self._publish_root()

    def _publish_root(self, before: list[CryptoSigner] | None = None) -> bytes:
        signers = {each.public_key.keyid: each for each in [*self.signers["root"], *(before or ())]}
        data = self.signed("root", signers.values())
        self.put("root", data)
        return data


def altered(data: bytes, **changes: Any) -> bytes:
    """Signed metadata with another content under its old signatures."""
    content = json.loads(data)
    content["signed"].update(changes)
    return json.dumps(content).encode()
