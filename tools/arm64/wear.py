"""Bytes that the agent writes to its disk in a day: both processes on an ext4 file system of their
own, with the bundled clip in a loop; counted by the block device, so that journal and metadata are
in it. Not emulated: what is written does not depend on the processor.

A day is so many windows as its policy makes; windows are short here, so that what is written by
time and not by window is counted too often: the figure is an upper bound.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.base.assets import CLIP
from agent.base.config import StoreConfig
from agent.wall.outbox import Outbox
from tools.common.errors import ToolError
from tools.common.mosquitto import Mosquitto, die_with_parent, terminate

WINDOW = 10
"""Seconds; the shortest that the policy `demo` takes."""
DAY = 96
"""Windows of a quarter of an hour in a day."""
_SIZE = 256 * 2**20
_SECTOR = 512
_START = 120.0
"""Seconds until the first window is written."""


@dataclass(frozen=True, slots=True)
class Wear:
    """What was counted."""

    windows: int
    written: int
    """Bytes, on the device."""
    requests: int

    @property
    def a_day(self) -> float:
        """Bytes, at most."""
        return self.written / self.windows * DAY


def measure(windows: int) -> Wear:
    """Over so many windows. Root. Raises `ToolError`."""
    with tempfile.TemporaryDirectory(prefix="fleeting-wear-") as name, contextlib.ExitStack() as on:
        folder = Path(name)
        place, device = on.enter_context(_disk(folder))
        broker = Mosquitto(folder)
        broker.start()
        on.callback(broker.stop)
        config = folder / "fleeting.toml"
        config.write_text(
            f'[source]\nkind = "file"\ntarget = "{CLIP}"\nloop = true\n'
            f'[privacy]\npolicy = "demo"\nwindow = {WINDOW}\n'
            f'[store]\noutbox = "{place}/outbox/outbox.db"\nwarden = "{place}/warden/warden.json"\n'
            f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
        )
        (place / "warden").mkdir()
        with (folder / "log").open("wb") as log:
            agent = subprocess.Popen(
                [sys.executable, "-P", "-m", "agent.cli", "run", "--config", str(config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent,
            )  # fmt: skip
        on.callback(terminate, agent)
        store = StoreConfig(outbox=place / "outbox" / "outbox.db")
        first = _number(store, 1, agent, _START)
        before = _counted(device)
        last = _number(store, first + windows, agent, 3 * WINDOW * windows)
        after = _counted(device)
    return Wear(last - first, after[1] - before[1], after[0] - before[0])


def _number(store: StoreConfig, wanted: int, agent: subprocess.Popen[bytes], seconds: float) -> int:
    """The number of the next window, once it is `wanted` or more."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and agent.poll() is None:
        if store.outbox.exists():
            with Outbox(store) as outbox:
                if outbox.next_seq >= wanted:
                    return outbox.next_seq
        time.sleep(0.5)
    raise ToolError(f"The agent wrote no window within {seconds:.0f} s. Try: fleeting run.")


def _counted(device: str) -> tuple[int, int]:
    """Write requests, and bytes written, since the device was made (block/stat.rst)."""
    subprocess.run(["sync"], check=False)
    words = (Path("/sys/block") / Path(device).name / "stat").read_text().split()
    return int(words[4]), int(words[6]) * _SECTOR


@contextlib.contextmanager
def _disk(folder: Path) -> Iterator[tuple[Path, str]]:
    """An ext4 image, mounted as the image's recipe mounts the data partition."""
    image, place = folder / "disk.img", folder / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(_SIZE)
    device = ""
    try:
        _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
        device = _run("losetup", "--find", "--show", str(image)).strip()
        _run("mount", "-o", "noatime,nosuid,nodev", device, str(place))
    except (OSError, subprocess.CalledProcessError) as error:
        if device:
            subprocess.run(["losetup", "--detach", device], check=False)
        said = getattr(error, "stderr", "") or str(error)
        raise ToolError(
            f"No file system can be made here: {said.strip()}. It needs root."
        ) from None
    try:
        yield place, device
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)
        subprocess.run(["losetup", "--detach", device], check=False)


def _run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout
