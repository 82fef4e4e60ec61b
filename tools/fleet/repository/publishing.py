"""Putting a repository out, so that a device that looks at any instant sees the old or the new.

Archives come first, under names that begin with their hash; then metadata, under names that begin
with their version (TUF's consistent snapshots); last the timestamp, which names the rest. A kill in
between leaves files that nothing names; publishing again goes on.
"""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from agent.base.files import write_atomically
from tools.common.errors import ToolError
from tools.fleet.repository import metadata
from tools.fleet.repository.archive import Progress
from tools.fleet.repository.keys import DELEGATED, ONLINE
from tools.fleet.repository.metadata import SOON, STAGED, Layout, Published
from tools.fleet.repository.workshop import Workshop


def publish(
    workshop: Workshop, *, prune: bool = False, progress: Progress = lambda done, note: None
) -> tuple[str, ...]:
    """Put out what is staged; the roles with a new version. `prune`: remove archives that nothing
    lists any more. `progress`: bytes of archives done, and a note. Raises `ToolError` and then has
    changed nothing that devices see."""
    layout = workshop.layout
    first = not (layout.metadata / "timestamp.json").is_file()
    published = None if first else metadata.load(layout)
    chain = metadata.roots(layout)
    staged = _staged(workshop, published, chain[-1])
    root: Metadata[Root] = staged.get("root", chain[-1])
    signers = _online(workshop, root.signed)
    targets = {
        role: staged[role] if role in staged else _of(published, role)
        for role in ("targets", *DELEGATED)
    }
    snapshot = Snapshot(expires=metadata.expiry("snapshot")) if first else _of(
        published, "snapshot"
    ).signed  # fmt: skip
    timestamp = Timestamp(expires=metadata.expiry("timestamp")) if first else _of(
        published, "timestamp"
    ).signed  # fmt: skip
    files = _archives(layout, targets)
    try:
        done = 0
        for source, target, info in files:
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(source, target)
            done += info.length
            progress(done, info.path)
        for whole in [*([chain[0]] if first else []), *([root] if "root" in staged else [])]:
            metadata.write(layout.metadata / f"{whole.signed.version}.root.json", whole)
        for role, whole in targets.items():
            if role in staged:
                metadata.write(layout.metadata / f"{whole.signed.version}.{role}.json", whole)
            snapshot.meta[f"{role}.json"] = _meta(whole)
        _put_snapshot(layout, snapshot, signers, new=not first)
        _put_timestamp(layout, timestamp, snapshot, signers, new=not first)
        if prune:
            _prune(layout, targets)
        shutil.rmtree(layout.staging, ignore_errors=True)
    except OSError as error:
        raise ToolError(
            f"{error.filename or layout.metadata} cannot be written: {error.strerror}. Then "
            "publish again."
        ) from None
    return tuple(staged)


def waiting_bytes(layout: Layout) -> int:
    """Of the archives that are staged."""
    return sum(path.stat().st_size for path in (layout.staging / "targets").glob("*/*"))


def refresh(workshop: Workshop) -> dict[str, dt.datetime]:
    """A new timestamp, and a new snapshot when that is due. Returns every role's expiry. Raises
    `ToolError`, also when something has expired that only offline keys renew."""
    layout = workshop.layout
    published = metadata.load(layout)
    signers = _online(workshop, published.root.signed)
    snapshot = published.snapshot.signed
    try:
        # Killed after a new root came out, `publish` has left one that the old key signed.
        old = not metadata.signatures(published.root.signed, "snapshot", published.snapshot)
        if old or _due("snapshot", snapshot.expires):
            _put_snapshot(layout, snapshot, signers, new=True)
        _put_timestamp(layout, published.timestamp.signed, snapshot, signers, new=True)
    except OSError as error:
        raise ToolError(
            f"{error.filename or layout.metadata} cannot be written: {error.strerror}. Devices "
            "accept nothing once the timestamp has expired."
        ) from None
    found = expiries(metadata.load(layout))
    expired = [role for role, when in found.items() if when <= metadata.now()]
    if expired:
        raise ToolError(
            f"Expired, so that devices accept nothing: {', '.join(expired)}. Renew: fleeting-fleet "
            f"keys renew {' '.join(expired)}; then repo sign and repo publish."
        )
    return found


def expiries(published: Published) -> dict[str, dt.datetime]:
    """Of every published role."""
    return {role: published.role(role).signed.expires for role in (*STAGED, *ONLINE)}


def due(published: Published) -> list[str]:
    """Offline roles that should be renewed."""
    return [role for role in STAGED if _due(role, published.role(role).signed.expires)]


def _due(role: str, expires: dt.datetime) -> bool:
    return expires - metadata.now() < dt.timedelta(days=SOON[role])


