"""A webhook's URL and secrets: a file of the fleet's folder that only its service can read. They
are not in the database, which Grafana and others may read."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.common.errors import ToolError
from tools.fleet.alerts.webhooks.address import Network

_NAME = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Kept:
    """What is in the file."""

    url: str
    secrets: tuple[str, ...]
    """The newest first; two while a receiver changes over."""
    allow: tuple[str, ...] = ()
    """Networks that it may reach although they are barred."""
    ca: str | None = None
    """File of the authorities that vouch for its host; None: the system's."""

    @property
    def networks(self) -> list[Network]:
        return [ipaddress.ip_network(each) for each in self.allow]


class Vault:
    """FOLDER/webhooks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "webhooks"

    def read(self, webhook: str) -> Kept:
        """Raises `ToolError`."""
        path = self._path(webhook)
        try:
            if path.stat().st_mode & 0o077:
                raise ToolError(f"{path} holds a secret that others can read. Give it mode 0600.")
            found = json.loads(path.read_text(encoding="utf-8"))
            return Kept(found["url"], tuple(found["secrets"]), tuple(found["allow"]), found["ca"])
        except FileNotFoundError:
            raise ToolError(
                f"{path} is gone, and with it the webhook's secret. Remove the webhook and add it "
                "anew."
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ToolError(f"{path} cannot be used: {error}. Add the webhook anew.") from None

    def write(self, webhook: str, kept: Kept) -> None:
        """Whole, or not at all. Raises `ToolError`."""
        path = self._path(webhook)
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            new = path.with_suffix(".new")
            new.unlink(missing_ok=True)
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(asdict(kept), file)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError as error:
            raise ToolError(f"{path} cannot be written: {error.strerror}.") from None

    def remove(self, webhook: str) -> None:
        self._path(webhook).unlink(missing_ok=True)

    def _path(self, webhook: str) -> Path:
        if not _NAME.fullmatch(webhook):
            raise ToolError(f"{webhook!a} is no webhook. `fleeting-fleet webhooks list` has them.")
        return self._folder / f"{webhook}.json"
