"""Faults in turn, on several processes at once; what each recovery took and left behind."""

from __future__ import annotations

import math
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.common.errors import ToolError
from tools.common.faulty_camera import NAMES, build
from tools.common.machine import machine
from tools.common.progress import Tell
from tools.common.slope import slope
from tools.robustness.camera.device import Device, Sample, left_over

WITHIN = 15.0
"""Seconds in which a camera has to be back."""
_PATIENCE = 45.0
"""Seconds after which one counts as not recovered at all."""
KILLS = ("reader", "spawner", "perceive")
"""Processes that are killed with SIGKILL."""
FAULTS = tuple(NAMES.index(each) for each in NAMES if each not in ("none", "unplugged", "black"))
KINDS = (*(NAMES[each] for each in FAULTS), *(f"kill -9 of the {each}" for each in KILLS))
_WELL = 2
"""Times `stall` with frames, after which a camera counts as well again (`live.RECOVERED_AFTER`)."""
_WARM = 0.2
"""Share of the samples of each process that is left out: what is allocated once."""
_MAX_SLOPE = 20.0
"""KiB a recovery."""


@dataclass(frozen=True, slots=True)
class Options:
    times: int
    at_once: int
    stall: float
    seed: int


@dataclass(slots=True)
class Record:
    """What happened on one device."""

    took: list[tuple[str, float | None]] = field(default_factory=list)
    """Kind, and seconds until a frame was perceived again; None: never."""
    samples: list[list[Sample]] = field(default_factory=list)
    """After each recovery; a list for each perceive process."""
    left: list[str] = field(default_factory=list)
    """Processes that outlived the one that they served."""
    error: str = ""


def run(options: Options, tell: Tell) -> dict[str, Any]:
    """The report; `passed` in it is the verdict. `tell`: called with the faults done. Raises
    `ToolError`."""
    started = time.monotonic()
    turns = [KINDS[n % len(KINDS)] for n in range(options.times)]
    records = [Record() for _ in range(min(options.at_once, options.times))]
    done, lock = [0], threading.Lock()

    def count() -> None:
        with lock:
            done[0] += 1
            tell(done[0], "")

    with tempfile.TemporaryDirectory(prefix="fleeting-camera-") as name:
        library = build(Path(name))

        def work(number: int) -> None:
            device = Device(Path(name) / str(number), library, options.stall)
            chance = random.Random(f"{options.seed} {number}")
            try:
                _play(device, turns[number :: len(records)], records[number], chance,
                      options.stall, count)  # fmt: skip
            except (ToolError, OSError) as error:
                records[number].error = str(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(len(records))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        gives_up = _gives_up(Device(Path(name) / "given-up", library, options.stall))
    return _report(options, records, gives_up, time.monotonic() - started)


def _play(
    device: Device,
    kinds: list[str],
    record: Record,
    chance: random.Random,
    stall: float,
    count: Callable[[], None],
) -> None:
    """Raises `ToolError`."""
    device.start()
    record.samples.append([])
    try:
        for kind in kinds:
            time.sleep(_WELL * stall + 1.5 + chance.random())
            served = device.process
            record.took.append((kind, _strike(device, kind, record)))
            if device.process is not served:
                record.samples.append([])
            record.samples[-1].append(device.sample())
            count()
    finally:
        record.left += [f"{each} at the end" for each in device.stop()]


def _strike(device: Device, kind: str, record: Record) -> float | None:
    """Seconds until a frame was perceived again; where perceive itself ends, until nothing of it
    was left. Raises `ToolError`."""
    opens, tree, began = device.opens, device.tree(), time.monotonic()
    victim = kind.removeprefix("kill -9 of the ")
    if victim not in KILLS:
        device.break_camera(NAMES.index(kind))
    else:
        device.kill(victim)
        if victim != "reader":
            ended = device.ended(_PATIENCE)
            left = [f"{each} after a {kind}" for each in left_over(tree)]
            took = time.monotonic() - began
            record.left += left
            if not ended:
                return None
            device.start()  # as the service manager does
            return None if left else took
    if not device.recovered(opens, _PATIENCE):
        if device.process.poll() is not None:
            device.start()
        return None
    return time.monotonic() - began


def _gives_up(device: Device) -> dict[str, Any]:
    """A camera that hangs whenever it is read: perceive ends by itself."""
    device.start()
    began = time.monotonic()
    device.break_camera(NAMES.index("hangs in read"), lasting=True)
    ended = device.ended(120.0)
    seconds = time.monotonic() - began
    lines = device.log.read_text(errors="replace").splitlines()
    left = device.stop()
    code = device.process.returncode
    said = next((each for each in reversed(lines) if "times in a row" in each), "")
    return {
        "ended": ended, "code": code, "seconds": round(seconds, 1), "opens": device.opens,
        "said": bool(said), "left": len(left),
        "passed": ended and code == 1 and bool(said) and not left and device.opens >= 4,
    }  # fmt: skip


def _report(
    options: Options, records: list[Record], gives_up: dict[str, Any], seconds: float
) -> dict[str, Any]:
    took = [each for record in records for each in record.took]
    kinds = {}
    for kind in KINDS:
        mine = [each for name, each in took if name == kind]
        back = [each for each in mine if each is not None]
        if mine:
            kinds[kind] = {
                "times": len(mine),
                "within": sum(1 for each in back if each < WITHIN),
                "median": round(statistics.median(back), 1) if back else None,
                "longest": round(max(back), 1) if back else None,
            }
    series = [each for record in records for each in record.samples]
    samples = [sample for each in series for sample in each]
    left = [each for record in records for each in record.left]
    errors = [record.error for record in records if record.error]
    memory = _slope([[float(sample.memory) for sample in each] for each in series])
    descriptors = _slope([[float(sample.descriptors) for sample in each] for each in series])
    recovered = sum(1 for _, each in took if each is not None and each < WITHIN)
    zombies = sum(each.zombies for each in samples)
    return {
        "machine": machine(), "seconds": seconds, "seed": options.seed, "stall": options.stall,
        "at_once": len(records), "times": options.times, "recovered": recovered, "kinds": kinds,
        "zombies": zombies, "left": left, "errors": errors,
        "processes": max((each.processes for each in samples), default=0),
        "descriptors_slope": descriptors, "memory_slope": memory, "gives_up": gives_up,
        "passed": recovered == options.times and not (zombies or left or errors)
        and abs(descriptors[0]) <= descriptors[1] + 0.05
        and memory[0] - memory[1] <= _MAX_SLOPE and gives_up["passed"],
    }  # fmt: skip


def _slope(series: list[list[float]]) -> tuple[float, float]:
    """Growth per recovery, and the reach of its 95 % interval; the first samples of each process
    are left out. Zero where there are too few."""
    kept = [values[int(_WARM * len(values)) :] for values in series]
    found = slope(*([(float(n), value) for n, value in enumerate(each)] for each in kept))
    if found.high == math.inf:
        return 0.0, 0.0
    return round(found.value, 3), round(found.high - found.value, 3)
