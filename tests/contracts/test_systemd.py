"""The units: valid, hardened, and started by a command that exists."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.base.config import AgentConfig
from agent.cli import build_parser
from agent.host.reboot import REQUEST
from agent.update.bookkeeper import RESTART

FOLDER = Path(__file__).resolve().parents[2] / "systemd"
UNITS = ("fleeting-perceive.service", "fleeting-uplink.service")
UPDATE = "fleeting-update.service"
ALL = (*UNITS, UPDATE)
TARGET = "fleeting.target"
HELPERS = (
    "fleeting-update.path", "fleeting-update.timer", "fleeting-restart.path",
    "fleeting-restart.service", "media-fleeting.mount", "fleeting-reboot.path",
    "fleeting-reboot.service",
)  # fmt: skip
LAUNCHER = "/opt/fleeting/agent/host/launch.py"
RENEW = ("fleeting-renew.service", "fleeting-renew.timer")
EACH = """
NoNewPrivileges=yes ProtectSystem=strict ProtectHome=yes PrivateTmp=yes PrivateMounts=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes ProtectKernelLogs=yes ProtectControlGroups=yes ProtectHostname=yes
ProtectProc=invisible RestrictNamespaces=yes RestrictRealtime=yes RestrictSUIDSGID=yes
LockPersonality=yes RemoveIPC=yes KeyringMode=private CapabilityBoundingSet= AmbientCapabilities=
SystemCallArchitectures=native SystemCallFilter=@system-service SystemCallErrorNumber=EPERM
DevicePolicy=closed PrivateIPC=yes IPAddressDeny=any LimitCORE=0 MemorySwapMax=0
RestartPreventExitStatus=78 Environment=FLEETING_HEARTBEAT=/run/fleeting
"""
BOTH = f"""
{EACH} UMask=0007
Type=notify NotifyAccess=main PartOf=fleeting.target WantedBy=fleeting.target
"""
PERCEIVE = """
PrivateNetwork=yes SocketBindDeny=any WatchdogSec=90 LimitMEMLOCK=infinity
RestrictAddressFamilies=AF_UNIX TemporaryFileSystem=/run:ro ReadWritePaths=/var/lib/fleeting
CacheDirectory=fleeting-perceive CacheDirectoryMode=0700
RuntimeDirectory=fleeting-perceive RuntimeDirectoryMode=0750 Group=fleeting-kiosk
StateDirectory=fleeting-perceive StateDirectoryMode=0700
"""
GROWING = ("SystemCallFilter", "InaccessiblePaths", "ReadWritePaths", "Environment")
UPLINK = """
PrivateDevices=yes PrivateUsers=yes MemoryDenyWriteExecute=yes ProcSubset=pid SocketBindDeny=any
WatchdogSec=120 StateDirectory=fleeting-uplink StateDirectoryMode=0700 Group=fleeting
"""
UPDATER = """
PrivateDevices=yes PrivateUsers=yes SocketBindDeny=any UMask=0027
StateDirectory=fleeting-update StateDirectoryMode=2750 Group=fleeting User=fleeting-update
ReadWritePaths=/var/lib/fleeting-jobs WantedBy=multi-user.target Restart=on-failure
"""


def settings(unit: str) -> list[tuple[str, str]]:
    lines = (FOLDER / unit).read_text(encoding="utf-8").splitlines()
    return [
        (key, value)
        for key, sign, value in (line.partition("=") for line in lines)
        if sign and not key.startswith("#")
    ]


@pytest.mark.parametrize("unit", ALL)
def test_exec_start_is_a_command_we_have(unit: str) -> None:
    """Begun by the launcher of the base installation, which imports nothing of ours."""
    words = shlex.split(dict(settings(unit))["ExecStart"])
    assert words[:4] == ["/opt/fleeting/.venv/bin/python", "-I", "-S", LAUNCHER]
    assert (FOLDER.parent / Path(LAUNCHER).relative_to("/opt/fleeting")).is_file()
    assert (words[4] == "--confirmed") is (unit == UPDATE)
    folder, *command = words[5:] if unit == UPDATE else words[4:]
    assert Path(folder) == AgentConfig().update.folder
    args = build_parser().parse_args(command)
    assert f"fleeting-{args.verb}.service" == unit
    assert args.config == Path("/etc/fleeting/fleeting.toml")


@pytest.mark.parametrize(
    ("unit", "own"),
    [(UNITS[0], BOTH + PERCEIVE), (UNITS[1], BOTH + UPLINK), (UPDATE, EACH + UPDATER)],
)
def test_every_hardening_setting_is_there(unit: str, own: str) -> None:
    found = settings(unit)
    for line in own.split():
        key, _, value = line.partition("=")
        assert (key, value) in found, line
        # Given once: a later line would take it back. Lists grow.
        assert key in GROWING or [name for name, _ in found].count(key) == 1, key


@pytest.mark.parametrize("unit", ALL)
def test_the_sandbox_of_the_process_is_permitted(unit: str) -> None:
    """Landlock's calls are in none of the groups that systemd 252 knows."""
    filters = [value for key, value in settings(unit) if key == "SystemCallFilter"]
    taken = {word for value in filters if value.startswith("~") for word in value[1:].split()}
    assert {"@privileged", "@resources", "@keyring", "setxattr", "fsetxattr"} <= taken
    assert {"shmget", "shmat", "msgget", "msgsnd", "semget", "semop", "mq_open"} <= taken
    calls = "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self"
    assert calls in filters