def _staged(
    workshop: Workshop, published: Published | None, root: Metadata[Root]
) -> dict[str, Metadata[Any]]:
    """What is staged and ready. Raises `ToolError` where some of it is not."""
    found: dict[str, Metadata[Any]] = {}
    waiting = []
    for role in STAGED:
        each = metadata.staged(workshop.layout, role)
        if each is None:
            continue
        before = root if role == "root" else published and published.role(role)
        if before and metadata.to_bytes(before) == metadata.to_bytes(each):
            continue  # killed after it was put out
        if each.signed.version != (before.signed.version + 1 if before else 1):
            raise ToolError(
                f"Version {each.signed.version} of {role} was staged, and meanwhile another one "
                f"came out. Remove {workshop.layout.staging} and make the change again."
            )
        state = workshop.state(role, each, published)
        if not state.ready:
            waiting.append(f"{role} by {state.needed} of {', '.join(state.missing)}")
        if each.signed.expires <= metadata.now():
            raise ToolError(f"The staged {role} has expired: fleeting-fleet keys renew {role}.")
        found[role] = each
    if waiting:
        raise ToolError(
            f"Still to be signed: {'; '.join(waiting)}. Where the keys are, run: fleeting-fleet "
            "repo sign --keys FOLDER."
        )
    # After a kill there may be a folder of nothing but what is out already.
    if not found and published is not None and not workshop.layout.staging.exists():
        raise ToolError("Nothing is staged. See: fleeting-fleet repo add, repo refresh.")
    return found


def _of(published: Published | None, role: str) -> Metadata[Any]:
    if published is None:
        raise ToolError(f"The first {role} is not staged. Run: fleeting-fleet keys init.")
    return published.role(role)


def _online(workshop: Workshop, root: Root) -> dict[str, CryptoSigner]:
    """What signs snapshot and timestamp. Raises `ToolError`."""
    signers = {}
    for role in ONLINE:
        key = root.keys[root.roles[role].keyids[0]]
        signer = workshop.keys.signer(key)
        if signer is None:
            raise ToolError(
                f"The online key {role}.pem is not in {workshop.layout.folder / 'keys'}. Put it "
                f"back; if it is lost: fleeting-fleet keys rotate {role}."
            )
        signers[role] = signer
    return signers


def _meta(whole: Metadata[Any]) -> MetaFile:
    return MetaFile.from_data(whole.signed.version, metadata.to_bytes(whole), ["sha256"])


def _put_snapshot(
    layout: Layout, snapshot: Snapshot, signers: dict[str, CryptoSigner], *, new: bool
) -> None:
    snapshot.version += new
    snapshot.expires = metadata.expiry("snapshot")
    whole = Metadata(snapshot)
    whole.sign(signers["snapshot"])
    metadata.write(layout.metadata / f"{snapshot.version}.snapshot.json", whole)


def _put_timestamp(
    layout: Layout,
    timestamp: Timestamp,
    snapshot: Snapshot,
    signers: dict[str, CryptoSigner],
    *,
    new: bool,
) -> None:
    timestamp.version += new
    timestamp.expires = metadata.expiry("timestamp")
    timestamp.snapshot_meta = _meta(
        metadata.read(layout.metadata / f"{snapshot.version}.snapshot.json")
    )
    whole = Metadata(timestamp)
    whole.sign(signers["timestamp"])
    metadata.write(layout.metadata / "timestamp.json", whole)


def _archives(
    layout: Layout, targets: dict[str, Metadata[Targets]]
) -> list[tuple[Path, Path, TargetFile]]:
    """Those that are listed and not out yet: from, to, listing. Raises `ToolError`."""
    found = []
    for role in DELEGATED:
        for info in targets[role].signed.targets.values():
            target = layout.targets / info.get_prefixed_paths()[0]
            if target.is_file() and target.stat().st_size == info.length:
                continue
            source = layout.staging / "targets" / info.path
            try:
                with open(source, "rb") as file:
                    info.verify_length_and_hashes(file)
            except OSError:
                raise ToolError(
                    f"{source} is not here, and it is listed. Bring it, or make it again: "
                    "fleeting-fleet repo add."
                ) from None
            except LengthOrHashMismatchError:
                raise ToolError(
                    f"{source} is not the file that was signed. Make it again: fleeting-fleet repo "
                    "add."
                ) from None
            found.append((source, target, info))
    return found


def _copy(source: Path, target: Path) -> None:
    with open(source, "rb") as file:
        write_atomically(target, lambda out: shutil.copyfileobj(file, out), 0o644)


def _prune(layout: Layout, targets: dict[str, Metadata[Targets]]) -> None:
    listed = {
        layout.targets / path
        for role in DELEGATED
        for info in targets[role].signed.targets.values()
        for path in info.get_prefixed_paths()
    }
    for path in layout.targets.glob("*/*"):
        if path not in listed:
            path.unlink()
