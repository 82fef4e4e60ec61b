"""Keys are made, moved to sticks, lost and stolen; devices follow."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from agent.update.errors import UpdateError
from tests.tools.fleet.repository.conftest import PASSPHRASE, Device, Fleet
from tools.common.errors import ToolError
from tools.fleet import cli
from tools.fleet.repository import keys, metadata
from tools.fleet.repository.keys import OFFLINE, ONLINE, KeyFolders, from_file
from tools.fleet.repository.metadata import Layout
from tools.fleet.repository.publishing import publish
from tools.fleet.repository.workshop import Workshop


def sticks(fleet: Fleet) -> dict[str, Path]:
    """Every offline key on a stick of its own."""
    found = {}
    for name in OFFLINE:
        found[name] = fleet.place / f"stick-{name}"
        found[name].mkdir()
        shutil.move(fleet.keys / f"{name}.pem", found[name])
    return found


def workshop(fleet: Fleet, *folders: Path) -> Workshop:
    """Of somebody who has these keys."""
    return Workshop(fleet.folder, KeyFolders(folders, from_file(fleet.passphrase)))


def test_offline_keys_are_encrypted_and_all_are_their_owners(ceremony: Fleet) -> None:
    for name in (*OFFLINE, *ONLINE):
        path = ceremony.keys / f"{name}.pem"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert (b"BEGIN ENCRYPTED PRIVATE KEY" in path.read_bytes()) == (name in OFFLINE)
    root = metadata.read(ceremony.folder / "root.json").signed
    assert root.roles["root"].threshold == 2
    assert len(root.roles["root"].keyids) == 3


def test_a_ceremony_is_not_held_twice(ceremony: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in ceremony.folder.rglob("*.*") if path.is_file()}
    ceremony.run("keys", "init", code=1)
    assert "keys rotate" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in before}


def test_a_short_passphrase_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = Fleet(tmp_path)
    fleet.passphrase.write_text("too short")
    fleet.run("keys", "init", code=1)
    assert "at least 12" in capsys.readouterr().err
    assert not (fleet.folder / "root.json").exists()
    fleet.passphrase.write_text("long enough for this")
    fleet.run("keys", "init")


def test_without_a_terminal_nothing_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["keys", "init", "--fleet", str(tmp_path / "fleet")]) == 1
    assert "--passphrase-file" in capsys.readouterr().err


def test_passphrases_are_asked_for_each_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key each, or none to take that of before; then signing asks for those that it needs."""
    answers = iter(
        ["the first passphrase"] * 2  # root-1
        + ["another passphrase"] * 2  # root-2
        + ["", "", "", ""]  # root-3, targets, app, models
    )
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return next(answers)

    monkeypatch.setattr("getpass.getpass", answer)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    folder = tmp_path / "fleet"
    assert cli.main(["keys", "init", "--fleet", str(folder)]) == 0
    assert [each.split()[2].rstrip(":") for each in asked if each.startswith("Pass")] == list(
        OFFLINE
    )
    answers = iter(["another passphrase"] * 3)
    asked.clear()
    assert cli.main(["repo", "init", "--fleet", str(folder)]) == 0
    assert asked == [f"Passphrase of {name}: " for name in ("targets", "app", "models")]
    answers = iter(["the first passphrase", "another passphrase"])
    assert cli.main(["keys", "renew", "root", "--fleet", str(folder)]) == 0
    answers = iter(["one passphrase", "not the same one"])
    assert cli.main(["keys", "rotate", "app", "--fleet", str(folder)]) == 1
    assert "not the same" in capsys.readouterr().err
    assert not list((folder / "keys").glob("*.replaced-*"))


@pytest.mark.slow
def test_a_stolen_stick_is_slow_to_try(tmp_path: Path) -> None:
    """The passphrase itself does not open the file: 128 MiB of scrypt lie between."""
    fleet = Fleet(tmp_path)
    folders = workshop(fleet, fleet.keys).keys
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keys, "COST", 2**17)
        key = folders.make("app")
    data = (fleet.keys / "app.pem").read_bytes()
    assert data.split(b"\n", 1)[0].endswith(b" scrypt 131072")
    with pytest.raises(ValueError, match=r"[Pp]assword|[Dd]ecrypt"):
        load_pem_private_key(data, PASSPHRASE.encode())
    assert folders.signer(key) is not None
    (fleet.keys / "app.pem").write_bytes(data.replace(b"scrypt 131072", b"scrypt 3"))
    with pytest.raises(ToolError, match="cost"):
        folders.signer(key)


