"""A device with its trusted state, and a repository that it looks at."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.base.config import UpdateConfig
from agent.base.report.job import JobKind, JobReason
from agent.update.errors import UpdateError
from agent.update.repository import Repository
from tests.update.repository_simulator import BASE, RepositorySimulator, archive_of
from tests.update.sources import FolderSource, Source, WebSource, web


class Clock:
    """The machine's, trusted unless `trusted` says no, and `ahead` seconds off."""

    def __init__(self) -> None:
        self.trusted = True
        self.ahead = 0.0

    def utc(self) -> float | None:
        return time.time() + self.ahead if self.trusted else None


class Device:
    """A folder with a root file and what the device remembers."""

    def __init__(self, place: Path, root: bytes, source: Source) -> None:
        self.root = place / "root.json"
        self.root.write_bytes(root)
        self.state = place / "state"
        self.downloads = place / "downloads"
        self.clock = Clock()
        self.source = source

    def repository(self, **options: Any) -> Repository:
        """As a process that starts."""
        config = UpdateConfig(url=self.source.url, root=self.root)
        options = {"base": BASE, "patience": 0.0, "clock": self.clock, **options}
        return Repository(config, self.state, self.source.media, **options)

    def installs(self, kind: JobKind = "app", version: str = "0.2.0") -> None:
        """Finds and downloads that release, and no other content."""
        repository = self.repository()
        path = repository.download(repository.find(kind, version), self.downloads)
        assert path.read_bytes() == archive_of(kind, version)
        path.unlink()

    def refuses(
        self, reason: JobReason, kind: JobKind = "app", version: str = "0.2.0", words: str = "."
    ) -> None:
        """With that reason, leaving nothing behind."""
        with pytest.raises(UpdateError, match=words) as caught:
            self.installs(kind, version)
        assert caught.value.reason == reason, caught.value
        assert not [*self.downloads.glob("*"), *self.downloads.glob(".*")]
        assert not [*self.state.rglob("tmp*"), *self.state.rglob("*.tmp")]

    def refuses_and_recovers(
        self,
        reason: JobReason,
        attack: Mapping[str, bytes],
        honest: Mapping[str, bytes],
        kind: JobKind = "app",
        version: str = "0.2.0",
        words: str = ".",
    ) -> None:
        """Refuses what the attacker serves, twice, and goes on as before with what the fleet
        does."""
        self.source.serve(attack)
        self.refuses(reason, kind, version, words)
        self.refuses(reason, kind, version, words)
        self.source.serve(honest)
        self.installs(kind, version)


@pytest.fixture
def fleet() -> RepositorySimulator:
    return RepositorySimulator()


@pytest.fixture(params=["web", "folder"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    if request.param == "folder":
        (tmp_path / "stick").mkdir()
        yield FolderSource(tmp_path / "stick")
        return
    with web() as server:
        yield server


@pytest.fixture
def server() -> Iterator[WebSource]:
    with web() as source:
        yield source


@pytest.fixture
def device(tmp_path: Path, fleet: RepositorySimulator, source: Source) -> Device:
    """Has never looked yet; the repository is served as it is."""
    source.serve(fleet.served)
    return Device(tmp_path, fleet.root_bytes, source)


@pytest.fixture
def online(tmp_path: Path, fleet: RepositorySimulator, server: WebSource) -> Device:
    """The same, always over the network."""
    server.serve(fleet.served)
    return Device(tmp_path, fleet.root_bytes, server)
