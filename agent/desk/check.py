"""`fleeting check`: self-test of each part of the machine, with advice."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from agent.base.clock import WallClock
from agent.base.config import AgentConfig
from agent.base.errors import AgentError
from agent.base.quotas import quotas
from agent.desk import check_camera
from agent.desk.check_broker import connect, is_online, shortcomings
from agent.desk.check_heat import heat
from agent.desk.check_traces import traces
from agent.desk.check_updates import updates
from agent.host import heartbeat, swap
from agent.host.health import SERVICES, Condition, examine
from agent.host.supervise import child_environment
from agent.inference.manifest import load_manifest, models_folder
from agent.inference.tflite import open_model, runtime_name
from agent.perceive.capture.portaudio import Input, open_input
from agent.perceive.capture.resilient import open_source
from agent.privacy.policy.hearing import switched_on
from agent.privacy.policy.rules import resolve
from agent.text.sentiment import Sentiment
from agent.uplink.device_id import refuse_default
from agent.uplink.topics import Topics
from agent.uplink.unreachable import Trouble
from agent.uplink.warden.state import is_exposed, state_path
from agent.vision.micro.network import NetworkState, SpotterNetwork
from agent.vision.micro.stream import INPUTS
from agent.voice.level import Fault, Level, summed_up

LISTENING = 12
"""Reads of a tenth of a second each; the first ones tell how the microphone wakes up."""
REQUIRED_MODELS = ("detector", "landmarks", "expression")


_CONDITIONS: dict[Condition, str] = {
    "well": "is well",
    "absent": "is not seen",
    "starting": "is starting",
    "ended": "has ended",
    "crashed": "crashed",
    "no_start": "is not ready in time",
    "stalled": "makes no progress",
    "open": "is not closed as before",
    "other": "is of another version",
}


class PartStatus(NamedTuple):
    """Result of testing one part."""

    ok: bool
    """False: the agent cannot work here. A missing optional part is ok, with advice."""
    detail: str
    advice: str = ""
    """Next step for the operator; may be empty."""


def _failure(error: AgentError) -> PartStatus:
    """Split an error into its first sentence, what happened, and the rest, what to do."""
    what, _, advice = str(error).partition(". ")
    return PartStatus(False, what, advice)


def _camera(config: AgentConfig) -> PartStatus:
    """A camera is read by a process of its own, as the agent does: one that hangs is named."""
    with contextlib.closing(open_source(config.source)) as source:
        return PartStatus(*check_camera.measure(source, config))


def _microphone(config: AgentConfig) -> PartStatus:
    """Optional: without one the rest works, and voices are missing in the summaries."""
    wanted = "microphone" in switched_on(config)
    try:
        with contextlib.closing(open_input(config.sound)) as source:
            level, floor, faults = _levels(source)
    except AgentError as error:
        _, what, advice = _failure(error)
        use = "tone of voice stays empty" if wanted else "none is asked for (privacy.microphone)"
        return PartStatus(True, f"none, {use}: {what}", f"If wanted: {advice}")
    detail = f"{source.name}, level {level:.0f} dBFS, noise floor {floor:.0f} dBFS"
    if Fault.SILENT in faults:
        return PartStatus(not wanted, f"{detail}: digital silence", "Unmute it in alsamixer (F4).")
    if Fault.CLIPPED in faults:
        return PartStatus(True, f"{detail}: clipped", "Turn its gain down in alsamixer (F4).")
    return PartStatus(True, detail if wanted else f"{detail}; not used (privacy.microphone)")


def _levels(source: Input) -> tuple[float, float, set[Fault]]:
    """Level of a second of sound, the floor between louder moments, and what was wrong with it."""
    meter, faults = Level(), set[Fault]()
    levels: list[float] = []
    for _ in range(LISTENING):
        meter(source.read())
        faults |= meter.faults
        levels.append(meter.latest)
    return *summed_up(levels), faults


def _models(config: AgentConfig) -> PartStatus:
    manifest = load_manifest(models_folder(config.models), config.model_set)
    took = []
    for name in dict.fromkeys((*REQUIRED_MODELS, *manifest.models)):
        model = open_model(manifest, name)
        image = np.full(model.size, 128, np.uint8)
        took.append(f"{name} {_milliseconds(partial(model, image)):.1f} ms")
    spotter = NetworkState(SpotterNetwork.load(manifest.network("micro").read()))
    inputs = np.zeros(INPUTS, np.float32)
    spotter.step(inputs)  # compile, or load from the cache
    took.append(f"micro {_milliseconds(partial(spotter.step, inputs)):.2f} ms")
    if "sentiment" in manifest.weights:
        read = partial(Sentiment(manifest), "Where is the exit?")
        took.append(f"sentiment {_milliseconds(read):.2f} ms")
    return PartStatus(
        True,
        f"{', '.join(took)}; set {manifest.which} {manifest.hash16}, {runtime_name()}, verified",
    )


def _milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def _broker(config: AgentConfig) -> PartStatus:
    settings = config.mqtt
    place = f"{settings.host}:{settings.port}" + (" with TLS" if settings.tls else "")
    start = time.monotonic()
    refuse_default(config)
    offer = connect(settings, f"{config.device.id}-check")
    if isinstance(offer, Trouble):
        return PartStatus(False, f"{place}: {offer.what}", offer.advice)
    took = (time.monotonic() - start) * 1e3
    able = offer.abilities
    detail = f"{place}, MQTT {offer.version}, QoS {able.qos}, answered in {took:.0f} ms"
    whole, lacking = shortcomings(config, offer)
    if lacking:
        what = "; ".join(each.what for each in lacking)
        return PartStatus(whole, f"{detail}; {what}", " ".join(each.advice for each in lacking))
    spoken = settings.model_copy(update={"protocol": offer.version})
    runs_here = examine(heartbeat.place(config.update.folder), "uplink")[0] != "absent"
    if not runs_here and is_online(spoken, Topics(config)):
        return PartStatus(
            True,
            f"{detail}; a device with device.id {config.device.id} is connected",
            "If that is not this box, two have one id: give each its own under [device].",
        )
    return PartStatus(True, detail)


def _clock(config: AgentConfig) -> PartStatus:
    trust = WallClock()().trust
    utc = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    if trust == "ntp":
        return PartStatus(True, f"{utc}, synchronised")
    if trust == "none":
        return PartStatus(
            True,
            f"{utc}, not synchronised: windows carry no time of day",
            "Start systemd-timesyncd or chrony, and see that the network lets NTP through.",
        )
    return PartStatus(
        True,
        f"{utc}, from the battery-backed clock only",
        "Let NTP through so that it does not drift.",
    )


def _disk(config: AgentConfig) -> PartStatus:
    folder = config.store.outbox.parent
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(os.urandom(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return PartStatus(
            False,
            f"{folder}: {error.strerror}",
            f"Make it writable for this user: `sudo install -d -o $USER {folder}`, or set "
            "store.outbox.",
        )
    free = shutil.disk_usage(folder).free
    detail = f"{folder} is writable, {free / 1e6:,.0f} MB free"
    needed = 2 * config.store.max_bytes
    if free < needed:
        return PartStatus(
            False,
            detail,
            f"The outbox may need {needed / 1e6:,.0f} MB: free some, or lower store.max_bytes.",
        )
    return PartStatus(True, detail)


def _swap(config: AgentConfig) -> PartStatus:
    """Whether a frame could be written to a disk by the kernel."""
    found = swap.areas()
    if not found.disk:
        detail = "zram only: compressed, in memory" if found.memory else "no swap"
        return PartStatus(True, f"{detail}; no frame is written to a disk")
    names = ", ".join(found.disk)
    service, alone = swap.counted(), swap.may_lock()
    detail = f"on {names}: frames may be written there" if not (service and alone) else (
        f"on {names}; frames are kept out of it"
    )  # fmt: skip
    advice = (
        "As a service it is kept out of swap (MemorySwapMax=0)."
        if service
        else "MemorySwapMax=0 of the service has no effect: this kernel does not count memory by "
        "control group (cgroup_enable=memory on its command line)."
    ) + (
        " `fleeting run` locks its memory."
        if alone
        else f" `fleeting run` cannot lock its memory ({swap.limit()}): run it as a service, raise "
        "memlock in /etc/security/limits.conf, or turn swap off: sudo swapoff -a."
    )
    return PartStatus(service or alone, detail, advice)


def _day(config: AgentConfig) -> PartStatus:
    """What may leave in a day at most, and where the uplink remembers it."""
    policy = resolve(config, live=False)
    most = quotas(policy.window, policy.slots, config.mqtt.health_interval)
    path = state_path(config.store)
    detail = (
        f"at most {most.summary:,} summaries of {most.slots} content slots (slot 0 is one of "
        f"them), counted in {path}"
    )
    if is_exposed(path, config.store):
        return PartStatus(
            False,
            detail,
            "The perceive process may write there: set store.warden to another folder.",
        )
    return PartStatus(True, detail)


def _heat(config: AgentConfig) -> PartStatus:
    """What the board says of itself now."""
    return PartStatus(*heat(config.heat))


def _updates(config: AgentConfig) -> PartStatus:
    """Optional."""
    return PartStatus(*updates(config.update))


def _traces(config: AgentConfig) -> PartStatus:
    """Optional, and of one policy only."""
    return PartStatus(*traces(config))


def _sandbox(config: AgentConfig) -> PartStatus:
    """Tested in child processes, since a sandbox cannot be left."""
    try:
        port = str(config.mqtt.port)
        done = subprocess.run(
            [sys.executable, "-P", "-m", "agent.host.sandbox", "--json", "--port", port],
            env=child_environment(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        halves = {each["half"]: each["cage"] for each in json.loads(done.stdout)}
        perceive, camera, uplink = (halves[each] for each in ("perceive", "camera", "uplink"))
    except (OSError, subprocess.TimeoutExpired) as error:
        return PartStatus(False, f"it could not be tried: {error}", "See the journal.")
    except (ValueError, KeyError, TypeError):
        reason = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return PartStatus(False, f"it could not be tried: {reason}", "See the journal.")
    detail = (
        f"perceive: network {perceive['network']}, writing {perceive['writes']}"
        f"{_opened(perceive)}; its camera{_opened(camera)}; uplink: egress {uplink['egress']}, "
        f"writing {uplink['writes']}{_opened(uplink)}"
    )
    if perceive["network"] == "open":
        return PartStatus(False, detail, "Run it as the systemd units: they close the network.")
    inside = {*perceive["found_open"], *camera["found_open"]}
    if inside | set(uplink["found_open"]) - {"address"}:
        return PartStatus(
            True,
            detail,
            "`python -m agent.host.sandbox` says what was tried. Newer kernels refuse more; the "
            "systemd units confine files and sockets on any.",
        )
    if uplink["found_open"]:
        return PartStatus(
            True, detail, "As a service the uplink reaches only the addresses of its unit."
        )
    return PartStatus(True, detail)


def _opened(cage: dict[str, Any]) -> str:
    """Layers, and what was not refused."""
    layers = f" ({', '.join(cage['layers']) or 'no layer'})"
    return layers + (f", open: {', '.join(cage['found_open'])}" if cage["found_open"] else "")


def _services(config: AgentConfig) -> PartStatus:
    """As the updater judges them after an update."""
    folder = heartbeat.place(config.update.folder)
    found = {name: examine(folder, name)[0] for name in SERVICES}
    if set(found.values()) == {"absent"}:
        return PartStatus(True, "none runs here, or this user may not see it")
    detail = ", ".join(f"{name} {_CONDITIONS[each]}" for name, each in found.items())
    bad = [name for name, each in found.items() if each not in ("well", "starting", "absent")]
    advice = f"journalctl -u fleeting-{bad[0]} says why." if bad else ""
    return PartStatus(not bad, detail, advice)


PARTS: dict[str, Callable[[AgentConfig], PartStatus]] = {
    "camera": _camera,
    "microphone": _microphone,
    "models": _models,
    "broker": _broker,
    "clock": _clock,
    "heat": _heat,
    "disk": _disk,
    "swap": _swap,
    "day": _day,
    "updates": _updates,
    "traces": _traces,
    "services": _services,
    "walls": _sandbox,  # part of the --json format
}


def run_check(config: AgentConfig, names: Iterable[str] = PARTS) -> dict[str, PartStatus]:
    """Test these parts in turn, without publishing or storing anything. Takes up to 15 s."""
    found = {}
    for name in names:
        try:
            found[name] = PARTS[name](config)
        except AgentError as error:
            found[name] = _failure(error)
    return found


def main(config: AgentConfig, as_json: bool) -> int:
    """Print one line per part (or one JSON document); return 0 if all are ok, else 1."""
    found = run_check(config)
    fit = all(each.ok for each in found.values())
    if as_json:
        checks = [{"name": name, **each._asdict()} for name, each in found.items()]
        print(json.dumps({"ok": fit, "checks": checks}))
        return 0 if fit else 1
    for name, (ok, detail, advice) in found.items():
        print(f"{'ok  ' if ok else 'FAIL'}  {name:<10}  {detail}" + (advice and f"  ->  {advice}"))
    return 0 if fit else 1
