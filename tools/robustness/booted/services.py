"""Trials of the services: their processes killed and stopped, a camera that fails, restarts."""

from __future__ import annotations

import time
from collections.abc import Callable

from tools.common.errors import ToolError
from tools.common.faulty_camera import NAMES
from tools.robustness.booted import journal
from tools.robustness.booted.box import BOTH, PERCEIVE, WATCHDOG, Box, Disk
from tools.robustness.booted.rows import READY, SUMMARY, Row

STARVED = WATCHDOG + 20 + 5 + READY
"""The watchdog's time, TimeoutStopSec=, RestartSec=, and a start."""
WELL = 12.0
"""Seconds of frames after which a camera counts as well again."""
GIVES_UP = 300.0
"""Seconds for four tries of a camera, and a restart."""
AWAY = 20.0
"""Seconds without a broker."""


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
    _is_well(box)
    before, opens = box.service(PERCEIVE), box.opens
    began = time.monotonic()
    strike()
    opened = box.wait(lambda: box.opens > opens, READY) is not None
    since = box.now()
    back = opened and box.wait(lambda: box.progress() > since, READY) is not None
    seconds = time.monotonic() - began
    after = box.service(PERCEIVE)
    same = (after.pid, after.restarts) == (before.pid, before.restarts)
    return Row(what, seconds if back else None, "frames are perceived by the "
               f"{'same' if same else 'restarted'} process {after.pid}", back and same)  # fmt: skip


def _is_well(box: Box) -> None:
    """Wait until the camera counts as well again. Raises `ToolError`."""
    since = box.now()
    if box.wait(lambda: box.progress() > since + WELL, READY) is None:
        raise ToolError("The camera gives no frames.")


def _gives_up(box: Box) -> Row:
    _is_well(box)
    since, before = time.time(), box.service(PERCEIVE)
    began = time.monotonic()
    box.break_camera(NAMES.index("hangs in read"), lasting=True)
    ended = box.wait(lambda: box.service(PERCEIVE).restarts > before.restarts, GIVES_UP)
    box.break_camera(0)
    said = box.says("times in a row; this process ends", since)
    back = box.wait(lambda: box.active(PERCEIVE, before.pid), READY)
    known = set(box.arrived())
    came = back is not None and box.new_summary(known, SUMMARY)
    return Row("a camera that hangs for ever", time.monotonic() - began if came else None,
               f"perceive {'ended by itself' if said else 'did not end by itself'} and was "
               f"restarted after {ended or GIVES_UP:.0f} s",
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
