"""What a fleet's folder holds of its update repository, read and verified.

FOLDER/root.json            the first root, which devices get; all below is verified from it
FOLDER/repository/          published: `metadata/` and `targets/`, to be served as they are
FOLDER/staging/             the next versions, until they are signed and published
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp, VerificationResult
from tuf.api.serialization.json import JSONSerializer

from agent.base.files import write_atomically
from tools.common.errors import ToolError
from tools.fleet.repository.keys import DELEGATED

DAYS = {"root": 365, "targets": 365, "app": 365, "models": 365, "snapshot": 30, "timestamp": 7}
"""Until a role's metadata expires. The timestamp's bounds how long a device can be kept on old
files; `repo refresh` renews the two online ones."""
SOON = {"root": 45, "targets": 45, "app": 45, "models": 45, "snapshot": 10, "timestamp": 2}
"""Days before that in which renewing is due."""
STAGED = ("root", "targets", *DELEGATED)
_SERIALIZER = JSONSerializer(compact=True, validate=True)


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths in a fleet's folder."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root.json"

    @property
    def metadata(self) -> Path:
        return self.folder / "repository" / "metadata"

    @property
    def targets(self) -> Path:
        return self.folder / "repository" / "targets"

    @property
    def staging(self) -> Path:
        return self.folder / "staging"

    def staged(self, role: str) -> Path:
        return self.staging / "metadata" / f"{role}.json"


@dataclass(frozen=True, slots=True)
class Published:
    """The repository as a device would see it now."""

    root: Metadata[Root]
    timestamp: Metadata[Timestamp]
    snapshot: Metadata[Snapshot]
    targets: Metadata[Targets]
    delegated: dict[str, Metadata[Targets]]

    def role(self, name: str) -> Metadata[Any]:
        return self.delegated[name] if name in DELEGATED else getattr(self, name)


def now() -> dt.datetime:
    """UTC, in whole seconds, as metadata says times."""
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


def expiry(role: str) -> dt.datetime:
    """Of metadata that is made now."""
    return now() + dt.timedelta(days=DAYS[role])


def to_bytes(metadata: Metadata[Any]) -> bytes:
    """As it is stored and published."""
    return metadata.to_bytes(_SERIALIZER)


def read(path: Path) -> Metadata[Any]:
    """Signed metadata of a file. Raises `ToolError`."""
    try:
        return Metadata.from_bytes(path.read_bytes())
    except OSError as error:
        raise ToolError(f"{path} cannot be read: {error.strerror}.") from None
    except RepositoryError as error:
        raise ToolError(f"{path} is no signed metadata: {error}. Restore it.") from None


def write(path: Path, metadata: Metadata[Any]) -> None:
    """Atomically. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, to_bytes(metadata), 0o644)


def signatures(delegator: Root | Targets, role: str, metadata: Metadata[Any]) -> VerificationResult:
    """Which of the keys that `delegator` asks for have signed."""
    return delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)


def roots(layout: Layout) -> list[Metadata[Root]]:
    """The chain from the first root to the newest published one. Raises `ToolError`."""
    if not layout.root.is_file():
        raise ToolError(
            f"{layout.folder} has no update repository. Make its keys: fleeting-fleet keys init."
        )
    chain: list[Metadata[Root]] = [read(layout.root)]
    _demand(chain[0].signed, "root", chain[0], layout.root)
    while (path := layout.metadata / f"{chain[-1].signed.version + 1}.root.json").is_file():
        found = read(path)
        _demand(chain[-1].signed, "root", found, path)
        _demand(found.signed, "root", found, path)
        chain.append(found)
    return chain


def load(layout: Layout) -> Published:
    """Everything published, each file verified. Raises `ToolError`."""
    chain = roots(layout)
    # Killed after a new root came out, `publish` has not yet replaced what the old one vouches for.
    trusted = [each.signed for each in chain[:-3:-1]]
    if not (layout.metadata / "timestamp.json").is_file():
        raise ToolError(
            f"{layout.folder} has keys but no repository. Run: fleeting-fleet repo init."
        )
    timestamp: Metadata[Timestamp] = _verified(
        layout.metadata / "timestamp.json", "timestamp", trusted
    )
    number = timestamp.signed.snapshot_meta.version
    snapshot: Metadata[Snapshot] = _verified(
        layout.metadata / f"{number}.snapshot.json", "snapshot", trusted
    )
    meta = snapshot.signed.meta
    targets: Metadata[Targets] = _verified(
        layout.metadata / f"{meta['targets.json'].version}.targets.json", "targets", trusted
    )
    return Published(
        chain[-1],
        timestamp,
        snapshot,
        targets,
        {
            role: _verified(
                layout.metadata / f"{meta[f'{role}.json'].version}.{role}.json",
                role,
                [targets.signed],
            )
            for role in DELEGATED
        },
    )


def _verified(path: Path, role: str, delegators: list[Any]) -> Metadata[Any]:
    found = read(path)
    if not any(signatures(each, role, found) for each in delegators):
        raise ToolError(
            f"{path} is not signed as it must be: somebody changed it. Restore the repository from "
            "a copy, and see who may write it."
        )
    return found


def _demand(delegator: Root, role: str, metadata: Metadata[Any], path: Path) -> None:
    if not isinstance(metadata.signed, Root) or not signatures(delegator, role, metadata):
        raise ToolError(f"{path} is not signed by the root before it. Restore it from a copy.")


def staged(layout: Layout, role: str) -> Metadata[Any] | None:
    """The role's next version, if there is one. Raises `ToolError`."""
    path = layout.staged(role)
    return read(path) if path.is_file() else None


def delegator_of(layout: Layout, role: str, published: Published | None) -> list[Root | Targets]:
    """Whose keys have to sign the next version of `role`: for a new root, both the one before and
    itself. Raises `ToolError`."""
    if role in DELEGATED:
        targets = staged(layout, "targets") or cast(Published, published).targets
        return [cast(Targets, targets.signed)]
    own = staged(layout, "root")
    before = roots(layout)[-1].signed
    if role == "root":
        return [before, cast(Metadata[Root], own).signed]
    return [own.signed if own is not None else before]


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One process at a time changes the repository. Raises `ToolError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = os.open(folder / ".repository.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ToolError(f"{folder} cannot be written: {error.strerror}.") from None
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ToolError(
            f"Somebody else is changing the repository in {folder} now. Wait until they are done."
        ) from None
    finally:
        os.close(number)
