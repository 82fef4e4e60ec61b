"""What is done to the booted device, and how its recovery is seen.

Recovered means: the service is ready again as another process, or the same one goes on, and a
summary that was not there before arrives at the broker.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.perceive.camera_exits import ENDS
from tools.common.errors import ToolError
from tools.robustness.booted import journal
from tools.robustness.booted.box import BOTH, DATA, FIRST, PERCEIVE, STATE, WATCHDOG, Box, Disk
from tools.robustness.booted.container import REBOOTS
from tools.robustness.booted.journal import Allowed
from tools.robustness.booted.root import run
from tools.robustness.camera.device import NAMES
from tools.robustness.crash import check

SUMMARY = 90.0
"""Seconds until a summary that is due has arrived: a window, its delay, a connection made anew."""
READY = 180.0
"""Seconds until a service that starts again is ready."""
STARVED = WATCHDOG + 20 + 5 + READY
"""The watchdog's time, TimeoutStopSec=, RestartSec=, and a start."""
FULL = 75.0
"""Seconds for which the disk stays full."""
READ_ONLY = 40.0
GIVES_UP = 480.0
"""Seconds for five ends of perceive, each after four tries of a camera."""
AWAY = 20.0
SERVICES = tuple(f"fleeting-{name}.service" for name in (
    "perceive", "uplink", "update", "renew", "restart", "reboot"))  # fmt: skip
WELL = 12.0
"""Seconds of frames after which a camera counts as well again."""
LINES_A_MINUTE = 30
"""That a service in trouble may write."""
ALLOWED = (
    Allowed(r"Watchdog timeout \(limit", "a stopped process: killed by the watchdog"),
    Allowed(r"(Killing|Sending signal).*SIG(ABRT|KILL)|Killing process", "its end by systemd"),
    Allowed(r"Main process exited, code=(killed|dumped), status=(9/KILL|6/ABRT)",
            "a process that was killed"),
    Allowed(r"Failed with result '(signal|watchdog|core-dump)'", "a process that was killed"),
    Allowed(r"State 'stop-watchdog' timed out", "a stopped process does not end at SIGABRT"),
    Allowed(r"Main process exited, code=exited, status=1/FAILURE|Failed with result 'exit-code'",
            "perceive that ends for its camera or its disk; a reboot that is refused"),
    Allowed(r"Failed to start fleeting-reboot.service", "a reboot that is refused"),
)  # fmt: skip
"""Warnings of systemd that the faults bring with them."""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was tried."""

    what: str
    seconds: float | None
    """Until it was recovered from; None where it never was, or there is nothing to wait for."""
    seen: str
    passed: bool


def first(box: Box) -> Row:
    """Installed and started for the first time. Raises `ToolError`."""
    began = time.monotonic()
    box.listen()
    box.install()
    ready = box.wait(lambda: all(box.active(unit) for unit in BOTH), FIRST)
    came = ready is not None and box.new_summary(set(), SUMMARY)
    seconds = time.monotonic() - began
    return Row("install.sh, first start, kernels compiled", seconds if came else None,
               f"both units active {'and ready' if ready is not None else '- never'}, "
               f"{len(box.arrived())} summaries arrived", came)  # fmt: skip


def units(box: Box, disk: Disk) -> list[Row]:
    """How they stand once started."""
    listed = box.container.sure(
        "systemctl", "list-units", "fleeting*", "--all", "--plain", "--no-legend", "--no-pager"
    )
    states = {line.split()[0]: line.split()[2] for line in listed.splitlines()}
    failed = box.container.sure("systemctl", "--failed", "--plain", "--no-legend").split()
    whole = box.container.run(["systemctl", "is-system-running"], 30.0).out.strip()
    wanted = {*BOTH, "fleeting.target", "fleeting-restart.path", "fleeting-reboot.path",
              "fleeting-update.path", "fleeting-update.timer", "fleeting-renew.timer"}  # fmt: skip
    missing = sorted(each for each in wanted if states.get(each) != "active")
    found = box.journal()
    remarks, wrong = journal.remarks(found), journal.broken(found)
    calm = journal.unexpected(found, ())
    cage = [each.text.partition(": ")[2] for each in found if "Network " in each.text]
    opened = [each.text for each in found if "Not closed to this process" in each.text]
    return [
        Row("all units", None, f"{len(wanted) - len(missing)} active, {len(failed)} failed, the "
            f"system is {whole}" + "".join(f"; not active: {each}" for each in missing),
            not missing and not failed and whole == "running"),
        Row("journal before any fault", None,
            "; ".join([*remarks, *wrong, *calm][:4]) or f"{len(found)} lines of our units, none a "
            "warning or a remark of systemd", not (remarks or wrong or calm)),
        Row("sandbox of perceive, below the unit's", None, "; ".join([*cage[:1], *opened[:2]]),
            bool(cage) and not opened),
    ]  # fmt: skip


def camera(box: Box, disk: Disk) -> list[Row]:
    """The camera's process killed and hung; then a camera that hangs for ever."""
    box.use_camera()
    known, began = set(box.arrived()), time.monotonic()
    try:
        box.container.sure("systemctl", "restart", "fleeting.target", timeout=READY)
        ready = time.monotonic() - began
        came = box.new_summary(known, SUMMARY)
        rows = [Row("a camera in place of the film", ready if came else None,
                    "perceive ready, a summary arrived", came)]  # fmt: skip
        rows.append(_reader(box, "kill -9 of the process that reads the camera", lambda: box.
                            container.sure("kill", "-9", str(box.reader))))  # fmt: skip
        for name in ("hangs in read", "hangs in open", "crashes"):
            rows.append(_reader(box, f"a camera that {name}",
                                lambda name=name: box.break_camera(NAMES.index(name))))  # type: ignore[misc]  # fmt: skip
        rows.append(_gives_up(box))
    finally:
        box.use_file()
        box.restart()
    return rows


