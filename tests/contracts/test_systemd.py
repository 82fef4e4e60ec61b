"""The two units: valid, hardened, and started by a command that exists."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.cli import build_parser

FOLDER = Path(__file__).resolve().parents[2] / "systemd"
UNITS = ("fleeting-perceive.service", "fleeting-uplink.service")


def settings(unit: str) -> list[tuple[str, str]]:
    lines = (FOLDER / unit).read_text(encoding="utf-8").splitlines()
    return [
        (key, value)
        for key, sign, value in (line.partition("=") for line in lines)
        if sign and not key.startswith("#")
    ]


@pytest.mark.parametrize("unit", UNITS)
def test_exec_start_is_a_command_we_have(unit: str) -> None:
    words = shlex.split(dict(settings(unit))["ExecStart"])
    assert words[0] == "/opt/fleeting/.venv/bin/fleeting"
    args = build_parser().parse_args(words[1:])
    assert f"fleeting-{args.verb}.service" == unit
    assert args.config == Path("/etc/fleeting/fleeting.toml")


def test_the_half_that_sees_has_no_network_and_the_half_that_talks_no_devices() -> None:
    perceive, uplink = settings(UNITS[0]), settings(UNITS[1])
    assert ("PrivateNetwork", "yes") in perceive
    assert ("IPAddressDeny", "any") in perceive
    assert not any(key == "IPAddressAllow" for key, _ in perceive)
    families = dict(perceive)["RestrictAddressFamilies"].split()
    assert not {"AF_INET", "AF_INET6", "AF_PACKET"} & set(families)
    assert ("PrivateDevices", "yes") in uplink
    assert not any(key == "DeviceAllow" for key, _ in uplink)
    assert dict(perceive)["User"] != dict(uplink)["User"]


@pytest.mark.parametrize("unit", UNITS)
def test_no_picture_can_reach_the_disk_by_a_crash_or_by_swapping(unit: str) -> None:
    assert {("LimitCORE", "0"), ("MemorySwapMax", "0")} <= set(settings(unit))


def test_kernels_have_a_place_for_their_cache() -> None:
    perceive = settings(UNITS[0])
    assert ("Environment", "NUMBA_CACHE_DIR=/var/cache/fleeting-perceive/numba") in perceive
    assert ("CacheDirectory", "fleeting-perceive") in perceive


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_takes_every_line(unit: str, tmp_path: Path) -> None:
    text = (FOLDER / unit).read_text(encoding="utf-8")
    # The command is not installed where tests run; verify would stop at that.
    copy = tmp_path / unit
    copy.write_text(text.replace("/opt/fleeting/.venv/bin/fleeting", "/bin/true"), encoding="utf-8")
    verify = ["systemd-analyze", "verify", "--recursive-errors=no", str(copy)]
    done = subprocess.run(verify, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert unit not in done.stderr
    exposure = ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(copy)]
    done = subprocess.run(exposure, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-400:]


@pytest.mark.skipif(
    not (shutil.which("systemd-sysusers") and shutil.which("systemd-tmpfiles")),
    reason="systemd's own tools are not installed",
)
def test_users_and_folders_are_made_as_written(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    root = f"--root={tmp_path}"
    users = ["systemd-sysusers", "--dry-run", root, str(FOLDER / "sysusers.conf")]
    done = subprocess.run(users, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("fleeting", "fleeting-perceive", "fleeting-uplink"):
        assert name in done.stdout + done.stderr
    lines = (FOLDER / "tmpfiles.conf").read_text(encoding="utf-8")
    assert "d /var/lib/fleeting 2770 fleeting-perceive fleeting" in lines
    assert "f /var/lib/fleeting/outbox.db 0660 fleeting-perceive fleeting" in lines
