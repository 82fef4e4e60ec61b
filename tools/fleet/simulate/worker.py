"""One process of a simulation: some of the devices, until what they had to say is acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from agent.base.errors import AgentError
from tools.fleet.simulate.limits import SPARE, allow_open_files
from tools.fleet.simulate.truth import Truth
from tools.fleet.simulate.world import Plan, World

TELL_EVERY = 1.0
"""Seconds."""


@dataclass(slots=True)
class Report:
    """What one process knows, once a second."""

    devices: int
    connected: int
    pending: int
    counts: dict[str, int] = field(default_factory=dict)
    troubles: dict[str, int] = field(default_factory=dict)
    cpu: float = 0.0
    """Seconds of processor time so far."""
    memory: int = 0
    """KiB at most so far."""
    done: bool = False
    error: str = ""
    """Why it could not go on."""


def work(plan: Plan, start: int, step: int, parent: Connection) -> None:
    """Run in a process of its own; sends `Report` objects, stops when told anything."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent's to answer
        signal.signal(number, signal.SIG_IGN)
    try:
        asyncio.run(_work(plan, start, step, parent))
    except (AgentError, OSError) as error:
        with contextlib.suppress(OSError):  # the parent itself may be gone
            parent.send(Report(0, 0, 0, error=str(error), done=True))


async def _work(plan: Plan, start: int, step: int, parent: Connection) -> None:
    loop = asyncio.get_running_loop()
    allow_open_files(plan.devices // step + 1 + SPARE, "A process of simulated devices")
    truth = Truth(plan.truth)
    world = World(plan, start, step, loop, truth)
    gc.collect()
    gc.freeze()
    world.begin(start, step)
    stop = loop.time() + plan.seconds
    end = stop + plan.drain
    stopped = False
    while True:
        await asyncio.sleep(TELL_EVERY)
        truth.flush()
        if not stopped and (loop.time() >= stop or parent.poll()):
            stopped, end = True, loop.time() + plan.drain
            for device in world.devices:
                device.stop_windows()
        parent.send(_report(world))
        if stopped and (loop.time() > end or not any(each.pending for each in world.devices)):
            break
    last = _report(world)
    for device in world.devices:
        device.close()
    await asyncio.sleep(0.5)  # what was said last goes out
    truth.close()
    last.done = True
    parent.send(last)


def _report(world: World) -> Report:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Report(
        devices=len(world.devices),
        connected=sum(each.connected for each in world.devices),
        pending=sum(each.pending for each in world.devices),
        counts=dict(world.counts),
        troubles=dict(world.troubles),
        cpu=used.ru_utime + used.ru_stime,
        memory=used.ru_maxrss,
    )
