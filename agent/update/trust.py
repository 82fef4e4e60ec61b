"""Trust in an update repository: The Update Framework's client (`tuf`), and what it leaves to us.

`tuf` checks signatures, thresholds, expiry, versions and hashes (TUF specification 1.0, section 5).
It remembers what it trusted in a cache of files; where one is lost or damaged it would start again
from the root file and could be taken back. So the versions are kept a second time, in the floors.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar, cast

from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, TargetFile, Timestamp
from tuf.ngclient import Updater, UpdaterConfig

from agent.base.errors import reason
from agent.base.files import read_regular_file
from agent.update.errors import UpdateError, disk_error
from agent.update.fetchers import METADATA_BYTES, Fetcher
from agent.update.floors import Floors, Seen

_Role = TypeVar("_Role", bound=Signed)
_LIMITS = UpdaterConfig(
    max_root_rotations=256,
    max_delegations=8,
    root_max_length=METADATA_BYTES,
    timestamp_max_length=16_384,
    snapshot_max_length=METADATA_BYTES,
    targets_max_length=METADATA_BYTES,
)


class Trust:
    """Signed metadata, followed from a root file that came with the device."""

    def __init__(self, root: Path, cache: Path, floors: Floors) -> None:
        """`root`: the first root metadata. `cache`: folder of what is trusted already; it may be
        lost at any time."""
        self._root_file = root
        self._cache = cache
        self._floors = floors

    def find(self, path: str, fetcher: Fetcher, now: int) -> TargetFile | None:
        """What the newest metadata says of a target; None where it lists none. `now`: UTC seconds
        of a trusted clock. Raises `UpdateError`."""
        bootstrap = self._bootstrap()
        for attempt in (1, 2):
            try:
                self._clean()
                with _explained(path):
                    updater = Updater(
                        str(self._cache),
                        f"{fetcher.base}metadata/",
                        fetcher=fetcher,
                        config=_LIMITS,
                        bootstrap=bootstrap,
                    )
                    updater.refresh()
                    found = updater.get_targetinfo(path)
                    seen = self._seen(bootstrap)
                break
            except OSError as error:
                if error.errno == errno.ENAMETOOLONG:
                    raise _untrusted(path, "a role has an absurd name") from None
                # Such as a damaged folder where a file should be. The floors outlive the cache.
                if attempt == 2 or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                    raise disk_error(error, str(self._cache)) from None
                self._forget()
        self._refuse_older(seen)
        self._floors.refreshed(now, seen)
        return found

    def _bootstrap(self) -> bytes:
        try:
            return read_regular_file(self._root_file, METADATA_BYTES)
        except OSError as error:
            raise UpdateError(
                "untrusted",
                f"{self._root_file}, the root of all trust in updates, cannot be read: "
                f"{reason(error)}. Copy the fleet's root.json there.",
            ) from None

    def _clean(self) -> None:
        """What a kill in the middle of `tuf`'s writing has left."""
        self._cache.mkdir(parents=True, exist_ok=True)
        for leftover in self._cache.glob("tmp*"):
            leftover.unlink()

    def _forget(self) -> None:
        with contextlib.suppress(OSError):
            if self._cache.is_dir() and not self._cache.is_symlink():
                shutil.rmtree(self._cache)
            else:
                self._cache.unlink()

    def _seen(self, bootstrap: bytes) -> Seen:
        """From the cache, which has just been written or verified."""
        root = self._cached(Root)
        timestamp = self._cached(Timestamp)
        snapshot = self._cached(Snapshot)
        return Seen(
            bootstrap=hashlib.sha256(bootstrap).hexdigest(),
            root=root.version,
            keys=_fingerprint(root),
            timestamp=timestamp.version,
            snapshot=snapshot.version,
            targets={name: meta.version for name, meta in sorted(snapshot.meta.items())},
        )

    def _cached(self, kind: type[_Role]) -> _Role:
        data = (self._cache / f"{kind.type}.json").read_bytes()
        return cast(_Role, Metadata.from_bytes(data).signed)

    def _refuse_older(self, now: Seen) -> None:
        before = self._floors.seen
        if before is None or before.bootstrap != now.bootstrap:
            return
        older = ["root"] if now.root < before.root else []
        if now.keys == before.keys:
            older += [
                name for name in ("timestamp", "snapshot")
                if getattr(now, name) < getattr(before, name)
            ]  # fmt: skip
            older += [
                name.removesuffix(".json")
                for name, version in before.targets.items()
                if now.targets.get(name, 0) < version
            ]
        if older:
            raise UpdateError(
                "untrusted",
                "The update repository is older than it was: "
                f"{', '.join(_word(each) for each in older)}. Somebody replays old files, or it "
                "was restored from a backup; publish it anew.",
            )


def _fingerprint(root: Root) -> str:
    """Of the keys that sign timestamp and snapshot, and how many of them have to."""
    roles = {
        name: [
            root.roles[name].threshold,
            *sorted(
                json.dumps(root.keys[each].keyval, sort_keys=True)
                for each in root.roles[name].keyids
            ),
        ]
        for name in (Timestamp.type, Snapshot.type)
    }
    return hashlib.sha256(json.dumps(roles, sort_keys=True).encode()).hexdigest()


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    """What `tuf` raises, as `UpdateError`. `OSError` passes: it is the cache's."""
    try:
        yield
    except (UpdateError, OSError):
        raise
    except ExpiredMetadataError:
        raise UpdateError(
            "untrusted",
            "The update repository's metadata has expired: it is not kept up, or old files are "
            "replayed. On the fleet's side run: fleeting-fleet repo refresh; with a stick, copy "
            "the repository anew.",
        ) from None
    except UnsignedMetadataError:
        raise _untrusted(path, "too few valid signatures") from None
    except LengthOrHashMismatchError:
        raise _untrusted(path, "a file is not the one that was signed for") from None
    except RepositoryError as error:
        raise _untrusted(path, _CAUSES.get(type(error).__name__, "it is malformed")) from None
    except DownloadHTTPError:
        raise UpdateError(
            "download",
            "The update repository is incomplete: a metadata file is not there. Publish it anew, "
            "or correct update.url.",
        ) from None
    except DownloadError as error:
        raise UpdateError(
            "download", f"The metadata cannot be fetched: {type(error).__name__}. Try later."
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        # Malformed in a way that `tuf` did not foresee.
        raise _untrusted(path, "it is malformed") from None


_CAUSES = {"BadVersionNumberError": "a version goes back, or is not the one that was announced"}


def _untrusted(path: str, why: str) -> UpdateError:
    return UpdateError(
        "untrusted",
        f"The update repository's metadata is refused, so {path} is not looked for: {why}. Nothing "
        "was changed. See who may write the repository, then publish it anew.",
    )


def _word(name: str) -> str:
    return name if len(name) < 40 and name.isascii() and name.isprintable() else "another"
