"""A day of frames, a day of visits, a camera, and a week without a broker; real processes.

Three ways to make a day short, since none alone is one: a day's frames at full speed, or as many as
the minutes allow, extrapolated; all of a day's windows with fewer frames in each; and a camera that
nothing makes faster.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.base.assets import CLIP
from tools.bench.soak.arrivals import Arrivals
from tools.bench.soak.device import Device, Sample
from tools.bench.soak.film import days
from tools.bench.soak.growth import growth, settling, whole
from tools.common.faulty_camera import build, compiler
from tools.common.machine import machine
from tools.common.mosquitto import Mosquitto, program
from tools.common.progress import Tell

DAY = 86_400.0
FPS = 30
"""Of the clip, and of a day's frames."""
MOST = 200.0
"""MB that the processes of a device may hold together: the design's figure."""
_SHORT = 60
"""Seconds of a window where frames are what counts."""
_WINDOW = 900
"""Seconds of a window where a day's windows are what counts."""
_PATIENCE = 120.0
"""Seconds in which what waits has to arrive."""


@dataclass(frozen=True, slots=True)
class Options:
    hours: float = 24.0
    """Of media time, in windows of a quarter of an hour."""
    minutes: float = 10.0
    """Of every frame at full speed, until a day's frames were seen, and of the camera."""
    frames: int = 150
    """In each window of the day or week."""
    interval: float = 2.0
    """Seconds from sample to sample."""


def run(options: Options, tell: Tell) -> dict[str, Any]:
    """The report; `passed` in it is the verdict. `tell`: called with the seconds passed. Raises
    `ToolError`."""
    program()
    began, place = time.monotonic(), machine()
    with tempfile.TemporaryDirectory(prefix="fleeting-soak-") as name, ExitStack() as stack:
        folder = Path(name)
        broker = Mosquitto(folder)
        broker.start()
        stack.callback(broker.stop)
        arrivals = stack.enter_context(Arrivals(broker.port))
        phases = _at_full_rate(folder, broker.port, arrivals, options, stack, tell)
        phases.append(_day(folder, broker.port, arrivals, options, tell))
    return {
        "what": "soak", "machine": place, "seconds": round(time.monotonic() - began),
        "hours": options.hours, "most_mb": MOST, "phases": phases,
        "passed": all(each["passed"] for each in phases),
    }  # fmt: skip


def _at_full_rate(
    folder: Path,
    port: int,
    arrivals: Arrivals,
    options: Options,
    stack: ExitStack,
    tell: Tell,
) -> list[dict[str, Any]]:
    """The clip over and over as fast as it goes, and a camera beside it."""
    film = {"kind": "file", "target": str(CLIP), "pace": "fast", "loop": True}
    whole_day = round(DAY / _SHORT)  # more windows than a day has would exceed the day's quota
    devices = [stack.enter_context(Device(folder / "frames", port, film, window=_SHORT))]
    if compiler() is not None:
        camera = {
            "kind": "v4l2", "target": "/dev/video0", "width": 320, "height": 240, "fps": FPS,
        }  # fmt: skip
        control = folder / "control"
        control.write_bytes(bytes(65_536))
        environment = {
            "LD_PRELOAD": str(build(folder)), "FAULTY_CONTROL": str(control),
            "FAULTY_FPS": str(FPS),
        }  # fmt: skip
        made = Device(folder / "camera", port, camera, window=_SHORT, environment=environment)
        devices.append(stack.enter_context(made))
    for device in devices:
        device.start()
    end = time.monotonic() + 60 * options.minutes
    samples = _watch(
        devices, options.interval,
        lambda: time.monotonic() >= end or devices[0].count("ledger") >= whole_day, tell,
    )  # fmt: skip
    phases = []
    for device, mine in zip(devices, samples, strict=True):
        frames = (mine[-1].released - mine[0].released) * device.window * FPS
        seconds = mine[-1].at - mine[0].at
        hours = 24.0 if device.id == "camera" else seconds / 3600 * DAY * FPS / max(1, frames)
        device.stop(lambda device=device: _wait_for(device, arrivals))  # type: ignore[misc]
        phases.append(_phase(device.id, mine, hours, frames, arrivals.compare(device)))
    return phases


def _day(
    folder: Path, port: int, arrivals: Arrivals, options: Options, tell: Tell
) -> dict[str, Any]:
    """All windows of a day."""
    source, frames = _film(folder, options)
    with Device(folder / "day", port, source, window=_WINDOW) as device:
        device.start()
        samples = _watch([device], options.interval, lambda: _ended(device), tell)[0]
        device.stop(lambda: _wait_for(device, arrivals))
        hours = _for_a_day(samples, options.hours)
        return _phase("day", samples, hours, frames, arrivals.compare(device))


