"""The product, installed in a booted container: its settings, services, messages and journal."""

from __future__ import annotations

import mmap
import os
import struct
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.host import heartbeat
from tools.common.errors import ToolError
from tools.robustness.booted.container import Container
from tools.robustness.booted.journal import Entry, entries
from tools.robustness.booted.root import HOME, SOURCE
from tools.robustness.crash import check

PERCEIVE, UPLINK = "fleeting-perceive.service", "fleeting-uplink.service"
BOTH = (PERCEIVE, UPLINK)
DATA = "/var/lib/fleeting"
"""Where the outbox is: an ext4 file system of its own here."""
STATE = "/var/lib/fleeting-perceive"
WATCHDOG = 20
"""Seconds, in place of the units' 90 and 120, where a watchdog starves: so that it is short."""
WINDOW = 10
FIRST = 900.0
"""Seconds until the first start is ready: kernels are compiled (the unit's TimeoutStartSec=)."""
_RELEASED = 60.0
"""Seconds until nothing holds a file system that was unmounted."""
_LIBRARY, _CONTROL = "/opt/faulty_camera.so", f"{STATE}/faulty"
_FAULT, _OPENS, _PID, _LASTING = 0, 4, 12, 16
_CLIP = f"{HOME}/agent/base/assets/clip.mp4"
_SETTINGS = """[device]
id = "box-booted"
[source]
{source}
reboot = true
[privacy]
policy = "demo"
microphone = false
window = {window}
visit_gap = 1
[mqtt]
host = "127.0.0.1"
backoff_max = 5.0
"""
_BROKER = "autosave_on_changes true\nautosave_interval 1\n"
"""What it acknowledged is on its disk, also when it is killed."""
LISTENER = "listener.service"
_ARRIVALS = "/var/log/arrivals"
_LISTENER = f"""[Unit]
After=mosquitto.service
[Service]
ExecStart=mosquitto_sub -h 127.0.0.1 -V mqttv5 -c -i booted -q 1 -t fleeting/# -F "%%U %%t %%p"
StandardOutput=append:{_ARRIVALS}
Restart=always
RestartSec=1
[Install]
WantedBy=multi-user.target
"""
FILE = f'kind = "file"\ntarget = "{_CLIP}"\npace = "realtime"\nloop = true'
CAMERA = 'kind = "v4l2"\ntarget = "/dev/video0"\nwidth = 320\nheight = 240\nfps = 15'


@dataclass(frozen=True, slots=True)
class Service:
    """What systemd says of one."""

    state: str
    pid: int
    restarts: int
    result: str