def _reader(box: Box, what: str, strike: Callable[[], object]) -> Row:
    time.sleep(WELL)
    before, opens = box.service(PERCEIVE), box.opens
    strike()

    def back() -> bool:
        return box.opens > opens and box.progress() > box.now() - 1.0

    taken = box.wait(back, 45.0)
    after = box.service(PERCEIVE)
    same = (after.pid, after.restarts) == (before.pid, before.restarts)
    return Row(what, taken, f"frames are perceived by the {'same' if same else 'restarted'} "
               f"process {after.pid}", taken is not None and taken < 15.0 and same)  # fmt: skip


def _gives_up(box: Box) -> Row:
    time.sleep(WELL)
    since, before = time.time(), box.service(PERCEIVE)
    known = set(box.arrived())
    began = time.monotonic()
    box.break_camera(NAMES.index("hangs in read"), lasting=True)
    ended = box.wait(lambda: box.service(PERCEIVE).restarts > before.restarts, 120.0)
    said = box.says("times in a row; this process ends", since)
    box.break_camera(0)
    back = box.wait(lambda: box.active(PERCEIVE, before.pid), READY)
    came = back is not None and box.new_summary(known, SUMMARY)
    return Row("a camera that hangs for ever", time.monotonic() - began if came else None,
               f"perceive {'ended by itself after' if said else 'did not end by itself in'} "
               f"{ended or 120.0:.0f} s and was restarted",
               ended is not None and said and came)  # fmt: skip


def watchdog(box: Box, disk: Disk) -> list[Row]:
    """A main process that is stopped: nothing feeds its watchdog, whose time is shorter here."""
    box.shorter_watchdog(WATCHDOG)
    try:
        box.restart()
        return [_restarted(box, unit, "STOP", "watchdog", STARVED) for unit in BOTH]
    finally:
        box.shorter_watchdog(None)
        box.restart()


def killed(box: Box, disk: Disk) -> list[Row]:
    """kill -9 of each, and of the broker."""
    rows = [_restarted(box, unit, "KILL", "killed", READY) for unit in BOTH]
    known, began = set(box.arrived()), time.monotonic()
    box.container.sure("systemctl", "kill", "--signal=KILL", "mosquitto")
    box.container.sure("systemctl", "stop", "mosquitto")
    time.sleep(AWAY)
    box.container.sure("systemctl", "restart", "mosquitto")
    came = box.new_summary(known, SUMMARY)
    state = {unit: box.service(unit).state for unit in BOTH}
    taken = time.monotonic() - began - AWAY
    rows.append(Row(f"kill -9 of the broker, away for {AWAY:.0f} s", taken if came else None,
                    "what had waited arrived; both services went on",
                    came and set(state.values()) == {"active"}))  # fmt: skip
    return rows


def _restarted(box: Box, unit: str, signal: str, why: str, within: float) -> Row:
    name = unit.removeprefix("fleeting-").removesuffix(".service")
    since, before = time.time(), box.service(unit)
    what = f"SIGSTOP of {name}: its watchdog starves" if signal == "STOP" else f"kill -9 of {name}"
    known, began = set(box.arrived()), time.monotonic()
    box.signal(unit, signal)
    # a stopped process keeps its state until systemd has killed it
    ended = box.wait(lambda: box.service(unit).restarts > before.restarts, within)
    back = box.wait(lambda: box.active(unit, before.pid), READY) if ended is not None else None
    ready = time.monotonic() - began
    known |= set(box.arrived())
    came = back is not None and box.new_summary(known, SUMMARY)
    told = box.says("Watchdog timeout", since) if signal == "STOP" else True
    total = time.monotonic() - began
    return Row(what, ready if came else None,
               f"{why}, restarted by systemd and ready; a summary after {total:.0f} s",
               came and told)  # fmt: skip


