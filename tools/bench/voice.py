"""`python -m tools.bench voice`: processor time per second of sound, stage by stage, and memory."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from agent.base.config import AgentConfig
from agent.base.types import Float, Frame, Sound
from agent.inference.manifest import Manifest, load_manifest, models_folder
from agent.voice.activity import Activity
from agent.voice.frames import Frames, measure
from agent.voice.listener import Listener
from agent.voice.sound import FRAME, HOP, RATE
from agent.voice.tone import ToneReader
from tools.common.command import positive
from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.common.machine import line, machine
from tools.common.tables import columns, text

CHUNK = 10
"""Frames that arrive together: a tenth of a second."""
WINDOW = 300
"""Frames that a reading of the tone is given, once a second."""
BUDGET = 40.0
"""Milliseconds of processor time per second of sound: 4 % of a core."""
ALL = "all, as the agent hears"
Stage = Callable[[Float, Frames], None]
"""Works through a whole sound, given its frames."""


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser("voice", parents=[shared], help="cost of hearing, by stage")
    parser.add_argument(
        "--wav", type=Path, metavar="FILE", help="16 kHz, 16 bits (default: made-up speech)"
    )
    parser.add_argument("--runs", type=positive, default=5, help="the least of so many; default: 5")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text. Raises `ModelError` or `ToolError`."""
    before = machine()
    sound = from_file(args.wav) if args.wav else made_up()
    report = {"machine": before, "seconds": round(len(sound) / RATE, 2), "runs": args.runs}
    report["ms_per_second"] = cost(sound, args.runs)
    report["memory_mib"] = memory(sound)
    return report, voice_text(report)


def stages(manifest: Manifest) -> dict[str, Stage]:
    """What hears, in order: measurement and activity chunk by chunk, the tone as in unbroken
    speech; and all of it as the agent does it, where a stretch is read once."""
    tone, activity, listener = ToneReader(manifest), Activity(manifest), Listener(manifest)

    def measured(sound: Float, frames: Frames) -> None:
        for start in range(0, len(frames), CHUNK):
            measure(sound[start * HOP : (start + CHUNK - 1) * HOP + FRAME])

    def judged(sound: Float, frames: Frames) -> None:
        for start in range(0, len(frames), CHUNK):
            activity(frames[start : start + CHUNK])

    def heard(sound: Float, frames: Frames) -> None:
        for start in range(0, len(sound), CHUNK * HOP):
            listener(Sound(start / RATE, sound[start : start + CHUNK * HOP]))
        listener.finish()

    def read(sound: Float, frames: Frames) -> None:
        for end in range(100, len(frames) + 1, 100):
            part = frames[max(end - WINDOW, 0) : end]
            tone(part, np.ones(len(part), bool))

    return {"frames": measured, "activity": judged, "tone, once a second": read, ALL: heard}


def cost(sound: Float, runs: int) -> dict[str, float]:
    """Least processor milliseconds per second of sound, by stage, in turns, and of all."""
    manifest = load_manifest(models_folder(None))
    every, frames = stages(manifest), measure(sound)
    least = dict.fromkeys(every, float("inf"))
    for _ in range(runs + 1):  # the first warms up
        for name, stage in every.items():
            start = time.process_time()
            stage(sound, frames)
            least[name] = min(least[name], time.process_time() - start)
    return {name: round(1e3 * each / len(sound) * RATE, 3) for name, each in least.items()}


def memory(sound: Float) -> float:
    """MiB that hearing adds to a process that sees already."""
    done = subprocess.run(
        [sys.executable, "-c", "from tools.bench.voice import grown; grown()"],
        input=sound.tobytes(), capture_output=True, check=False, cwd=ROOT,
    )  # fmt: skip
    if done.returncode:
        raise ToolError(f"Memory could not be measured: {done.stderr.decode()[-300:]}")
    return float(json.loads(done.stdout))


def grown() -> None:
    """In a process of its own: print the growth, sound on standard input."""
    from agent.vision.pipeline import Pipeline

    sound = np.frombuffer(sys.stdin.buffer.read(), np.float32)
    pipeline = Pipeline(AgentConfig())
    for index in range(5):
        pipeline(Frame(index / 25, np.full((240, 320), 128, np.uint8)))
    before = _resident()
    for stage in stages(load_manifest(models_folder(None))).values():
        stage(sound, measure(sound[: 3 * RATE]))  # the longest that is ever measured at once
    print(json.dumps(round(_resident() - before, 2)))


def _resident() -> float:
    status = Path("/proc/self/status").read_text()
    kib = next(row for row in status.splitlines() if row.startswith("VmRSS:")).split()[1]
    return int(kib) / 1024


def made_up(seconds: float = 20.0) -> Float:
    """Syllables of a buzzing voice whose pitch wanders, in a little noise."""
    rng = np.random.default_rng(0)
    time_ = np.arange(round(seconds * RATE)) / RATE
    pitch = 160 + 50 * np.sin(2 * np.pi * 0.4 * time_) + 15 * np.sin(2 * np.pi * 2.3 * time_)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    buzz = np.sum([np.sin(h * phase) / h for h in range(1, 16)], 0)
    syllables = np.clip(np.sin(2 * np.pi * 2 * time_) + 0.6, 0, 1)
    noise = rng.normal(0, 1e-3, len(time_))
    return np.asarray(0.1 * buzz * syllables + noise, np.float32)


def from_file(path: Path) -> Float:
    """float32[S] of a WAV file, its first channel. Raises `ToolError` for other rates or widths."""
    try:
        with wave.open(str(path)) as file:
            if file.getframerate() != RATE or file.getsampwidth() != 2:
                raise ToolError(f"{path} must have {RATE} samples a second of 16 bits.")
            data = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            sound = data.reshape(-1, file.getnchannels())[:, 0]
    except (OSError, wave.Error, EOFError) as error:
        raise ToolError(f"{path} cannot be read: {error}.") from None
    if len(sound) < RATE:
        raise ToolError(f"{path} is shorter than a second.")
    return np.asarray(sound / np.float32(32768), np.float32)


def voice_text(report: dict[str, Any]) -> str:
    """One line per stage."""
    table = columns("stage", "ms per second of sound", "of a core")
    for name, each in report["ms_per_second"].items():
        table.add_row(name, f"{each:.2f}", f"{each / 10:.2f} %")
    head = f"least of {report['runs']} runs over {report['seconds']:g} s; budget {BUDGET:g} ms\n"
    tail = f"memory added to a process that sees: {report['memory_mib']:.1f} MiB\n"
    return line(report["machine"]) + head + text(table) + tail
