"""What goes into a release, and what no device would install."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.tools.fleet.repository.conftest import BASE, write_tree
from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.fleet.repository.archive import build, size_of


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write_tree(tmp_path / "tree", "0.2.0")
    return tmp_path / "tree"


def names(path: Path) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


def commit(tree: Path) -> None:
    git = ["git", "-C", str(tree), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *arguments], check=True)


def packed(path: Path, entries: dict[str, Any]) -> Path:
    """An archive of somebody else: contents by name, or what `tarfile` makes of an entry."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in entries.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


WHOLE = {
    "agent/__init__.py": b'__version__ = "0.2.0"\n',
    "models/manifest.toml": b"[models]\n",
    "requirements.txt": b"numpy==2.4.1\n",
}


def test_a_release_is_the_same_byte_for_byte(tree: Path, tmp_path: Path) -> None:
    first = build("app", "0.2.0", tree, tmp_path / "one").path.read_bytes()
    for path in sorted(tree.rglob("*"), reverse=True):
        os.utime(path, (1, 1))
        if path.is_file():
            path.chmod(0o755)
    other = tmp_path / "other"
    tree.rename(other)
    assert build("app", "0.2.0", other, tmp_path / "two").path.read_bytes() == first


def test_entries_have_no_owner_no_time_and_an_order(tree: Path, tmp_path: Path) -> None:
    path = build("app", "0.2.0", tree, tmp_path / "out").path
    with tarfile.open(path) as tar:
        entries = tar.getmembers()
    assert [each.name for each in entries] == sorted(each.name for each in entries)
    for each in entries:
        assert (each.uid, each.gid, each.uname, each.gname, each.mtime) == (0, 0, "", "", 0)
        assert each.mode == 0o644
    assert path.read_bytes()[4:8] == bytes(4), "gzip's own time"


