"""The probes, against simulated systems."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.host.sandbox import probe

HEAD = "Inter-|   Receive\n face |bytes\n"


@pytest.mark.parametrize(
    ("names", "alone"),
    [
        (["lo"], True),
        ([], True),
        (["lo", "sit0", "ip6tnl0"], True),
        (["lo", "eth0"], False),
        (["wlan0"], False),
    ],
)
def test_a_namespace_of_its_own_holds_loopback_only(
    names: list[str], alone: bool, tmp_path: Path
) -> None:
    table = tmp_path / "dev"
    table.write_text(HEAD + "".join(f"{name:>6}: 0 0\n" for name in names))
    assert probe.alone_in_network(table) is alone
    assert not probe.alone_in_network(tmp_path / "absent")


@pytest.mark.parametrize(
    ("group", "seccomp", "privileges", "invocation", "found"),
    [
        ("0::/system.slice/fleeting-perceive.service", 2, 1, "1f", True),
        ("0::/user.slice/user-1000.slice/session-2.scope", 2, 1, "1f", False),
        ("0::/system.slice/fleeting-perceive.service", 0, 1, "1f", False),
        ("0::/system.slice/fleeting-perceive.service", 2, 0, "1f", False),
        ("0::/system.slice/fleeting-perceive.service", 2, 1, None, False),
    ],
)
def test_systemd_counts_only_with_its_hardening(
    group: str,
    seccomp: int,
    privileges: int,
    invocation: str | None,
    found: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status = {"Seccomp": seccomp, "NoNewPrivs": privileges}
    monkeypatch.setattr(probe, "status", status.__getitem__)
    monkeypatch.delenv("INVOCATION_ID", raising=False)
    if invocation:
        monkeypatch.setenv("INVOCATION_ID", invocation)
    groups = tmp_path / "cgroup"
    groups.write_text(f"12:devices:/\n{group}\n")
    assert probe.under_systemd(groups) is found


def test_a_device_that_opens_is_a_device_too_many(tmp_path: Path) -> None:
    assert probe.devices(tmp_path) == [tmp_path / "video0"]
    assert probe.no_device(probe.devices(tmp_path))
    (tmp_path / "video1").symlink_to("/dev/null")
    assert not probe.no_device(probe.devices(tmp_path))


def test_a_file_that_can_be_made_is_found_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not probe.no_file_outside([])
    assert list(tmp_path.iterdir()) == []
    monkeypatch.delenv("HOME", raising=False)
    assert probe.no_file_outside([Path("/")])


def test_this_process_is_in_no_sandbox() -> None:
    """Else the tests of the sandbox would prove nothing."""
    assert not probe.no_internet_socket()
    assert not probe.no_connection_elsewhere()
    assert not probe.no_file_outside([Path(os.devnull)])
