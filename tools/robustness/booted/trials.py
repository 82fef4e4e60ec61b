"""What is tried, in order; the first start before, and what is left behind at the end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from tools.robustness.booted import journal, services, storage
from tools.robustness.booted.box import BOTH, FIRST, Box, Disk
from tools.robustness.booted.journal import Allowed
from tools.robustness.booted.root import run
from tools.robustness.booted.rows import SUMMARY, Row

SERVICES = tuple(
    f"fleeting-{name}.service"
    for name in ("perceive", "uplink", "update", "renew", "restart", "reboot")
)
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
    """What is left at the end: in the journal, in this machine's kernel log from that uptime on,
    and of processes once it is stopped."""
    failed = box.container.sure("systemctl", "--failed", "--plain", "--no-legend").splitlines()
    box.container.sure("systemctl", "stop", "fleeting.target", *BOTH)
    left = box.leftover()
    found, kernel = box.journal(), journal.kernel(run("dmesg"), since, box.container.seen)
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
    "units": services.units,
    "camera": services.camera,
    "watchdog": services.watchdog,
    "killed": services.killed,
    "asked": services.asked,
    "full": storage.full,
    "read-only": storage.read_only,
    "reboot": storage.reboot,
}
