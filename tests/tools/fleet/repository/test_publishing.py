"""From a clone to a device: over the network and from a stick, killed on the way, kept fresh."""

from __future__ import annotations

import datetime as dt
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.base import files as base_files
from agent.update.errors import UpdateError
from tests.tools.fleet.repository.conftest import BASE, Device, Fleet
from tests.update.sources import web
from tools.common.errors import ToolError
from tools.fleet.repository import metadata, publishing
from tools.fleet.repository.keys import KeyFolders, from_file
from tools.fleet.repository.metadata import Layout, alone
from tools.fleet.repository.publishing import publish
from tools.fleet.repository.workshop import Workshop


def served(folder: Path) -> dict[str, bytes]:
    """A repository's files by path, as a web server gives them."""
    root = folder / "repository"
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def workshop(fleet: Fleet) -> Workshop:
    return Workshop(fleet.folder, KeyFolders([fleet.keys], from_file(fleet.passphrase)))


@pytest.mark.parametrize("how", ["web", "stick"])
def test_what_is_released_reaches_a_device(fleet: Fleet, how: str) -> None:
    fleet.release("models", "0.2.5")
    fleet.release("app", "0.3.0", "--floor", "0.2.0")
    with web() as server:
        server.serve(served(fleet.folder))
        stick = fleet.place / "stick"
        shutil.copytree(fleet.folder / "repository", stick)
        device = Device(
            fleet.place / "device",
            fleet.folder / "root.json",
            server.url if how == "web" else "",
            stick if how == "stick" else None,
        )
        for kind, version in (("app", "0.2.0"), ("app", "0.3.0"), ("models", "0.2.5")):
            path = device.fetches(kind, version)  # type: ignore[arg-type]
            published = fleet.folder / "repository" / "targets" / kind
            (original,) = published.glob(f"*.{kind}-{version}.tar.gz")
            assert path.read_bytes() == original.read_bytes()
        assert bool(server.asked) == (how == "web")


