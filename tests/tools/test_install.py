"""tools/install.sh, into an image: complete, the same when repeated, and gone again."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest

from agent.base.settings_file import load

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "tools/install.sh"
UNITS = (
    "fleeting-perceive.service", "fleeting-uplink.service", "fleeting.target",
    "fleeting-update.service", "fleeting-update.path", "fleeting-update.timer",
    "fleeting-restart.path", "fleeting-restart.service", "media-fleeting.mount",
    "fleeting-renew.service", "fleeting-renew.timer", "fleeting-reboot.path",
    "fleeting-reboot.service",
)  # fmt: skip

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("sh", "tar", "awk", "comm"))), reason="a tool of POSIX is missing"
)


def install(
    clone: Path, *options: str, path: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(clone / SCRIPT), *options], capture_output=True, text=True, timeout=60,
        check=False, env={**os.environ, "PATH": path or os.environ["PATH"]},
    )  # fmt: skip


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (stat.S_IMODE(path.stat().st_mode), path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A small one, without Git: as from an archive."""
    folder = tmp_path / "a clone"
    for name in (SCRIPT, *(f"systemd/{each.name}" for each in (ROOT / "systemd").iterdir())):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name in ("agent/old.py", "agent/new name.py", ".venv/junk", "agent/__pycache__/x.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def image(tmp_path: Path) -> Path:
    folder = tmp_path / "an image"
    folder.mkdir()
    return folder


def test_installed_twice_is_installed_once(clone: Path, image: Path) -> None:
    done = install(clone, "--root", str(image))
    assert done.returncode == 0, done.stderr
    first = snapshot(image)
    for name in UNITS:
        unit = 0o644, (clone / "systemd" / name).read_bytes()
        assert first[f"etc/systemd/system/{name}"] == unit
    assert {"etc/sysusers.d/fleeting.conf", "etc/tmpfiles.d/fleeting.conf"} <= set(first)
    assert first["etc/fleeting/fleeting.toml"][0] == 0o640
    assert first["opt/fleeting/agent/new name.py"][1] == b"agent/new name.py"
    assert not [name for name in first if ".venv" in name or "pycache" in name]
    assert install(clone, "--root", str(image)).returncode == 0
    assert snapshot(image) == first


def test_an_upgrade_keeps_the_settings_and_removes_what_is_gone(clone: Path, image: Path) -> None:
    install(clone, "--root", str(image))
    settings = image / "etc/fleeting/fleeting.toml"
    settings.write_text('[device]\nid = "mine"\n')
    added = image / "opt/fleeting/.venv"
    added.mkdir()
    (clone / "agent/old.py").unlink()
    (clone / "agent/newer.py").touch()
    assert install(clone, "--root", str(image)).returncode == 0
    assert settings.read_text() == '[device]\nid = "mine"\n'
    code = image / "opt/fleeting/agent"
    assert sorted(each.name for each in code.iterdir()) == ["new name.py", "newer.py"]
    assert added.is_dir()


def test_another_clone_takes_what_an_update_had_installed_out_of_force(
    clone: Path, image: Path
) -> None:
    """Run again as it was, to change an address, it must not."""
    install(clone, "--root", str(image))
    slots = image / "var/lib/fleeting-update"
    for name in ("a", "trust"):
        (slots / name).mkdir(parents=True)
    (slots / "current").symlink_to("a")
    done = install(clone, "--root", str(image), "--updates", "192.0.2.8")
    assert done.returncode == 0, done.stderr
    assert (slots / "current").is_symlink()
    unit = image / "etc/systemd/system/fleeting-update.service.d/host.conf"
    assert "IPAddressAllow=localhost 192.0.2.8\n" in unit.read_text()
    (clone / "agent/old.py").write_text("another release")
    assert install(clone, "--root", str(image)).returncode == 0
    assert [each.name for each in slots.iterdir()] == ["trust"]


def test_uninstalled_leaves_settings_and_state_unless_purged(clone: Path, image: Path) -> None:
    install(clone, "--root", str(image), "--broker", "192.0.2.7")
    for name in ("fleeting", "fleeting-uplink", "fleeting-enrol", "fleeting-update/trust",
                 "fleeting-update/a"):  # fmt: skip
        (image / "var/lib" / name).mkdir(parents=True)
        (image / "var/lib" / name / "kept").touch()
    (image / "var/lib/fleeting-update/current").symlink_to("a")
    done = install(clone, "--root", str(image), "--uninstall")
    assert done.returncode == 0, done.stderr
    state = "var/lib/fleeting-update/trust/kept"  # not what ran, but what it may not go back to
    kept = {f"var/lib/{name}/kept" for name in ("fleeting", "fleeting-uplink", "fleeting-enrol")}
    kept.add(state)
    assert set(snapshot(image)) == {"etc/fleeting/fleeting.toml", *kept}
    for more in ([], ["--purge"]):
        assert install(clone, "--root", str(image), "--uninstall", *more).returncode == 0
    assert snapshot(image) == {}


def test_a_dry_run_says_it_all_and_changes_nothing(clone: Path, image: Path) -> None:
    done = install(clone, "--root", str(image), "--dry-run", "--broker", "192.0.2.7")
    assert done.returncode == 0, done.stderr
    for name in (*UNITS, "fleeting.toml", "broker.conf", "sysusers.d/fleeting.conf"):
        assert f"{name}\n" in done.stdout
    assert list(image.iterdir()) == []
    install(clone, "--root", str(image))
    before = snapshot(image)
    done = install(clone, "--root", str(image), "--dry-run", "--uninstall", "--purge")
    assert f"rm -rf -- {image}/opt/fleeting\n" in done.stdout
    assert snapshot(image) == before


def test_a_dry_run_on_this_machine_needs_no_privileges(clone: Path) -> None:
    done = install(clone, "--dry-run")
    assert done.returncode == 0, done.stderr
    for command in ("setup-venv", "systemd-sysusers", "daemon-reload", "enable fleeting.target"):
        assert command in done.stdout


def test_nothing_is_left_that_starts_the_updater_when_it_is_stopped(clone: Path) -> None:
    done = install(clone, "--dry-run")
    (line,) = (each for each in done.stdout.splitlines() if "systemctl enable " in each)
    names = line.split()
    service = names.index("fleeting-update.service")
    assert names.index("fleeting-update.path") < service
    assert names.index("fleeting-update.timer") < service


@pytest.mark.skipif(not (ROOT / ".git").exists() or not shutil.which("git"), reason="no Git here")
def test_what_git_tracks_is_what_is_copied(image: Path) -> None:
    done = install(ROOT, "--root", str(image), "--dry-run")
    assert done.returncode == 0, done.stderr
    tracked = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "ls-files", "-z"],
        capture_output=True,
        check=True,
    ).stdout.split(b"\0")
    there = [name for name in tracked if name and (ROOT / os.fsdecode(name)).is_file()]
    assert f"would copy: {len(there)} files" in done.stdout