def test_a_passphrase_file_that_others_may_read_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = Fleet(tmp_path)
    fleet.passphrase.chmod(0o644)
    fleet.run("keys", "init", code=78)
    assert "chmod 600" in capsys.readouterr().err


def test_a_wrong_passphrase_is_named(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.run("keys", "renew", "app", code=0)
    fleet.passphrase.write_text("another one altogether")
    fleet.run("keys", "renew", "models", code=1)
    assert "does not open" in capsys.readouterr().err


def test_show_says_which_key_is_where(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    gone = sticks(fleet)
    found = fleet.told(capsys, "keys", "show", "--keys", str(gone["app"]))
    files = {each["key"]: each["file"] for each in found["keys"]}
    assert files["app"] == str(gone["app"] / "app.pem")
    assert files["root-1"] is None
    assert files["timestamp"] == str(fleet.keys / "timestamp.pem")
    fleet.run("keys", "show")
    out = capsys.readouterr().out
    assert "not here" in out
    assert "(not encrypted)" in out


def test_a_lost_root_key_is_replaced_by_the_two_others(fleet: Fleet, device: Device) -> None:
    device.fetches("app", "0.2.0")
    gone = sticks(fleet)
    shutil.rmtree(gone["root-2"])
    new = fleet.place / "stick-new"
    fleet.run(
        "keys", "rotate", "root-2",
        "--keys", str(new), "--keys", str(gone["root-1"]), "--keys", str(gone["root-3"]),
    )  # fmt: skip
    fleet.run("repo", "publish")
    device.fetches("app", "0.2.0")
    assert metadata.load(Layout(fleet.folder)).root.signed.version == 2

    # Now root-1 is lost too: the new key and root-3 suffice.
    shutil.rmtree(gone["root-1"])
    fleet.run(
        "keys", "rotate", "root-1",
        "--keys", str(fleet.place / "newer"), "--keys", str(new), "--keys", str(gone["root-3"]),
    )  # fmt: skip
    fleet.run("repo", "publish")
    device.fetches("app", "0.2.0")
    late = Device(fleet.place / "late", fleet.folder / "root.json", media=fleet.folder)
    late.fetches("app", "0.2.0")


def test_sticks_that_never_meet_sign_one_after_the_other(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = sticks(fleet)
    shutil.rmtree(gone["root-2"])
    found = fleet.told(capsys, "keys", "rotate", "root-2", "--keys", str(fleet.place / "new"))
    assert not found["staged"][0]["ready"]
    fleet.run("repo", "publish", code=1)
    assert "Still to be signed: root" in capsys.readouterr().err
    found = fleet.told(capsys, "repo", "sign", "--keys", str(gone["root-1"]), code=1)
    assert set(found["staged"][0]["missing"]) >= {"root-3"}
    fleet.run("repo", "publish", code=1)
    found = fleet.told(capsys, "repo", "sign", "--keys", str(gone["root-3"]))
    assert found["staged"] == [
        {"role": "root", "version": 2, "ready": True, "missing": [], "needed": 0}
    ]
    fleet.run("repo", "publish")


def test_one_root_key_alone_replaces_nothing(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = sticks(fleet)
    fleet.run("keys", "rotate", "targets", "--keys", str(gone["root-1"]))
    fleet.run("repo", "publish", code=1)
    assert "root by 1 of" in capsys.readouterr().err
    assert metadata.load(Layout(fleet.folder)).root.signed.version == 1


@pytest.mark.parametrize("name", ["targets", "app", "models", "snapshot", "timestamp"])
@pytest.mark.slow
def test_what_a_thief_signs_is_refused_once_the_key_is_replaced(
    fleet: Fleet, device: Device, name: str
) -> None:
    """The thief has copied the whole folder, of which the operator replaces one key: whatever the
    copy publishes later reaches no device that has looked since."""
    thief = fleet.copy("thief")
    fleet.run("keys", "rotate", name)
    fleet.run("repo", "publish")
    device.fetches("app", "0.2.0")

    # Further than the honest one, so that no mere version stops it.
    for number in range(3, 7):
        thief.release("app", f"0.{number}.0")
        thief.release("models", f"0.{number}.0")
    device.media = thief.folder
    for kind in ("app", "models"):
        with pytest.raises(UpdateError) as caught:
            device.fetches(kind, "0.6.0")
        assert caught.value.reason == "untrusted"

    # The copy had the online keys as well, with which it drove up the versions.
    fleet.run("keys", "rotate", "timestamp")
    device.media = fleet.folder
    fleet.release("app", "0.3.0")
    assert device.fetches("app", "0.3.0").is_file()


def test_of_the_online_keys_both_are_replaced(fleet: Fleet) -> None:
    before = metadata.load(Layout(fleet.folder)).root.signed
    fleet.run("keys", "rotate", "timestamp")
    fleet.run("repo", "publish")
    after = metadata.load(Layout(fleet.folder)).root.signed
    for role in ONLINE:
        assert before.roles[role].keyids != after.roles[role].keyids
    assert sorted(path.name for path in fleet.keys.glob("*.replaced-*")) == [
        "snapshot.replaced-1.pem",
        "timestamp.replaced-1.pem",
    ]


def test_between_rotating_and_publishing_the_old_key_goes_on(fleet: Fleet, device: Device) -> None:
    """The daily job renews the timestamp meanwhile."""
    fleet.run("keys", "rotate", "timestamp")
    fleet.run("repo", "refresh")
    device.fetches("app", "0.2.0")
    fleet.run("repo", "publish")
    fleet.run("repo", "refresh")
    device.fetches("app", "0.2.0")


@pytest.mark.slow
def test_a_rotation_that_was_interrupted_is_begun_again(
    fleet: Fleet, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when the new key is made and nothing else."""

    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    for name in ("targets", "app", "root-1"):
        with monkeypatch.context() as patched:
            patched.setattr(metadata, "write", killed)
            assert cli.main(["keys", "rotate", name, "--fleet", str(fleet.folder),
                             "--passphrase-file", str(fleet.passphrase)]) == 130  # fmt: skip
        fleet.run("keys", "rotate", name)
        fleet.run("repo", "publish")
    fleet.release("app", "0.3.0")
    device.fetches("app", "0.3.0")


def test_another_key_under_a_name_is_not_taken(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    other = workshop(fleet, fleet.place / "other").keys
    other.make("app")
    stranger = (fleet.place / "other" / "app.pem").read_bytes()
    (fleet.keys / "app.pem").write_bytes(stranger)
    found = fleet.told(capsys, "keys", "renew", "app")
    assert found["staged"][0]["missing"] == ["app"]
    # Without the line that says which key it is, only opening it tells.
    online = (fleet.keys / "timestamp.pem").read_bytes()
    (fleet.keys / "app.pem").write_bytes(online.split(b"\n", 1)[1])
    fleet.run("repo", "sign", code=1)
    assert "another key than the metadata names" in capsys.readouterr().err
    (fleet.keys / "app.pem").write_bytes(b"no key at all")
    fleet.run("repo", "sign", code=1)
    assert "does not open" in capsys.readouterr().err
    (fleet.keys / "app.pem").chmod(0o644)
    fleet.run("repo", "sign", code=78)
    assert "chmod 600" in capsys.readouterr().err


def test_renewing_gives_a_new_expiry(fleet: Fleet, device: Device) -> None:
    before = metadata.load(Layout(fleet.folder))
    fleet.run("keys", "renew", "root", "targets", "app", "models")
    fleet.run("repo", "publish")
    after = metadata.load(Layout(fleet.folder))
    for role in ("root", "targets", "app", "models"):
        assert after.role(role).signed.version == before.role(role).signed.version + 1
        assert after.role(role).signed.expires >= before.role(role).signed.expires
    device.fetches("app", "0.2.0")


def test_no_key_of_another_name_is_made(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.run("keys", "rotate", "root-4", code=1)
    assert "root-1" in capsys.readouterr().err
    assert not (fleet.folder / "staging").exists()


def test_a_workshop_without_keys_says_which_are_missing(fleet: Fleet) -> None:
    empty = fleet.place / "empty"
    shop = workshop(fleet, empty)
    shop.renew("app")
    (signed,) = shop.sign()
    assert not signed.ready
    assert signed.missing == ("app",)
    with pytest.raises(ToolError, match="app by 1 of app"):
        publish(shop)