def test_list_says_what_is_out_and_what_is_not(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.run("repo", "add", "--kind", "app", "--version", "0.10.0", str(fleet.tree("0.10.0")))
    found = fleet.told(capsys, "repo", "list")
    assert [(each["version"], each["state"], each["floor"]) for each in found["releases"]] == [
        ("0.2.0", "published", "0.2.0"),
        ("0.10.0", "staged", "0.10.0"),
    ]
    assert {each["base"] for each in found["releases"]} == {BASE}
    assert found["staged"][0]["missing"] == ["app"]
    fleet.run("repo", "list")
    out = capsys.readouterr().out
    assert "app 0.10.0" in out
    assert "still to be signed by 1 of app" in out


def test_a_published_version_is_never_replaced(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = str(fleet.tree("0.2.0"))
    fleet.run("repo", "add", "--kind", "app", "--version", "0.2.0", tree, code=1)
    assert "higher number" in capsys.readouterr().err
    assert not (fleet.folder / "staging").exists()


def test_a_staged_release_is_replaced_by_adding_it_again(fleet: Fleet, device: Device) -> None:
    tree = fleet.tree("0.3.0")
    fleet.run("repo", "add", "--kind", "app", "--version", "0.3.0", str(tree))
    fleet.run("repo", "sign")
    (tree / "agent" / "more.py").write_text("X = 1\n")
    fleet.release("app", "0.3.0")
    assert metadata.load(Layout(fleet.folder)).delegated["app"].signed.version == 3
    device.fetches("app", "0.3.0")


def test_a_floor_above_the_release_is_refused(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.run("repo", "add", "--kind", "app", "--version", "0.3.0", "--floor", "0.4.0",
              str(fleet.tree("0.3.0")), code=1)  # fmt: skip
    assert "above the release" in capsys.readouterr().err


def test_what_is_removed_is_listed_no_more(fleet: Fleet, device: Device) -> None:
    fleet.release("app", "0.3.0")
    device.fetches("app", "0.2.0")
    fleet.run("repo", "remove", "--kind", "app", "--version", "0.2.0")
    fleet.run("repo", "sign")
    fleet.run("repo", "publish", "--prune")
    with pytest.raises(UpdateError) as caught:
        device.fetches("app", "0.2.0")
    assert caught.value.reason == "unlisted"
    device.fetches("app", "0.3.0")
    assert len(list((fleet.folder / "repository" / "targets").glob("*/*"))) == 1
    fleet.run("repo", "remove", "--kind", "app", "--version", "0.2.0", code=1)


def test_nothing_unsigned_is_published(
    fleet: Fleet, device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.run("repo", "add", "--kind", "app", "--version", "0.3.0", str(fleet.tree("0.3.0")))
    before = served(fleet.folder)
    fleet.run("repo", "publish", code=1)
    assert "repo sign" in capsys.readouterr().err
    assert served(fleet.folder) == before


def test_with_nothing_staged_nothing_is_published(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.run("repo", "publish", code=1)
    assert "Nothing is staged" in capsys.readouterr().err


def test_an_archive_changed_after_signing_is_not_published(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.run("repo", "add", "--kind", "app", "--version", "0.3.0", str(fleet.tree("0.3.0")))
    fleet.run("repo", "sign")
    archive = fleet.folder / "staging" / "targets" / "app" / "app-0.3.0.tar.gz"
    archive.write_bytes(archive.read_bytes() + b"!")
    before = served(fleet.folder)
    fleet.run("repo", "publish", code=1)
    assert "not the file that was signed" in capsys.readouterr().err
    archive.unlink()
    fleet.run("repo", "publish", code=1)
    assert "not here" in capsys.readouterr().err
    assert served(fleet.folder) == before


@pytest.mark.parametrize("name", ["timestamp", "2.snapshot", "1.targets", "2.app", "1.models"])
def test_nothing_is_built_upon_what_somebody_changed(
    fleet: Fleet, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path = fleet.folder / "repository" / "metadata" / f"{name}.json"
    path.write_bytes(path.read_bytes().replace(b'"expires":"20', b'"expires":"21'))
    tree = str(fleet.tree("0.3.0"))
    fleet.run("repo", "add", "--kind", "app", "--version", "0.3.0", tree, code=1)
    assert "somebody changed it" in capsys.readouterr().err
    path.write_bytes(b"{")
    fleet.run("repo", "refresh", code=1)
    assert "no signed metadata" in capsys.readouterr().err


class Killed(BaseException):
    """As a power cut: nothing of ours runs any more."""


def killed_at(number: int, write: Callable[..., Any]) -> Callable[..., Any]:
    """`write`, until the call of that number."""
    left = number

    def instead(*args: Any, **options: Any) -> Any:
        nonlocal left
        if not left:
            raise Killed
        left -= 1
        return write(*args, **options)

    return instead


@pytest.mark.slow
def test_publishing_killed_at_each_file_shows_the_old_or_the_new(
    fleet: Fleet, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a new root, new targets and a release all at once: until the timestamp is out a device
    gets the old release, afterwards the new one, and publishing again finishes the job."""
    fleet.run("keys", "rotate", "root-1")
    fleet.run("keys", "rotate", "app")
    fleet.run("repo", "add", "--kind", "app", "--version", "0.3.0", str(fleet.tree("0.3.0")))
    fleet.run("repo", "sign")
    write = base_files.write_atomically
    for number in range(20):
        copy = fleet.copy(f"killed-{number}")
        instead = killed_at(number, write)
        died = False
        with monkeypatch.context() as patched:
            for module in (metadata, publishing):
                patched.setattr(module, "write_atomically", instead)
            try:
                publish(workshop(copy))
            except Killed:
                died = True
        look = Device(copy.place / "device", copy.folder / "root.json", media=copy.folder)
        look.fetches("app", "0.2.0")
        if died:
            with pytest.raises(UpdateError, match="lists no"):
                look.fetches("app", "0.3.0")
            copy.run("repo", "refresh")
            look.fetches("app", "0.2.0")
            copy.run("repo", "publish")
        look.fetches("app", "0.3.0")
        late = Device(copy.place / "late", copy.folder / "root.json", media=copy.folder)
        late.fetches("app", "0.3.0")
        if not died:
            break
    assert number == 6, "archive, root, targets, app, snapshot, timestamp"


@pytest.mark.parametrize("after", range(4))
def test_new_online_keys_killed_on_the_way_are_finished_by_the_daily_job(
    fleet: Fleet, device: Device, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """A new root is out, and what the old keys signed still stands beside it."""
    fleet.run("keys", "rotate", "timestamp")
    with monkeypatch.context() as patched:
        write = killed_at(after, base_files.write_atomically)
        patched.setattr(metadata, "write_atomically", write)
        if after < 3:
            with pytest.raises(Killed):
                publish(workshop(fleet))
        else:
            publish(workshop(fleet))
    fleet.run("repo", "refresh")
    device.fetches("app", "0.2.0")
    fleet.release("app", "0.3.0")
    device.fetches("app", "0.3.0")


def test_publishing_killed_before_it_tidies_up_goes_on(fleet: Fleet, device: Device) -> None:
    fleet.run("repo", "add", "--kind", "app", "--version", "0.3.0", str(fleet.tree("0.3.0")))
    fleet.run("repo", "sign")
    shutil.copytree(fleet.folder / "staging", fleet.place / "aside")
    fleet.run("repo", "publish")
    shutil.copytree(fleet.place / "aside", fleet.folder / "staging")
    fleet.run("repo", "publish")
    device.fetches("app", "0.3.0")
    assert not (fleet.folder / "staging").exists()


def test_a_stale_change_is_not_published(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    """Two people staged the same version on two machines."""
    other = fleet.copy("other")
    fleet.release("app", "0.3.0")
    other.run("repo", "add", "--kind", "app", "--version", "0.4.0", str(other.tree("0.4.0")))
    other.run("repo", "sign")
    shutil.copytree(other.folder / "staging", fleet.folder / "staging")
    fleet.run("repo", "publish", code=1)
    assert "meanwhile another one came out" in capsys.readouterr().err


def test_a_full_disk_changes_nothing_that_devices_see(
    fleet: Fleet, device: Device, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(args[0]))

    tree = str(fleet.tree("0.3.0"))
    with monkeypatch.context() as patched:
        patched.setattr("tools.fleet.repository.archive.write_atomically", full)
        fleet.run("repo", "add", "--kind", "app", "--version", "0.3.0", tree, code=1)
    assert "No space left" in capsys.readouterr().err
    fleet.run("repo", "add", "--kind", "app", "--version", "0.3.0", tree)
    fleet.run("repo", "sign")
    with monkeypatch.context() as patched:
        patched.setattr(publishing, "write_atomically", full)
        fleet.run("repo", "publish", code=1)
    assert "publish again" in capsys.readouterr().err
    device.fetches("app", "0.2.0")
    fleet.run("repo", "publish")
    device.fetches("app", "0.3.0")


# Kept fresh


def ahead(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    """The operator's machine, so many days later."""
    later = metadata.now() + dt.timedelta(days=days)
    monkeypatch.setattr(metadata, "now", lambda: later)


def test_refreshing_renews_the_timestamp_and_in_time_the_snapshot(
    fleet: Fleet, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(fleet.folder)
    before = metadata.load(layout)
    fleet.run("repo", "refresh")
    after = metadata.load(layout)
    assert after.timestamp.signed.version == before.timestamp.signed.version + 1
    assert after.snapshot.signed.version == before.snapshot.signed.version
    with monkeypatch.context() as patched:
        ahead(patched, 25)
        fleet.run("repo", "refresh")
    later = metadata.load(layout)
    assert later.snapshot.signed.version == before.snapshot.signed.version + 1
    assert later.snapshot.signed.expires > after.snapshot.signed.expires
    device.fetches("app", "0.2.0")


def test_refreshing_says_what_only_offline_keys_renew(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ahead(monkeypatch, 330)
    found = fleet.told(capsys, "repo", "refresh")
    assert found["due"] == ["root", "targets", "app", "models"]
    fleet.run("repo", "refresh")
    assert "will expire soon" in capsys.readouterr().err
    ahead(monkeypatch, 60)
    fleet.run("repo", "refresh", code=1)
    assert "keys renew root targets app models" in capsys.readouterr().err


def test_a_repository_nobody_refreshes_is_refused(
    fleet: Fleet, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        ahead(patched, -8)
        fleet.run("repo", "refresh")
    with pytest.raises(UpdateError, match="expired") as caught:
        device.fetches("app", "0.2.0")
    assert caught.value.reason == "untrusted"
    fleet.run("repo", "refresh")
    device.fetches("app", "0.2.0")


def test_without_an_online_key_nothing_is_refreshed(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    (fleet.keys / "timestamp.pem").unlink()
    before = served(fleet.folder)
    fleet.run("repo", "refresh", code=1)
    assert "keys rotate timestamp" in capsys.readouterr().err
    assert served(fleet.folder) == before


def test_two_do_not_change_it_at_once(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    with alone(fleet.folder):
        fleet.run("repo", "refresh", code=1)
    assert "Somebody else" in capsys.readouterr().err
    fleet.run("repo", "refresh")


def test_without_keys_or_repository_the_next_step_is_named(
    tmp_path: Path, ceremony: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    ceremony.run("repo", "list", code=1)
    assert "repo init" in capsys.readouterr().err
    other = Fleet(tmp_path)
    other.folder = tmp_path / "nowhere"
    other.run("repo", "list", code=1)
    assert "keys init" in capsys.readouterr().err
    ceremony.run("repo", "init")
    ceremony.run("repo", "init", code=1)
    assert "already" in capsys.readouterr().err


def test_the_second_step_is_not_the_first(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="keys init"):
        publish(workshop_in(tmp_path))


def workshop_in(place: Path) -> Workshop:
    return workshop(Fleet(place))