def test_the_brokers_filter_takes_the_place_of_the_default(clone: Path, image: Path) -> None:
    install(clone, "--root", str(image), "--broker", "2001:db8::7")
    lines = (image / "etc/systemd/system/fleeting-uplink.service.d/broker.conf").read_text()
    wanted = ["[Service]", "IPAddressAllow=", "IPAddressAllow=localhost 2001:db8::7"]
    assert lines.splitlines()[1:] == wanted


def test_the_settings_written_are_the_defaults_and_every_key_exists(
    clone: Path, image: Path, tmp_path: Path
) -> None:
    install(clone, "--root", str(image))
    written = image / "etc/fleeting/fleeting.toml"
    assert not any(tomllib.loads(written.read_text()).values())
    assert load(written)
    lines = written.read_text().splitlines()
    active = tmp_path / "active.toml"
    active.write_text(
        "\n".join(line.removeprefix("# ") if " = " in line else line for line in lines)
        .replace("tls = false", "tls = true")
    )  # fmt: skip
    given = tomllib.loads(active.read_text())
    assert given["mqtt"]["key_file"]
    default, found = load(written), load(active)
    for name in ("device", "source", "privacy"):
        assert getattr(found, name) == getattr(default, name)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--frob"], "unknown option --frob"),
        (["--root"], "--root needs a value"),
        (["--root", "/no/such/folder"], "no such folder"),
        (["--purge"], "--purge goes with --uninstall"),
        (["--broker", "mqtt.example.org"], "takes an IP address, not 'mqtt.example.org'"),
        (["--broker", "1.2.3.4 0.0.0.0/0"], "takes an IP address"),
    ],
)
def test_mistakes_are_named(options: list[str], said: str, clone: Path) -> None:
    done = install(clone, *options)
    assert done.returncode == 1
    assert said in done.stderr


def test_too_little_space_is_found_first(clone: Path, image: Path, tmp_path: Path) -> None:
    df = tmp_path / "df"
    df.write_text("#!/bin/sh\necho Filesystem\necho /dev/x 100 50 50 50% /\n")
    df.chmod(0o755)
    done = install(clone, "--root", str(image), path=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "100 MB are needed, 0 MB are free" in done.stderr
    assert list(image.iterdir()) == []


@pytest.mark.skipif(Path("/run/systemd/system").is_dir(), reason="systemd runs this machine")
def test_without_systemd_it_says_what_to_do_instead(clone: Path) -> None:
    done = install(clone, "--no-venv", "--no-start")
    assert done.returncode == 1
    assert "Only root" in done.stderr or "not run by systemd" in done.stderr


@pytest.mark.parametrize("script", ["install.sh", "setup-venv", "run-demo", "run-tests"])
def test_the_script_is_sound(script: str) -> None:
    """Read, not run, by the shell; the long one also by shellcheck where that is installed."""
    readers = [["sh", "-n"]]
    if script == "install.sh" and shutil.which("shellcheck"):
        readers.append(["shellcheck"])
    for reader in readers:
        command = [*reader, str(ROOT / "tools" / script)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