def test_perceive_keeps_the_access_it_needs() -> None:
    """ProtectClock= resets the list of devices, Numba compiles to memory, the runtime reads
    /proc/cpuinfo."""
    keys = {key for key, _ in settings(UNITS[0])}
    assert keys.isdisjoint(
        {"ProtectClock", "MemoryDenyWriteExecute", "ProcSubset", "PrivateDevices"}
    )
    devices = [value for key, value in settings(UNITS[0]) if key == "DeviceAllow"]
    assert devices == [f"char-{kind} rw" for kind in ("video4linux", "media", "dma_heap", "alsa")]


@pytest.mark.parametrize("unit", ALL)
def test_the_synchronisation_of_the_clock_can_be_read(unit: str) -> None:
    """adjtimex(2) only reads where nobody holds CAP_SYS_TIME; ProtectClock= forbids even that."""
    found = settings(unit)
    filters = [value for key, value in found if key == "SystemCallFilter"]
    assert filters[-1] == "adjtimex clock_adjtime"  # after @privileged was taken away
    assert ("CapabilityBoundingSet", "") in found
    assert not any(key == "ProtectClock" for key, _ in found)


def test_the_uplink_depends_on_no_other_unit() -> None:
    """Health is reported without a network or with a broken camera."""
    keys = dict(settings(UNITS[1]))
    assert keys["After"] == "network.target"
    assert keys.keys().isdisjoint({"Wants", "Requires", "BindsTo"})


def test_the_target_starts_both() -> None:
    found = dict(settings(TARGET))
    assert found["Wants"].split() == list(UNITS)
    assert found["WantedBy"] == "multi-user.target"


def test_perceive_has_no_network_and_uplink_no_devices() -> None:
    perceive, uplink = settings(UNITS[0]), settings(UNITS[1])
    assert ("PrivateNetwork", "yes") in perceive
    assert ("IPAddressDeny", "any") in perceive
    assert not any(key == "IPAddressAllow" for key, _ in perceive)
    families = dict(perceive)["RestrictAddressFamilies"].split()
    assert not {"AF_INET", "AF_INET6", "AF_PACKET"} & set(families)
    assert ("PrivateDevices", "yes") in uplink
    assert not any(key == "DeviceAllow" for key, _ in uplink)
    assert dict(perceive)["User"] != dict(uplink)["User"]


def test_the_updater_sees_neither_devices_nor_what_was_measured() -> None:
    found = settings(UPDATE)
    hidden = " ".join(value for key, value in found if key == "InaccessiblePaths").split()
    assert {"-/var/lib/fleeting", "-/var/lib/fleeting-uplink"} <= set(hidden)
    assert ("PrivateDevices", "yes") in found
    assert not any(key == "DeviceAllow" for key, _ in found)
    users = {dict(settings(unit))["User"] for unit in ALL}
    assert len(users) == 3
    hidden = " ".join(v for k, v in settings(UNITS[0]) if k == "InaccessiblePaths").split()
    assert "-/var/lib/fleeting-jobs" in hidden


def test_each_service_writes_its_own_sign_of_life_and_no_other() -> None:
    perceive = dict(settings(UNITS[0]))["BindPaths"].split()
    own = "/run/fleeting-perceive -/run/fleeting/perceive -/run/fleeting/perceive.starts"
    assert perceive == own.split()
    uplink = " ".join(value for key, value in settings(UNITS[1]) if key == "ReadWritePaths")
    assert "-/run/fleeting/uplink -/run/fleeting/uplink.starts" in uplink
    assert "perceive" not in uplink
    lines = (FOLDER / "tmpfiles.conf").read_text(encoding="utf-8")
    assert "d /run/fleeting 0755 root root" in lines
    for name in ("perceive", "uplink"):
        for file in (name, f"{name}.starts"):
            assert f"f /run/fleeting/{file} 0640 fleeting-{name} fleeting-update" in lines


def test_the_updater_may_read_the_signs_of_life() -> None:
    """A user's own group is not among a service's where `Group=` names another one."""
    found = dict(settings(UPDATE))
    members = [line.split() for line in (FOLDER / "sysusers.conf").read_text().splitlines()]
    groups = {group for kind, user, group, *_ in (each for each in members if len(each) > 2)
              if kind == "m" and user == found["User"]}  # fmt: skip
    groups |= {found["Group"], *found["SupplementaryGroups"].split()}
    lines = (FOLDER / "tmpfiles.conf").read_text(encoding="utf-8").splitlines()
    read_by = {line.split()[4] for line in lines if line.startswith("f /run/fleeting/")}
    assert len(read_by) == 1
    assert read_by <= groups
    assert groups == {"fleeting", "fleeting-jobs", "fleeting-update"}


def test_what_restarts_the_machine_is_roots_and_has_a_record_of_its_own() -> None:
    found = dict(settings("fleeting-reboot.service"))
    words = shlex.split(found["ExecStart"])
    assert words[:3] == ["/opt/fleeting/.venv/bin/python", "-I", "-S"]
    program, asked, state, site = words[3:]
    assert (FOLDER.parent / Path(program).relative_to("/opt/fleeting")).is_file()
    assert Path(state) == Path("/var/lib") / found["StateDirectory"]
    assert found["StateDirectoryMode"] == "0700"
    assert site == "/etc/fleeting/fleeting.toml"
    perceive = dict(settings(UNITS[0]))
    assert Path(asked) == Path("/var/lib") / perceive["StateDirectory"] / REQUEST
    assert dict(settings("fleeting-reboot.path"))["PathChanged"] == asked
    # it is stopped by the restart that it asks for
    assert found["SuccessExitStatus"] == "SIGTERM"
    assert found["PrivateNetwork"] == "yes"
    assert found["CapabilityBoundingSet"] == "CAP_DAC_OVERRIDE"
    written = " ".join(value for key, value in settings(UNITS[0]) if key == "ReadWritePaths")
    assert found["StateDirectory"] not in written


def test_what_restarts_the_services_reads_nothing_and_has_no_network() -> None:
    found = dict(settings("fleeting-restart.service"))
    # Nothing is waited for: a request meanwhile, such as that of a roll-back, would be lost. And a
    # target whose services still start is not active: try-restart of it alone does nothing.
    each = " ".join((*UNITS, TARGET))
    assert found["ExecStart"] == f"/usr/bin/systemctl --no-block try-restart {each}"
    assert found["PrivateNetwork"] == "yes"
    assert found["CapabilityBoundingSet"] == ""
    watched = dict(settings("fleeting-restart.path"))["PathChanged"]
    assert Path(watched) == AgentConfig().update.folder / RESTART
    jobs = dict(settings("fleeting-update.path"))["PathChanged"]
    assert Path(jobs) == AgentConfig().update.exchange / "job.json"


def test_the_updater_is_started_now_and_then_even_where_it_has_not_run() -> None:
    found = dict(settings("fleeting-update.timer"))
    assert found["OnUnitInactiveSec"] == "1h"
    assert "OnActiveSec" in found


def test_a_stick_is_mounted_to_be_read_only() -> None:
    found = dict(settings("media-fleeting.mount"))
    assert set(found["Options"].split(",")) == {"ro", "nosuid", "nodev", "noexec"}
    assert found["Wants"] == found["Before"] == UPDATE


def test_perceive_sees_no_socket_of_another_service() -> None:
    """Not even by its name: /run is its own. What it is told and tells by socket is inherited or
    made before it enters its sandbox."""
    perceive = dict(settings(UNITS[0]))
    bound = [each.lstrip("-") for each in perceive["BindReadOnlyPaths"].split()]
    assert bound == ["/run/systemd/notify", "/run/udev/data", "/run/systemd/timesync"]
    assert not perceive["BindReadOnlyPaths"].startswith("-")  # READY would be lost unseen
    hidden = dict(settings(UNITS[0]))["InaccessiblePaths"].split()
    assert {"-/dev/shm", "-/dev/mqueue"} <= set(hidden)