class Box:
    """One container, over its reboots. Raises `ToolError`."""

    def __init__(self, container: Container, library: Path) -> None:
        self.container = container
        self._arrivals = container.root / _ARRIVALS.lstrip("/")
        self._control: mmap.mmap | None = None
        target = container.root / _LIBRARY.lstrip("/")
        target.write_bytes(library.read_bytes())
        target.chmod(0o755)
        (container.root / "etc/mosquitto/conf.d/trial.conf").write_text(_BROKER)
        self.settings(FILE)

    def settings(self, source: str) -> None:
        """Write the site's configuration."""
        path = self.container.root / "etc/fleeting/fleeting.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(_SETTINGS.format(source=source, window=WINDOW))

    def install(self) -> str:
        """As a person does; what it said last."""
        return self.container.sure("sh", f"{SOURCE}/tools/install.sh", timeout=1800.0)

    def use_camera(self) -> None:
        """A camera that fails on request instead of the file, from the next start on."""
        self._drop_in(PERCEIVE, "camera", f"Environment=LD_PRELOAD={_LIBRARY} "
                      f"FAULTY_CONTROL={_CONTROL}")  # fmt: skip
        control = self.container.root / _CONTROL.lstrip("/")
        control.write_bytes(bytes(mmap.PAGESIZE))
        self.container.sure("chown", "fleeting-perceive:", _CONTROL)
        with self.container.path(_CONTROL).open("r+b") as file:
            self._control = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.settings(CAMERA)
        self.container.sure("systemctl", "daemon-reload")

    def use_file(self) -> None:
        """The file again, from the next start on."""
        (self.container.root / f"etc/systemd/system/{PERCEIVE}.d/camera.conf").unlink()
        (self.container.root / _CONTROL.lstrip("/")).unlink()
        self.settings(FILE)
        self.container.sure("systemctl", "daemon-reload")

    def shorter_watchdog(self, seconds: int | None) -> None:
        """For both services, from the next start on; None: that of the units."""
        for unit in BOTH:
            if seconds is not None:
                self._drop_in(unit, "watchdog", f"WatchdogSec={seconds}")
            else:
                (self.container.root / f"etc/systemd/system/{unit}.d/watchdog.conf").unlink()
        self.container.sure("systemctl", "daemon-reload")

    def restart(self) -> None:
        """Both services, until a summary arrives. Raises `ToolError`."""
        known = set(self.arrived())
        self.container.sure("systemctl", "restart", "fleeting.target", timeout=FIRST)
        if not self.new_summary(known, FIRST):
            raise ToolError("No summary arrives after a restart.")

    def _drop_in(self, unit: str, name: str, *lines: str) -> None:
        path = self.container.root / f"etc/systemd/system/{unit}.d/{name}.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("[Service]\n" + "".join(f"{line}\n" for line in lines))

    def break_camera(self, fault: int, *, lasting: bool = False) -> None:
        assert self._control is not None
        struct.pack_into("=I", self._control, _LASTING, int(lasting))
        struct.pack_into("=I", self._control, _FAULT, fault)

    def camera(self, at: int) -> int:
        assert self._control is not None
        return int(struct.unpack_from("=I", self._control, at)[0])

    @property
    def opens(self) -> int:
        return self.camera(_OPENS)

    @property
    def reader(self) -> int:
        """Process id, in the container, of what reads the camera."""
        return self.camera(_PID)

    def service(self, unit: str) -> Service:
        said = self.container.sure(
            "systemctl", "show", unit, "--property=ActiveState,MainPID,NRestarts,Result"
        )
        found = dict(line.partition("=")[::2] for line in said.splitlines())
        return Service(found.get("ActiveState", ""), int(found.get("MainPID", 0)),
                       int(found.get("NRestarts", 0)), found.get("Result", ""))  # fmt: skip

    def active(self, unit: str, other_than: int = 0) -> bool:
        """Whether it is ready, and another process than that one."""
        found = self.service(unit)
        return found.state == "active" and found.pid not in (0, other_than)

    def now(self) -> float:
        """Seconds of CLOCK_BOOTTIME in the container."""
        return float(self.container.sure("cat", "/proc/uptime").split()[0])

    def progress(self) -> float:
        """When a frame was perceived last; seconds of `now`."""
        beat = heartbeat.read(self.container.path("/run/fleeting/perceive"))
        return (beat.progress or 0.0) if beat is not None else 0.0

    def listen(self) -> None:
        """Write down what arrives at the broker, from now on and over interruptions and reboots. A
        unit of the container's own, which ends with it: what is entered from outside is stopped in
        a shutdown, with the nsenter(1) that waits for it, and the container never ends."""
        path = self.container.root / f"etc/systemd/system/{LISTENER}"
        path.write_text(_LISTENER)
        self.container.sure("systemctl", "enable", "--now", LISTENER)

    def summaries(self) -> list[tuple[float, bytes]]:
        """Unix time and bytes of each copy that arrived."""
        try:
            lines = self._arrivals.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        found = [line.split(b" ", 2) for line in lines]
        return [(float(each[0]), each[2]) for each in found
                if len(each) == 3 and each[1].endswith(b"/summary")]  # fmt: skip

    def arrived(self) -> dict[check.Key, list[str]]:
        """SHA-256 of every copy, by (boot, seq)."""
        copies: dict[check.Key, list[str]] = {}
        for _, body in self.summaries():
            copies.setdefault(check.key_of(body), []).append(check.digest(body))
        return copies

    def new_summary(self, known: set[check.Key], seconds: float) -> bool:
        """Wait for one that was not known."""
        return self.container.wait(lambda: bool(set(self.arrived()) - known), seconds)

    def stored(self) -> check.Stored:
        return check.read(self.container.root / DATA.lstrip("/") / "outbox.db")

    def journal(self, since: float = 0.0) -> list[Entry]:
        """Of our units, of all boots, from some Unix time on."""
        said = self.container.sure("journalctl", "--output=json", "--no-pager",
                                   "--output-fields=UNIT,_SYSTEMD_UNIT,MESSAGE,SYSLOG_IDENTIFIER,"
                                   "_COMM,PRIORITY", f"--since=@{int(since)}")  # fmt: skip
        return [each for each in entries(said) if each.time >= since]

    def says(self, words: str, since: float) -> bool:
        return any(words in each.text for each in self.journal(since))

    def wait(self, done: Callable[[], bool], seconds: float) -> float | None:
        """Seconds until something is so; None where it is not."""
        began = time.monotonic()
        return time.monotonic() - began if self.container.wait(done, seconds) else None

    def signal(self, unit: str, name: str) -> int:
        """Send one to the main process; its id."""
        pid = self.service(unit).pid
        if not pid:
            raise ToolError(f"{unit} has no process.")
        self.container.sure("kill", f"-{name}", str(pid))
        return pid

    def leftover(self) -> list[str]:
        """Processes of the product's users."""
        names = "fleeting-perceive,fleeting-uplink,fleeting-update"
        return self.container.run(["pgrep", "-a", "-u", names], 30.0).out.splitlines()


class Disk:
    """The file system below `DATA`: an image on a loop device, mounted before the container is
    booted. Raises `ToolError`."""

    def __init__(self, folder: Path, root: Path, run: Callable[..., str]) -> None:
        self._file, self._place, self._run = folder / "data.img", root / DATA.lstrip("/"), run
        self._place.mkdir(parents=True, exist_ok=True)
        with self._file.open("wb") as file:
            file.truncate(24 * 2**20)
        run("mkfs.ext4", "-q", "-F", str(self._file))
        self.mount()

    def mount(self) -> None:
        self._run("mount", "-o", "loop,errors=remount-ro", str(self._file), str(self._place))

    def check(self) -> None:
        """As a boot does: repair, and mount again."""
        self._run("umount", str(self._place))
        # the kernel takes down the mounts of what has just ended in its own time
        deadline = time.monotonic() + _RELEASED
        while self._run("losetup", "--noheadings", "--associated", str(self._file)).strip():
            if time.monotonic() > deadline:
                raise ToolError(f"{self._file} is still mounted somewhere.")
            time.sleep(0.1)
        done = subprocess.run(["e2fsck", "-p", str(self._file)], capture_output=True, check=False)
        if done.returncode > 1:
            raise ToolError(f"e2fsck could not repair: {done.stdout.decode()[-300:]}")
        self.mount()

    def fail(self) -> None:
        """As when the kernel finds it damaged: it is read-only from now on."""
        device = self._run("findmnt", "-n", "-o", "SOURCE", str(self._place)).strip()
        Path(f"/sys/fs/ext4/{os.path.basename(device)}/trigger_fs_error").write_text("1")

    def close(self) -> None:
        subprocess.run(["umount", str(self._place)], capture_output=True, check=False)
