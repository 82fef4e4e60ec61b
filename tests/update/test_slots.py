"""Slots: made whole or not at all, whatever the archive holds; links that lead to whole slots."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.update import unpack as unpacking
from agent.update.errors import UpdateError
from agent.update.slots import Slots, tree
from tests.update.archives import BASE, REQUIREMENTS, install, member, models, pack, package


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    folder = tmp_path / "slots"
    folder.mkdir()
    return Slots(folder, install(package("0.1.0"), tmp_path / "base"))


def nothing_is_left(slots: Slots) -> bool:
    return [each.name for each in slots.folder.iterdir()] == []


def test_a_slot_is_the_archive_and_a_switch_is_a_link(slots: Slots, tmp_path: Path) -> None:
    archive = pack(tmp_path / "x.tar.gz", package("0.2.0"))
    found = slots.fill("a", archive, "app", "0.2.0", BASE)
    assert found == tree(slots.folder / "a")
    assert slots.whole("a", found)
    for name, data in package("0.2.0").items():
        path = slots.folder / "a" / name
        assert path.read_bytes() == data
        assert stat.S_IMODE(path.stat().st_mode) & 0o133 == 0
    assert (slots.current, slots.versions("base")) == ("base", ("0.1.0", "0.1.0"))
    slots.switch("a")
    assert os.readlink(slots.folder / "current") == "a"
    assert (slots.current, slots.confirmed, slots.spare()) == ("a", "base", "b")
    before = slots.link
    slots.switch("a")
    assert slots.link == before, "switched again: starts would be counted from anew"
    slots.confirm("a")
    assert (slots.confirmed, slots.versions("a")) == ("a", ("0.2.0", "0.2.0"))
    slots.switch("base")
    assert not (slots.folder / "current").is_symlink()


def test_byte_code_is_kept_for_those_who_may_not_write_there(slots: Slots, tmp_path: Path) -> None:
    found = slots.fill("a", pack(tmp_path / "x.tar.gz", package("0.2.0")), "app", "0.2.0", BASE)
    kept = list((slots.folder / "a/agent").rglob("__pycache__/cli.*.pyc"))
    assert len(kept) == 1
    assert str(slots.folder / "a/agent/cli.py").encode() in kept[0].read_bytes()
    kept[0].unlink()
    assert slots.whole("a", found), "it is no part of the release"


def test_other_contents_have_another_time(slots: Slots, tmp_path: Path) -> None:
    """Compiled kernels are kept for a file of a certain path, size and time."""
    times = set()
    for body in (b"A = 1\n", b"A = 2\n"):
        archive = pack(tmp_path / "x.tar.gz", package("0.2.0", body))
        slots.fill("a", archive, "app", "0.2.0", BASE)
        found = (slots.folder / "a/agent/cli.py").stat()
        times.add((found.st_size, found.st_mtime_ns))
    assert len(times) == 2


def test_models_come_with_the_package_in_force(slots: Slots, tmp_path: Path) -> None:
    slots.fill("a", pack(tmp_path / "x.tar.gz", package("0.2.0")), "app", "0.2.0", BASE)
    slots.switch("a")
    slots.confirm("a")
    slots.fill("b", pack(tmp_path / "y.tar.gz", models("3.0.0")), "models", "3.0.0", BASE)
    assert slots.versions("b") == ("0.2.0", "3.0.0")
    assert (slots.folder / "b/models/one/model.tflite").read_bytes().startswith(b"new 3.0.0")
    assert (slots.folder / "b/agent/deep/er/module.py").read_bytes() == b"Y = 2\n"
    assert (slots.folder / "b/requirements.txt").read_bytes() == REQUIREMENTS


HOSTILE = {
    "a link": member("agent/link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a hard link": member("agent/link", type=tarfile.LNKTYPE, linkname="agent/cli.py"),
    "a pipe": member("agent/pipe", type=tarfile.FIFOTYPE),
    "a device": member("agent/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
    "an absolute name": member("/agent/x.py", b"x"),
    "a way up": member("agent/../../x.py", b"x"),
    "a way up from the top": member("../x.py", b"x"),
    "a dot": member("./agent/x.py", b"x"),
    "an empty part": member("agent//x.py", b"x"),
    "a hidden file": member("agent/.x", b"x"),
    "a strange letter": member("agent/\u202ex.py", b"x"),
    "a new line": member("agent/x\n.py", b"x"),
    "a backslash": member("agent/..\\x.py", b"x"),
    "a name twice": member("agent/cli.py", b"other"),
    "a name twice but for case": member("agent/CLI.py", b"other"),
    "another top": member("tools/x.py", b"x"),
    "a file at the top": member("sitecustomize.py", b"x"),
    "a long name": member("agent/" + "x" * 101, b"x"),
    "depth": member("agent/" + "d/" * 20 + "x.py", b"x"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_leaves_nothing(name: str, slots: Slots, tmp_path: Path) -> None:
    archive = pack(tmp_path / "x.tar.gz", package("0.2.0"), HOSTILE[name])
    with pytest.raises(UpdateError, match="archive is not used") as caught:
        slots.fill("a", archive, "app", "0.2.0", BASE)
    assert (caught.value.reason, caught.value.rejected) == ("unpack", False)
    assert nothing_is_left(slots)
    assert not (tmp_path / "x.py").exists()


@pytest.mark.parametrize(
    "missing", ["agent/__init__.py", "models/manifest.toml", "requirements.txt"]
)
def test_what_is_not_complete_is_refused(missing: str, slots: Slots, tmp_path: Path) -> None:
    files = package("0.2.0")
    del files[missing]
    with pytest.raises(UpdateError, match="lacks"):
        slots.fill("a", pack(tmp_path / "x.tar.gz", files), "app", "0.2.0", BASE)
    assert nothing_is_left(slots)


def test_what_is_not_what_was_signed_for_is_refused(slots: Slots, tmp_path: Path) -> None:
    archive = pack(tmp_path / "x.tar.gz", package("0.2.0"))
    for version, base, word in (
        ("0.2.1", BASE, "holds 0.2.0"),
        ("0.2.0", "0" * 64, "requirements"),
    ):
        with pytest.raises(UpdateError, match=word):
            slots.fill("a", archive, "app", version, base)
    with pytest.raises(UpdateError, match="belongs to no update of models"):
        slots.fill("a", archive, "models", "0.2.0", BASE)
    assert nothing_is_left(slots)


@pytest.mark.parametrize("cut", [0, 1, 10, 200, -1, -9])
def test_a_truncated_archive_is_refused(cut: int, slots: Slots, tmp_path: Path) -> None:
    archive = pack(tmp_path / "x.tar.gz", package("0.2.0"))
    archive.write_bytes(archive.read_bytes()[:cut])
    with pytest.raises(UpdateError) as caught:
        slots.fill("a", archive, "app", "0.2.0", BASE)
    assert caught.value.reason == "unpack"
    assert nothing_is_left(slots)


def bomb_of_files() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for number in range(unpacking.MAX_ENTRIES + 10):
            tar.addfile(tarfile.TarInfo(f"agent/x{number}.py"))
    return buffer.getvalue()


def bomb_of_headers() -> bytes:
    """A long name that is never there but in memory."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2**28
    return info.tobuf() + b"a" * 2**24