def asked(box: Box, disk: Disk) -> list[Row]:
    """Restarts by a person and by the updater's request."""
    rows = []
    for what, words in (
        ("systemctl restart fleeting.target", ("systemctl", "restart", "fleeting.target")),
        ("the updater asks for a restart (path unit)",
         ("runuser", "-u", "fleeting-update", "--", "sh", "-c",
          "echo 1 >>/var/lib/fleeting-update/restart")),
    ):  # fmt: skip
        before = {unit: box.service(unit).pid for unit in BOTH}
        began = time.monotonic()
        box.container.sure(*words)
        back = box.wait(lambda b=before: all(box.active(u, b[u]) for u in BOTH), READY)  # type: ignore[misc]
        ready = time.monotonic() - began
        came = back is not None and box.new_summary(set(box.arrived()), SUMMARY)
        rows.append(Row(what, ready if came else None,
                        "both services are other processes and ready; a summary arrived",
                        came))  # fmt: skip
    return rows


def full(box: Box, disk: Disk) -> list[Row]:
    """The data partition filled to its last block, and freed."""
    box.new_summary(set(box.arrived()), SUMMARY)
    before, since = box.stored(), time.time()
    restarts = {unit: box.service(unit).restarts for unit in BOTH}
    box.container.run(["sh", "-c", f"cat /dev/zero >{DATA}/fill"], 60.0)
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
    return [row, _named(found, "disk full", r"(?i)full|space", states)]


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
    time.sleep(READ_ONLY)
    states = [box.service(unit).state for unit in BOTH]
    found = box.journal(since)
    rows = [_named(found, "file system read-only", r"(?i)read-?only|ioerr", states)]
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
    box.deaf()
    if off and box.container.stop() is None:
        raise ToolError("The container does not switch itself off.")
    between()
    began = time.monotonic()
    box.container.boot()
    box.listen()
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
        told = box.wait(lambda w=words, s=since: box.says(w, s), 30.0)  # type: ignore[misc]
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


def security(box: Box) -> dict[str, float]:
    """Exposure of each unit as the running manager sees it, 0 (best) to 10."""
    figures = {}
    for name in SERVICES:
        said = box.container.run(["systemd-analyze", "security", "--no-pager", name], 60.0).out
        match = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
        if match is not None:
            figures[name.removesuffix(".service")] = float(match[1])
    return figures


def clean(box: Box, since: float) -> list[Row]:
    """What is left at the end: in the journal, in this machine's kernel log from that uptime on, and
    of processes once it is stopped."""
    failed = box.container.sure("systemctl", "--failed", "--plain", "--no-legend").splitlines()
    box.container.sure("systemctl", "stop", "fleeting.target", *BOTH)
    left = box.leftover()
    found, kernel = box.journal(), journal.kernel(run("dmesg"), since)
    wrong = [*journal.remarks(found), *journal.broken(found), *journal.unexpected(found, ALLOWED)]
    return [
        Row("journal of all boots", None, "; ".join(wrong[:5]) or f"{len(found)} lines of our "
            "units: no traceback, no refused system call, no warning beside those below",
            not wrong),
        Row("kernel log of this machine", None, "; ".join(kernel[:3]) or "no refused system call, "
            "no crash", not kernel),
        Row("stopped at the end", None, f"{len(left)} processes left over, {len(failed)} units had "
            f"failed{': ' if left else ''}{'; '.join(left)}", not left and not failed),
    ]  # fmt: skip


def allowed_counts(box: Box) -> dict[str, int]:
    """How often each allowed kind of warning came."""
    counts: dict[str, int] = {}
    for each in box.journal():
        if each.priority > journal.WARNING:
            continue
        why = next((one.why for one in ALLOWED if re.search(one.pattern, each.text)), None)
        if why is not None:
            counts[why] = counts.get(why, 0) + 1
    return counts


TRIALS: dict[str, Callable[[Box, Disk], list[Row]]] = {
    "units": units,
    "camera": camera,
    "watchdog": watchdog,
    "killed": killed,
    "asked": asked,
    "full": full,
    "read-only": read_only,
    "reboot": reboot,
}
"""In order."""