def week(options: Options, tell: Tell) -> dict[str, Any]:
    """The report on days without a broker, and on how what waited arrives. Raises `ToolError`."""
    program()
    began, place = time.monotonic(), machine()
    with tempfile.TemporaryDirectory(prefix="fleeting-soak-") as name, ExitStack() as stack:
        folder = Path(name)
        broker = Mosquitto(folder)
        source, frames = _film(folder, options)
        device = stack.enter_context(Device(folder / "week", broker.port, source, window=_WINDOW))
        device.start()
        samples = _watch([device], options.interval, lambda: _ended(device), tell)[0]
        device.perceive.stop()
        waiting, released = device.count("outbox", "kind = 'summary'"), device.count("ledger")
        trimmed = device.read("SELECT value FROM counter WHERE name = 'trimmed'")
        size, body = _used(device), _bodies(device)
        broker.start()
        stack.callback(broker.stop)
        arrivals = stack.enter_context(Arrivals(broker.port))
        since = time.monotonic()
        _wait_for(device, arrivals)
        took = time.monotonic() - since
        came = arrivals.compare(device)
        left, after = device.count("outbox"), _used(device)
        device.stop()
    found = _phase("week", samples, _for_a_day(samples, options.hours), frames, came, empties=False)
    store, length = device.store, options.hours / 24
    lost = trimmed[0][0] if trimmed else 0
    others = max(each.rows - each.released for each in samples)
    found |= {
        "waiting": waiting, "others": others, "trimmed": lost, "left": left,
        "bytes": body, "used_mib": [round(size / 2**20, 2), round(after / 2**20, 2)],
        "took": round(took, 1),
        "kept_days": {
            "age": round(store.max_age / DAY),
            "rows": round(store.max_rows / ((waiting + others) / length)),
            "bytes": round(store.max_bytes / (body / length)),
        },
    }  # fmt: skip
    found["passed"] = (
        found["passed"] and waiting == released and not lost and not left
        and min(found["kept_days"].values()) >= 7
    )  # fmt: skip
    return {
        "what": "soak", "peer": "week", "machine": place,
        "seconds": round(time.monotonic() - began),
        "hours": options.hours, "most_mb": MOST, "phases": [found], "passed": found["passed"],
    }  # fmt: skip


def _film(folder: Path, options: Options) -> tuple[dict[str, Any], int]:
    """The section of the configuration, and the pictures of the film."""
    film = folder / "days.mkv"
    windows = max(2, round(options.hours * 3600 / _WINDOW))
    frames = days(film, windows, _WINDOW, options.frames)
    return {"kind": "file", "target": str(film), "pace": "fast"}, frames


def _watch(
    devices: Sequence[Device], interval: float, done: Callable[[], bool], tell: Tell
) -> list[list[Sample]]:
    """Samples of each device until it is done. Raises `ToolError`."""
    samples: list[list[Sample]] = [[] for _ in devices]
    began = due = time.monotonic()
    while not done():
        for device, mine in zip(devices, samples, strict=True):
            device.look_after(perceive_may_end=True)
            sample = device.sample()
            if "perceive" in sample.held and "uplink" in sample.held:
                mine.append(sample)
        due = max(due + interval, time.monotonic())
        tell(round(due - began), f"s, {', '.join(f'{each[-1].released}' for each in samples)}")
        time.sleep(max(0.0, due - time.monotonic()))
    return samples


def _ended(device: Device) -> bool:
    return device.perceive.ended() == 0


def _for_a_day(samples: Sequence[Sample], hours: float) -> float:
    """Wall hours in which a day of media time passes."""
    return (samples[-1].at - samples[0].at) / 3600 * 24 / hours


def _wait_for(device: Device, arrivals: Arrivals) -> None:
    """Until everything that was released has arrived and left the outbox, or patience ends."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        device.look_after(perceive_may_end=True)
        if arrivals.count(device) >= device.count("ledger") and not device.count("outbox"):
            return
        time.sleep(0.1)


def _used(device: Device) -> int:
    """Bytes of the outbox's file that are in use."""
    pages = [
        int(device.read(f"PRAGMA {name}")[0][0])
        for name in ("page_count", "freelist_count", "page_size")
    ]
    return (pages[0] - pages[1]) * pages[2]


def _bodies(device: Device) -> int:
    """Bytes of what waits, as the outbox counts it."""
    return int(device.read("SELECT SUM(LENGTH(body) + 64) FROM outbox")[0][0] or 0)


def _phase(
    name: str,
    samples: Sequence[Sample],
    hours: float,
    frames: int,
    came: dict[str, int],
    *,
    empties: bool = True,
) -> dict[str, Any]:
    rows = growth(samples, hours, empties=empties)
    processor = {
        part: samples[-1].held[part].cpu - samples[0].held[part].cpu
        for part in samples[0].held if part in samples[-1].held
    }  # fmt: skip
    everything = [whole(each) * 2**20 / 1e6 for each in samples]
    pss = [sum(one.pss for one in each.held.values()) * 1024 / 1e6 for each in samples]
    wrong = sum(came[key] for key in ("missing", "repeated", "other", "disordered"))
    others = max(each.others for each in samples)
    return {
        "phase": name,
        "seconds": round(samples[-1].at - samples[0].at),
        "samples": len(samples),
        "settling_s": round(settling(samples)),
        "frames": frames,
        "hours_of_frames": round(frames / FPS / 3600, 2),
        "ms_per_frame": round(1000 * sum(processor.values()) / max(1, frames), 3),
        "processor_s": {part: round(each, 1) for part, each in processor.items()},
        "memory_mb": [round(everything[-1], 1), round(max(everything), 1)],
        "pss_mb": round(max(pss), 1),
        "other_processes": others,
        "rows": rows,
        "came": came,
        "passed": not wrong
        and not others
        and came["released"] > 0
        and all(each["verdict"] != "GROWS" for each in rows),
    }