def bomb_of_one_file() -> bytes:
    return tarfile.TarInfo.tobuf(member("agent/x.py", size=2**33)[0]) + b"\0" * 2**20


def bomb_of_many() -> bytes:
    size = unpacking.MAX_FILE
    infos = [member(f"agent/x{number}.py", size=size)[0] for number in range(4)]
    return b"".join(info.tobuf() + b"\0" * size for info in infos)


@pytest.mark.slow
@pytest.mark.parametrize("bomb", [bomb_of_files, bomb_of_headers, bomb_of_one_file, bomb_of_many])
def test_a_bomb_is_refused(
    bomb: object, slots: Slots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "MAX_FILE", 2**20)
    monkeypatch.setattr(unpacking, "MAX_BYTES", 3 * 2**20)
    archive = tmp_path / "x.tar.gz"
    archive.write_bytes(gzip.compress(bomb(), 1))  # type: ignore[operator]
    with pytest.raises(UpdateError) as caught:
        slots.fill("a", archive, "app", "0.2.0", BASE)
    assert caught.value.reason == "unpack"
    assert nothing_is_left(slots)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_what_was(small_disk: Path, tmp_path: Path) -> None:
    slots = Slots(small_disk, install(package("0.1.0"), tmp_path / "base"))
    slots.fill("a", pack(tmp_path / "x.tar.gz", package("0.2.0")), "app", "0.2.0", BASE)
    slots.switch("a")
    slots.confirm("a")
    before = tree(small_disk / "a")
    large = package("0.3.0", b"# " + os.urandom(400_000).hex().encode())
    with pytest.raises(UpdateError) as caught:
        slots.fill("b", pack(tmp_path / "y.tar.gz", large), "app", "0.3.0", BASE)
    assert caught.value.reason == "disk_full"
    assert sorted(each.name for each in small_disk.iterdir()) == ["a", "confirmed", "current"]
    assert tree(small_disk / "a") == before
    slots.switch("base")  # the way back needs no space
    slots.switch("a")


def test_what_an_interruption_leaves_is_removed(slots: Slots, tmp_path: Path) -> None:
    slots.fill("a", pack(tmp_path / "x.tar.gz", package("0.2.0")), "app", "0.2.0", BASE)
    install(package("0.3.0"), slots.folder / "b.new")
    (slots.folder / ".current.new").symlink_to("b")
    slots.tidy()
    assert [each.name for each in slots.folder.iterdir()] == ["a"]
    slots.switch("a")
    slots.discard("a")
    assert (slots.folder / "a").is_dir(), "it is in force"


def test_a_tree_with_anything_but_files_has_no_hash(slots: Slots, tmp_path: Path) -> None:
    found = slots.fill("a", pack(tmp_path / "x.tar.gz", package("0.2.0")), "app", "0.2.0", BASE)
    (slots.folder / "a/agent/link.py").symlink_to("/etc/passwd")
    assert not slots.whole("a", found)
    (slots.folder / "a/agent/link.py").unlink()
    assert slots.whole("a", found)
    (slots.folder / "a/agent/cli.py").write_text("X = 3\n")
    assert not slots.whole("a", found)
    shutil.rmtree(slots.folder / "a")
    assert not slots.whole("a", found)
