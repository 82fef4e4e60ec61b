"""Trials of the machine: its disk full and damaged, restarts of the whole."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from agent.perceive.camera_exits import ENDS
from tools.common.errors import ToolError
from tools.common.faulty_camera import NAMES
from tools.robustness.booted import journal
from tools.robustness.booted.box import BOTH, DATA, STATE, Box, Disk
from tools.robustness.booted.container import REBOOTS
from tools.robustness.booted.rows import READY, SUMMARY, Row
from tools.robustness.crash import check

FULL = 75.0
"""Seconds for which the disk stays full once that was noticed."""
READ_ONLY = 40.0
NO_SPACE, NO_WRITES = r"(?i)full|space", r"(?i)read-?only|ioerr"
"""What the journal is to name."""
GIVES_UP = 1800.0
"""Seconds for five ends of perceive, each after four tries of a camera."""
LINES_A_MINUTE = 30
"""That a service in trouble may write."""


def full(box: Box, disk: Disk) -> list[Row]:
    """The data partition filled to its last block, and freed."""
    box.new_summary(set(box.arrived()), SUMMARY)
    before, since = box.stored(), time.time()
    restarts = {unit: box.service(unit).restarts for unit in BOTH}
    box.container.run(["sh", "-c", f"cat /dev/zero >{DATA}/fill"], 60.0)
    _noticed(box, NO_SPACE, since)
    time.sleep(FULL)
    states = [box.service(unit).state for unit in BOTH]
    found = box.journal(since)
    known, began = set(box.arrived()), time.monotonic()
    box.container.sure("rm", f"{DATA}/fill")
    back = box.wait(lambda: all(box.active(unit) for unit in BOTH), READY)
    came = back is not None and box.new_summary(known, SUMMARY + 60.0)
    taken = time.monotonic() - began
    again = sum(box.service(unit).restarts - restarts[unit] for unit in BOTH)
    row = _kept(box, before, f"disk full for {FULL:.0f} s", taken if came else None,
                f"{again} restarts meanwhile", came)  # fmt: skip
    return [row, _named(found, "disk full", NO_SPACE, states)]


def _noticed(box: Box, words: str, since: float) -> None:
    """Wait until a service says so in the journal; what needs no room notices nothing."""
    box.wait(lambda: any(re.search(words, each.text) for each in box.journal(since)), SUMMARY)


def _kept(
    box: Box, before: check.Stored, what: str, taken: float | None, seen: str, came: bool
) -> Row:
    """Whether all that was released is there or arrived, byte by byte."""
    box.container.wait(lambda: not _missing(box, before), SUMMARY)
    verdict = _judged(box, before)
    lost = len(verdict.missing)
    aside = check.aside(box.container.root / DATA.lstrip("/") / "outbox.db")
    return Row(what, taken, f"{seen}; {len(box.stored().ledger)} summaries released, {lost} lost"
               + "".join(f"; {each}" for each in (*verdict.violations[:3], *aside)),
               came and not lost and not verdict.violations and not aside)  # fmt: skip


def _judged(box: Box, before: check.Stored) -> check.Verdict:
    arrived = box.arrived()
    return check.judge(box.stored(), arrived, before)


def _missing(box: Box, before: check.Stored) -> bool:
    return bool(_judged(box, before).missing)


def _named(found: list[journal.Entry], what: str, words: str, states: list[str]) -> Row:
    said = [each.text for each in found if re.search(words, each.text)]
    most = max(journal.a_minute(found, unit) for unit in BOTH)
    return Row(f"{what}: what the journal says", None,
               f"perceive {states[0]}, uplink {states[1]}; {len(said)} lines name it, at most "
               f"{most} lines a minute of a service: {said[0][:120] if said else 'nothing'}",
               bool(said) and most <= LINES_A_MINUTE)  # fmt: skip


def read_only(box: Box, disk: Disk) -> list[Row]:
    """The file system finds itself damaged and is read-only from then on, until the next boot; the
    broker is away, so that there is something to keep."""
    box.new_summary(set(box.arrived()), SUMMARY)
    box.container.sure("systemctl", "stop", "mosquitto")
    box.container.wait(lambda: len(box.stored().waiting) >= 2, SUMMARY)
    before, since = box.stored(), time.time()
    disk.fail()
    _noticed(box, NO_WRITES, since)
    time.sleep(READ_ONLY)
    states = [box.service(unit).state for unit in BOTH]
    found = box.journal(since)
    rows = [_named(found, "file system read-only", NO_WRITES, states)]
    known = set(box.arrived())
    boot = box.container.sure("cat", "/proc/sys/kernel/random/boot_id")
    taken = _boot_again(box, lambda: disk.check())
    came = taken is not None and box.new_summary(known, SUMMARY)
    new = box.container.sure("cat", "/proc/sys/kernel/random/boot_id") != boot
    seen = f"{'another' if new else 'the same'} boot id, {len(before.waiting)} had waited"
    return [*rows, _kept(box, before, "reboot, file system repaired", taken, seen, came and new)]


def _boot_again(box: Box, between: Callable[[], None], *, off: bool = True) -> float | None:
    """Switch it off, or wait until it has done so itself; boot it. Seconds until both services are
    ready."""
    if off and box.container.stop() is None:
        raise ToolError("The container does not switch itself off.")
    between()
    began = time.monotonic()
    box.container.boot()
    ready = box.wait(lambda: all(box.active(unit) for unit in BOTH), READY)
    return None if ready is None else time.monotonic() - began


def reboot(box: Box, disk: Disk) -> list[Row]:
    """A camera that hangs for ever, where the site lets perceive ask for a restart of the machine:
    it happens once, and not again within the cap."""
    before, known = box.stored(), set(box.arrived())
    box.use_camera()
    box.restart()
    began = time.monotonic()
    box.break_camera(NAMES.index("hangs in read"), lasting=True)
    code = box.container.ended(GIVES_UP)
    taken = time.monotonic() - began
    box.break_camera(0)
    what = "a camera that hangs for ever asks for a reboot"
    if code is None:
        box.use_file()
        box.restart()
        return [Row(what, None, f"the machine did not restart in {taken:.0f} s", False)]
    ready = _boot_again(box, disk.check, off=False)
    came = ready is not None and box.new_summary(known, SUMMARY)
    seen = f"after {taken:.0f} s and {ENDS} ends of perceive the machine restarted (code {code})"
    rows = [_kept(box, before, what, ready if came else None, seen, came and code == REBOOTS)]
    # Each service has a /proc of its own (ProtectProc=), which shows this machine's.
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    for what, asks, words in (
        ("asked again, within six hours", boot, "less than six hours ago"),
        ("a request of another boot", str(uuid.uuid4()), "or of another boot"),
    ):
        since = time.time()
        _ask(box, asks)
        told = box.wait(lambda w=words, s=since: box.says(w, s), READY)  # type: ignore[misc]
        stays = box.container.ended(10.0) is None
        rows.append(Row(what, None, f"{'refused' if told is not None else 'not refused'} in words, "
                        f"the machine {'stays up' if stays else 'restarted'}",
                        told is not None and stays))  # fmt: skip
        box.container.run(["systemctl", "reset-failed", "fleeting-reboot.service"], 30.0)
    box.use_file()
    box.restart()
    return rows


def _ask(box: Box, boot: str) -> None:
    """As perceive does."""
    write = f"echo fleeting-reboot 1 {boot} >reboot.new && mv reboot.new reboot"
    box.container.sure(
        "runuser", "-u", "fleeting-perceive", "--", "sh", "-c", f"cd {STATE} && {write}"
    )