def test_the_uplink_sees_name_services_and_no_other() -> None:
    hidden = {
        path
        for key, value in settings(UNITS[1])
        if key == "InaccessiblePaths"
        for path in value.split()
    }
    for path in ("/run/systemd/journal", "/run/dbus", "/run/user", "/run/docker.sock", "/dev/shm"):
        assert f"-{path}" in hidden
    for path in ("/run", "/run/systemd", "/run/systemd/resolve", "/run/nscd", "/run/avahi-daemon"):
        assert f"-{path}" not in hidden


@pytest.mark.parametrize("unit", ALL)
def test_what_is_said_to_the_journal_is_limited(unit: str) -> None:
    found = dict(settings(unit))
    assert found["LogRateLimitIntervalSec"] == "60s"
    assert int(found["LogRateLimitBurst"]) <= 200


@pytest.mark.parametrize("unit", ALL)
def test_core_dumps_and_swapping_are_disabled(unit: str) -> None:
    assert {("LimitCORE", "0"), ("MemorySwapMax", "0")} <= set(settings(unit))


def test_kernels_have_a_place_for_their_cache() -> None:
    perceive = settings(UNITS[0])
    assert ("Environment", "NUMBA_CACHE_DIR=/var/cache/fleeting-perceive/numba") in perceive
    assert ("CacheDirectory", "fleeting-perceive") in perceive


def test_the_renewal_is_shut_in_as_the_uplink_is() -> None:
    """The same user and the same walls; its own folder, and no other, may be written."""
    renewal, uplink = settings(RENEW[0]), settings(UNITS[1])
    own = {"Description", "After", "ConditionPathExists", "Type", "ExecStart", "UMask",
           "StateDirectory", "SuccessExitStatus", "TimeoutStartSec"}  # fmt: skip
    walls = [each for each in uplink if each[0] not in own]
    for each in ("PartOf", "StartLimitIntervalSec", "NotifyAccess", "WatchdogSec", "Restart",
                 "RestartSec", "RestartPreventExitStatus", "KillSignal", "TimeoutStopSec",
                 "ReadWritePaths", "WantedBy", "Environment"):  # fmt: skip
        walls = [(key, value) for key, value in walls if key != each]
    assert len(walls) > 40
    assert [each for each in renewal if each[0] not in own] == walls
    found = dict(renewal)
    assert (found["StateDirectory"], found["UMask"]) == ("fleeting-enrol", "0077")
    assert found["SuccessExitStatus"] == "75"
    words = shlex.split(found["ExecStart"])
    assert words[3:6] == [LAUNCHER, "--confirmed", "/var/lib/fleeting-update"]
    args = build_parser().parse_args(words[6:])
    assert (args.verb, args.renew, args.wait) == ("enrol", True, None)
    assert args.folder == Path("/var/lib/fleeting-enrol")
    timer = dict(settings(RENEW[1]))
    assert (timer["OnCalendar"], timer["Persistent"]) == ("daily", "yes")
    assert timer["WantedBy"] == TARGET


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for name in (*ALL, TARGET, *HELPERS, *RENEW):
        text = (FOLDER / name).read_text(encoding="utf-8")
        # The command is not installed where tests run; verify would stop at that.
        text = text.replace("/opt/fleeting/.venv/bin/python", "/bin/true")
        text = text.replace("/usr/bin/systemctl", "/bin/true")
        (tmp_path / name).write_text(text, encoding="utf-8")
    copies = [str(tmp_path / name) for name in (*ALL, TARGET, *HELPERS, *RENEW)]
    verify = ["systemd-analyze", "verify", "--recursive-errors=no", *copies]
    done = subprocess.run(verify, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "fleeting" not in done.stderr
    for unit in (*ALL, "fleeting-restart.service", RENEW[0]):
        exposure = ["systemd-analyze", "security", "--offline=true", "--threshold=15"]
        done = subprocess.run(
            [*exposure, str(tmp_path / unit)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
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
    for name in ("fleeting", "fleeting-kiosk", "fleeting-perceive", "fleeting-uplink",
                 "fleeting-update", "fleeting-jobs"):  # fmt: skip
        assert name in done.stdout + done.stderr
    lines = (FOLDER / "tmpfiles.conf").read_text(encoding="utf-8")
    assert "d /var/lib/fleeting 2770 fleeting-perceive fleeting" in lines
    assert "f /var/lib/fleeting/outbox.db 0660 fleeting-perceive fleeting" in lines
    assert "d /var/lib/fleeting-update 2750 fleeting-update fleeting" in lines
    assert "d /var/lib/fleeting-jobs 2770 fleeting-uplink fleeting-jobs" in lines
    assert "d /var/lib/fleeting-enrol 0700 fleeting-uplink fleeting" in lines
