"""A fleet's folder with a published repository, a clone to release from, and a device."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.base.config import UpdateConfig
from agent.base.report.job import JobKind
from agent.update.repository import Repository
from tools.fleet import cli
from tools.fleet.repository import keys

PASSPHRASE = "correct horse battery staple"
REQUIREMENTS = b"numpy==2.4.1\n"
BASE = hashlib.sha256(REQUIREMENTS).hexdigest()


class Clock:
    def utc(self) -> float | None:
        return time.time()


class Fleet:
    """What an operator does, through the command line."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.folder = place / "fleet"
        self.keys = self.folder / "keys"
        self.passphrase = place / "passphrase"
        self.passphrase.write_text(f"{PASSPHRASE}\n")
        self.passphrase.chmod(0o600)

    def run(self, *words: str, code: int = 0) -> None:
        signing = (
            ["--passphrase-file", str(self.passphrase)]
            if words[0] == "keys" or words[1] in ("init", "sign")
            else []
        )
        assert cli.main([*words, "--fleet", str(self.folder), *signing]) == code, words

    def told(self, capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
        """The same, and the object that it printed."""
        capsys.readouterr()
        self.run(*words, "--json", code=code)
        return json.loads(capsys.readouterr().out)

    def release(self, kind: JobKind, version: str, *words: str) -> None:
        self.run(
            "repo", "add", "--kind", kind, "--version", version, str(self.tree(version)), *words
        )
        self.run("repo", "sign")
        self.run("repo", "publish")

    def tree(self, version: str) -> Path:
        """A clone's folder of that version."""
        tree = self.place / f"tree-{version}"
        if not tree.exists():
            write_tree(tree, version)
        return tree

    def copy(self, name: str) -> Fleet:
        """A copy as it is now."""
        place = self.place / name
        place.mkdir()
        other = Fleet(place)
        shutil.copytree(self.folder, other.folder)
        return other


def write_tree(tree: Path, version: str) -> None:
    """The least that a device installs."""
    for name, content in {
        "agent/__init__.py": f'"""A package."""\n\n__version__ = "{version}"\n',
        "agent/inner/module.py": "X = 1\n",
        "models/manifest.toml": "[models]\n",
        "models/tone/model.tflite": "model" * 100,
        "requirements.txt": REQUIREMENTS.decode(),
    }.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


class Device:
    """One that got the fleet's root.json when it was set up."""

    def __init__(self, place: Path, root: Path, url: str = "", media: Path | None = None) -> None:
        self.place = place
        place.mkdir()
        shutil.copy(root, place / "root.json")
        self.config = UpdateConfig(url=url, root=place / "root.json")
        self.media = media

    def fetches(self, kind: JobKind, version: str) -> Path:
        repository = Repository(
            self.config, self.place / "state", self.media, Clock(), base=BASE, patience=0
        )
        return repository.download(repository.find(kind, version), self.place / "downloads")


@pytest.fixture(scope="session", autouse=True)
def _quick_passphrases() -> Iterator[None]:
    """128 MiB for each key that is opened would take minutes in all."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keys, "COST", 2**8)
        yield


@pytest.fixture
def ceremony(tmp_path: Path) -> Fleet:
    """Keys are made, nothing is published."""
    fleet = Fleet(tmp_path)
    fleet.run("keys", "init")
    return fleet


@pytest.fixture(scope="session")
def made(_quick_passphrases: None, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """Published, with one release: made once, to be copied."""
    fleet = Fleet(tmp_path_factory.mktemp("made"))
    fleet.run("keys", "init")
    fleet.run("repo", "init")
    fleet.release("app", "0.2.0")
    return fleet


@pytest.fixture
def fleet(made: Fleet, tmp_path: Path) -> Fleet:
    fleet = Fleet(tmp_path)
    shutil.copytree(made.folder, fleet.folder)
    return fleet


@pytest.fixture
def device(fleet: Fleet, tmp_path: Path) -> Device:
    """Reads the published folder as a stick."""
    return Device(tmp_path / "device", fleet.folder / "root.json", media=fleet.folder)
