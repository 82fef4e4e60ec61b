"""Preparing the next versions of a fleet's update repository: keys, releases, signatures.

Everything here changes FOLDER/staging only; `publishing` puts it out. The roles are those of TUF: a
root of three keys, any two of which replace every other; targets, which delegates `app/*` and
`models/*` to keys of their own; snapshot and timestamp, which a machine renews.
"""

from __future__ import annotations

import copy
import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuf.api.metadata import DelegatedRole, Delegations, Metadata, Root, TargetFile, Targets

from agent.base.report.job import JobKind
from agent.update.floors import order
from tools.common.errors import ToolError
from tools.fleet.repository import archive, metadata
from tools.fleet.repository.archive import Progress
from tools.fleet.repository.keys import (
    DELEGATED,
    OFFLINE,
    ONLINE,
    ROOT_THRESHOLD,
    ROOTS,
    KeyFolders,
    name_of,
    role_of,
)
from tools.fleet.repository.metadata import STAGED, Layout, Published


@dataclass(frozen=True, slots=True)
class Signed:
    """How far the signing of a staged role is."""

    role: str
    version: int
    ready: bool
    missing: tuple[str, ...]
    """Names of keys of which some still have to sign."""
    needed: int
    """How many of them."""


class Workshop:
    """A fleet's folder. Every method raises `ToolError`, and then has changed nothing that is
    published."""

    def __init__(self, folder: Path, keys: KeyFolders) -> None:
        self.layout = Layout(folder)
        self.keys = keys

    def make_keys(self) -> Path:
        """All keys, and the first root, signed by all three; returns the root's file, which every
        device gets."""
        layout = self.layout
        if layout.root.exists() or layout.metadata.exists():
            raise ToolError(
                f"{layout.root} is there already, and devices trust it. To replace a key: "
                "fleeting-fleet keys rotate NAME."
            )
        made = {name: self.keys.make(name) for name in (*OFFLINE, *ONLINE)}
        root = Root(expires=metadata.expiry("root"), consistent_snapshot=True)
        for name in (*ROOTS, "targets", *ONLINE):
            root.add_key(made[name], role_of(name))
        root.roles["root"].threshold = ROOT_THRESHOLD
        targets = Targets(
            expires=metadata.expiry("targets"),
            delegations=Delegations(
                {},
                {
                    role: DelegatedRole(role, [], 1, terminating=True, paths=[f"{role}/*"])
                    for role in DELEGATED
                },
            ),
        )
        for role in DELEGATED:
            targets.add_key(made[role], role)
        whole = Metadata(root)
        for name in ROOTS:
            signer = self.keys.signer(made[name])
            assert signer is not None
            whole.sign(signer, append=True)
        try:
            metadata.write(layout.staged("targets"), Metadata(targets))
            for role in DELEGATED:
                metadata.write(
                    layout.staged(role), Metadata(Targets(expires=metadata.expiry(role)))
                )
            metadata.write(layout.root, whole)
        except OSError as error:
            raise _unwritable(error, layout.folder) from None
        return layout.root

    def add(
        self,
        kind: JobKind,
        version: str,
        source: Path,
        *,
        floor: str | None = None,
        requirements: Path | None = None,
        changed: bool = False,
        progress: Progress = lambda done, note: None,
    ) -> TargetFile:
        """Build a release and list it in the next version of its role. `floor`: the lowest version
        that a device may go back to once it has confirmed this one; null: this one. For the rest
        see `archive.build`."""
        floor = archive.check_version(version if floor is None else floor)
        archive.check_version(version)
        if order(floor) > order(version):
            raise ToolError(f"The floor {floor} is above the release {version} itself.")
        published = metadata.load(self.layout)
        path = f"{kind}/{kind}-{version}.tar.gz"
        if path in published.delegated[kind].signed.targets:
            raise ToolError(
                f"{path} is published, and devices may have it: it is never replaced. Give the "
                "release a higher number."
            )
        try:
            built = archive.build(
                kind, version, source, self.layout.staging / "targets" / kind,
                requirements=requirements, changed=changed, progress=progress,
            )  # fmt: skip
            info = TargetFile.from_file(path, str(built.path), ["sha256"])
            info.unrecognized_fields["custom"] = {
                "kind": kind,
                "version": version,
                "floor": floor,
                "base": built.base,
            }
            role = self._next(kind, published)
            role.signed.targets[path] = info
            metadata.write(self.layout.staged(kind), role)
        except OSError as error:
            raise _unwritable(error, self.layout.staging) from None
        return info

    def remove(self, kind: JobKind, version: str) -> None:
        """List a release no more: devices that have it keep it, no other gets it."""
        published = metadata.load(self.layout)
        role = self._next(kind, published)
        path = f"{kind}/{kind}-{version}.tar.gz"
        if role.signed.targets.pop(path, None) is None:
            raise ToolError(f"{path} is not listed. See: fleeting-fleet repo list.")
        self._write({kind: role})

    def renew(self, role: str) -> None:
        """A new version of `role` as it is, with a new expiry."""
        self._write({role: self._next(role, metadata.load(self.layout))})

    def rotate(self, name: str) -> tuple[str, ...]:
        """Replace the key `name` by a new one; the roles to be signed again. A lost key or a
        stolen one: from then on the old one's signatures are worth nothing. Of the online keys
        both are replaced, so that devices forget the versions that a thief may have driven up."""
        if name not in (*OFFLINE, *ONLINE):
            raise ToolError(f"{name!r} is no key: {', '.join((*OFFLINE, *ONLINE))}.")
        published = metadata.load(self.layout)
        if name in DELEGATED:
            targets = self._next("targets", published)
            old = targets.signed.delegations.roles[name].keyids
            new = self.keys.make(name)
            for keyid in list(old):
                targets.signed.revoke_key(keyid, name)
            targets.signed.add_key(new, name)
            changed = {"targets": targets, name: self._next(name, published)}
        else:
            root = self._next("root", published)
            for each in ONLINE if name in ONLINE else (name,):
                self._replace(root.signed, each)
            changed = {"root": root}
            if name == "targets":
                changed["targets"] = self._next("targets", published)
        self._write(changed)
        return tuple(changed)

    def sign(self) -> list[Signed]:
        """Sign what is staged with the keys that are here; how far each role is then."""
        published = self._published()
        done = []
        for role in STAGED:
            found = metadata.staged(self.layout, role)
            if found is None:
                continue
            before = metadata.to_bytes(found)
            for delegator in metadata.delegator_of(self.layout, role, published):
                self._sign(delegator, role, found)
            if metadata.to_bytes(found) != before:
                self._write({role: found})
            done.append(self.state(role, found, published))
        return done

    def staged(self) -> list[Signed]:
        """What is staged, and how far its signing is."""
        published = self._published()
        found = {role: metadata.staged(self.layout, role) for role in STAGED}
        return [
            self.state(role, each, published) for role, each in found.items() if each is not None
        ]

    def state(self, role: str, found: Metadata[Any], published: Published | None) -> Signed:
        """How far the signing of `found` is."""
        missing: dict[str, None] = {}
        needed = 0
        for delegator in metadata.delegator_of(self.layout, role, published):
            result = metadata.signatures(delegator, role, found)
            if not result.verified:
                missing |= dict.fromkeys(name_of(key) for key in result.unsigned.values())
                needed = max(needed, result.missing)
        return Signed(role, found.signed.version, not needed, tuple(missing), needed)

    def _sign(self, delegator: Root | Targets, role: str, found: Metadata[Any]) -> None:
        """With as many keys as are needed and no more: each asks for its passphrase."""
        for key in metadata.signatures(delegator, role, found).unsigned.values():
            if metadata.signatures(delegator, role, found).verified:
                return
            signer = self.keys.signer(key)
            if signer is not None:
                found.sign(signer, append=True)

    def _replace(self, root: Root, name: str) -> None:
        role = role_of(name)
        old = [keyid for keyid in root.roles[role].keyids if name_of(root.keys[keyid]) == name]
        new = self.keys.make(name)
        for keyid in old:
            root.revoke_key(keyid, role)
        root.add_key(new, role)

    def _next(self, role: str, published: Published) -> Metadata[Any]:
        """The version after the published one, with nobody's signature."""
        found = metadata.staged(self.layout, role)
        before = published.role(role).signed
        if found is not None and found.signed.version == before.version + 1:
            content = found.signed
        else:
            content = copy.deepcopy(before)
            content.version += 1
        content.expires = metadata.expiry(role)
        return Metadata(content)

    def _write(self, roles: dict[str, Metadata[Any]]) -> None:
        try:
            for role, each in roles.items():
                metadata.write(self.layout.staged(role), each)
        except OSError as error:
            raise _unwritable(error, self.layout.staging) from None

    def _published(self) -> Published | None:
        """None before the first publication."""
        metadata.roots(self.layout)
        if not (self.layout.metadata / "timestamp.json").is_file():
            return None
        return metadata.load(self.layout)


def _unwritable(error: OSError, what: Path) -> ToolError:
    help_ = " Free some space." if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return ToolError(f"{error.filename or what} cannot be used: {error.strerror}.{help_}")