def test_of_a_folder_only_what_belongs_is_taken(tree: Path, tmp_path: Path) -> None:
    for name in ("agent/__pycache__/x.pyc", "agent/.hidden", "agent/.git/x", "other/x", "README"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("x")
    built = build("app", "0.2.0", tree, tmp_path / "out")
    assert names(built.path) == [
        "agent/__init__.py",
        "agent/inner/module.py",
        "models/manifest.toml",
        "models/tone/model.tflite",
        "requirements.txt",
    ]
    assert built.base == BASE


def test_of_a_clone_only_what_is_committed_is_taken(tree: Path, tmp_path: Path) -> None:
    commit(tree)
    before = build("app", "0.2.0", tree, tmp_path / "one").path.read_bytes()
    (tree / "notes").write_text("not part of a release")
    assert build("app", "0.2.0", tree, tmp_path / "two").path.read_bytes() == before
    (tree / "agent" / "new.py").write_text("X = 2\n")
    with pytest.raises(ToolError, match="not committed"):
        build("app", "0.2.0", tree, tmp_path / "three")
    (tree / "agent" / "new.py").unlink()
    (tree / "agent" / "inner" / "module.py").write_text("X = 3\n")
    changed = build("app", "0.2.0", tree, tmp_path / "four", changed=True).path
    assert changed.read_bytes() != before


def test_models_alone_say_their_version(tree: Path, tmp_path: Path) -> None:
    built = build("models", "0.2.7", tree, tmp_path / "out")
    assert names(built.path) == [
        "models/VERSION",
        "models/manifest.toml",
        "models/tone/model.tflite",
    ]
    assert built.base == BASE
    (tree / "models" / "VERSION").write_text("0.2.7\n")
    assert build("models", "0.2.7", tree, tmp_path / "two").path.read_bytes() == (
        built.path.read_bytes()
    )
    (tree / "models" / "VERSION").write_text("0.2.6\n")
    with pytest.raises(ToolError, match=r"'0\.2\.6', not 0\.2\.7"):
        build("models", "0.2.7", tree, tmp_path / "three")


def test_a_built_archive_is_taken_as_it_is(tree: Path, tmp_path: Path) -> None:
    first = build("app", "0.2.0", tree, tmp_path / "one")
    again = build("app", "0.2.0", first.path, tmp_path / "two")
    assert again.path.read_bytes() == first.path.read_bytes()
    assert again.base == first.base
    models = build("models", "0.2.7", tree, tmp_path / "three").path
    with pytest.raises(ToolError, match="--requirements"):
        build("models", "0.2.7", models, tmp_path / "four")
    requirements = tmp_path / "requirements.txt"
    requirements.write_bytes(b"other\n")
    built = build("models", "0.2.7", models, tmp_path / "five", requirements=requirements)
    assert built.base == hashlib.sha256(b"other\n").hexdigest()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"../evil": b"x"}, "leads elsewhere"),
        ({"/etc/evil": b"x"}, "leads elsewhere"),
        ({"agent/../../evil": b"x"}, "leads elsewhere"),
        ({"evil": b"x"}, "belongs to no update"),
        ({"a": link("agent/a", "/etc/passwd")}, "neither a file nor a folder"),
        ({"a": link("agent/a", "agent/__init__.py", tarfile.LNKTYPE)}, "neither a file"),
        ({"a": link("agent/a", "", tarfile.CHRTYPE)}, "neither a file"),
        ({"agent/__init__.py": b'__version__ = "0.3.0"\n'}, "says version '0.3.0'"),
        ({"agent/__init__.py": b"def broken(:\n"}, "says version ''"),
        ({"requirements.txt": None}, "lacks requirements.txt"),
        ({"models/manifest.toml": None}, "lacks models/manifest.toml"),
    ],
)
def test_an_archive_that_no_device_installs_is_refused(
    tmp_path: Path, more: dict[str, Any], words: str
) -> None:
    entries = {name: data for name, data in {**WHOLE, **more}.items() if data is not None}
    archive = packed(tmp_path / "evil.tar.gz", entries)
    with pytest.raises(ToolError, match=words):
        build("app", "0.2.0", archive, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("data", [b"", b"no archive", b"\x1f\x8b" + b"x" * 100])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(data)
    with pytest.raises(ToolError):
        build("app", "0.2.0", path, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_an_archive_beyond_what_devices_accept_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.fleet.repository.archive.MAX_TARGET", 100)
    archive = packed(tmp_path / "x.tar.gz", WHOLE)
    with pytest.raises(ToolError, match="at most 100"):
        build("app", "0.2.0", archive, tmp_path / "out")


def test_links_in_a_folder_are_refused(tree: Path, tmp_path: Path) -> None:
    (tree / "agent" / "link.py").symlink_to("/etc/passwd")
    with pytest.raises(ToolError, match="holds no links"):
        build("app", "0.2.0", tree, tmp_path / "out")


@pytest.mark.parametrize(
    "version", ["", "1", "0.2", "00.2.0", "0.2.0.0", "0.2.x", "0.2.10000", "-1.0.0"]
)
def test_what_is_no_version_is_refused(tree: Path, tmp_path: Path, version: str) -> None:
    with pytest.raises(ToolError, match="no version"):
        build("app", version, tree, tmp_path / "out")


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="Name the clone"):
        build("app", "0.2.0", tmp_path, tmp_path / "out")
    with pytest.raises(ToolError, match="neither a folder nor an archive"):
        build("app", "0.2.0", tmp_path / "none", tmp_path / "out")


@pytest.mark.slow
def test_this_clone_is_a_release(tmp_path: Path) -> None:
    from agent import __version__

    told: list[float] = []
    built = build(
        "app", __version__, ROOT, tmp_path, changed=True,
        progress=lambda done, note: told.append(done),
    )  # fmt: skip
    assert told[-1] == size_of("app", __version__, ROOT, changed=True)
    assert built.base == hashlib.sha256((ROOT / "requirements.txt").read_bytes()).hexdigest()
