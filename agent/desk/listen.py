"""`fleeting listen`: speech and tone of voice in a sound file, or in a video's sound track."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agent.base.config import AgentConfig
from agent.base.errors import CaptureError, ConfigError
from agent.base.names import as_utf8, one_line
from agent.base.types import SOUND_RATE, TONES, UNSURE, Float, Sound
from agent.desk.trace.output import check_target, progress_bar
from agent.inference.manifest import load_manifest, models_folder
from agent.perceive.capture.sound_file import SoundFile
from agent.perceive.hearing import tone_of
from agent.voice.level import summed_up
from agent.voice.listener import Listener, Stretch
from agent.voice.sound import HOP
from agent.voice.tone import ToneReading

_STEP = 1.0
"""Seconds of the file between two movements of the progress bar."""
_VOICED = 0.45
"""Harmonicity from which a pitch is drawn."""


@dataclass(slots=True)
class Heard:
    """A whole file."""

    seconds: float = 0.0
    stretches: list[Stretch] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    """dB below full scale, ten a second."""
    faults: dict[str, float] = field(default_factory=dict)
    """Seconds by fault."""
    curves: list[tuple[NDArray[np.float64], Float, Float, Float]] = field(default_factory=list)
    """Where they are drawn: time, level, speech and pitch of each frame of a stretch of sound."""


def listen(files: Sequence[Path], config: AgentConfig, *, as_json: bool, plot: Path | None) -> int:
    """Print each stretch of speech with its tone; a last line for each file says what its sound was
    like, and the tone of all its speech together.

    `as_json`: one JSON object a line. Such readings are personal data: they exist for files only
    and never reach the uplink.

    Raises `CaptureError` for a file without sound, `ModelError`, `ConfigError` for a plot of
    several files, `StoreError` for one that cannot be written.
    """
    if plot is not None:
        if len(files) > 1:
            raise ConfigError("A plot shows one file. Name one, or leave --plot out.")
        check_target(plot)
    manifest = load_manifest(models_folder(config.models), config.model_set)
    refused = 0
    for file in files:
        try:
            _listen_to(file, Listener(manifest), as_json, plot)
        except CaptureError as error:
            if len(files) == 1:
                raise
            print(f"fleeting listen: {one_line(error)}", file=sys.stderr)
            refused += 1
    return 1 if refused else 0


def _listen_to(file: Path, listener: Listener, as_json: bool, plot: Path | None) -> None:
    source, heard = SoundFile(file), Heard()
    with progress_bar() as progress:
        task = progress.add_task(escape(source.name), total=source.seconds)
        for stretch in _stretches(source, listener, heard, drawn=plot is not None):
            heard.stretches.append(stretch)
            if as_json:
                print(_line(_record(file, stretch)), flush=True)
            progress.update(task, completed=stretch.end)
        progress.update(task, completed=heard.seconds)
    if not heard.seconds:
        raise CaptureError(f"{one_line(file)} holds no sample of sound. Name another file.")
    if plot is not None:
        _draw(heard, plot, source.name)
    whole = listener.joined([each.tone for each in heard.stretches if each.tone is not None])
    if as_json:
        print(_line(_total(file, heard, whole, source.damaged)), flush=True)
    else:
        _print(file, heard, whole, source.damaged)


def _stretches(
    source: SoundFile, listener: Listener, heard: Heard, drawn: bool
) -> Iterator[Stretch]:
    end = 0.0
    while not source.ended:
        end += _STEP
        for sound in source.until(end):
            yield from listener(sound)
            _note(sound, listener, heard, drawn)
    yield from listener.finish()


def _note(sound: Sound, listener: Listener, heard: Heard, drawn: bool) -> None:
    seconds = sound.end - sound.time
    heard.seconds += seconds
    for fault in listener.faults:
        heard.faults[fault.value] = heard.faults.get(fault.value, 0.0) + seconds
    frames = listener.latest
    if frames is None or not len(frames):
        return
    heard.levels += [
        float(each.max()) for each in np.split(frames.level, range(10, len(frames), 10))
    ]
    if drawn:
        time = listener.latest_start + np.arange(len(frames)) * HOP / SOUND_RATE
        voiced = frames.harmonicity > _VOICED
        pitch = np.where(voiced, frames.frequency[:, 0], 0.0).astype(np.float32)
        heard.curves.append((time, frames.level, listener.latest_speech, pitch))


def _draw(heard: Heard, plot: Path, title: str) -> None:
    from agent.desk.trace.sound_timeline import SoundTrace, draw_sound

    time, level, speech, pitch = (np.concatenate(each) for each in zip(*heard.curves, strict=True))
    tones = [tone_of(each, None) for each in heard.stretches]
    draw_sound(SoundTrace(time, level, speech, pitch, tones), plot, title=title)


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, separators=(",", ":"))


def _record(file: Path, stretch: Stretch) -> dict[str, Any]:
    return {
        "event": "speech",
        "file": as_utf8(file.name),
        "start": round(stretch.start, 2),
        "end": round(stretch.end, 2),
        "seconds": round(stretch.seconds, 2),
        **_reading(stretch.tone),
    }


def _reading(read: ToneReading | None) -> dict[str, Any]:
    """Of a stretch, or of all; null where too little was spoken, or there is no model of it."""
    return {
        "tone": read.label if read else UNSURE,
        "probabilities": _named(read.probabilities) if read else None,
        "arousal": round(read.arousal, 3) if read else None,
        "valence": round(read.valence, 3) if read else None,
    }


def _named(probabilities: Float) -> dict[str, float]:
    return {tone: round(float(p), 4) for tone, p in zip(TONES, probabilities, strict=True)}


def _total(file: Path, heard: Heard, whole: ToneReading | None, damaged: int) -> dict[str, Any]:
    level, floor = summed_up(heard.levels)
    return {
        "event": "sound",
        "file": as_utf8(file.name),
        "seconds": round(heard.seconds, 2),
        "speech_seconds": round(sum(each.seconds for each in heard.stretches), 2),
        "level_dbfs": round(level, 1),
        "floor_dbfs": round(floor, 1),
        "faults": {name: round(seconds, 1) for name, seconds in sorted(heard.faults.items())},
        "damaged_packets": damaged,
        **_reading(whole),
    }


def _print(file: Path, heard: Heard, whole: ToneReading | None, damaged: int) -> None:
    table = Table("Seconds", "Tone", "Neutral, happy, angry, sad", "Arousal", "Valence")
    for each in heard.stretches:
        read = each.tone
        shares = "  ".join(f"{p:.2f}" for p in read.probabilities) if read else "-"
        table.add_row(
            f"{each.start:.1f}-{each.end:.1f}",
            read.label if read else "not read",
            shares,
            f"{read.arousal:+.2f}" if read else "-",
            f"{read.valence:+.2f}" if read else "-",
        )
    level, floor = summed_up(heard.levels)
    console = Console()
    if heard.stretches:
        console.print(table)
    spoken = sum(each.seconds for each in heard.stretches)
    together = f" Together: {whole.label}." if whole and len(heard.stretches) > 1 else ""
    line = (
        f"{one_line(file.name)}: {heard.seconds:.1f} s of sound, {spoken:.1f} s of speech; level "
        f"{level:.0f} dBFS, noise floor {floor:.0f} dBFS.{together}"
    )
    problems = [f"{name} for {seconds:.1f} s" for name, seconds in heard.faults.items()]
    problems += [f"{damaged} damaged packets"] if damaged else []
    console.print(
        line + (f" Problems: {'; '.join(problems)}." if problems else ""),
        markup=False,
        soft_wrap=True,
    )
    console.print(
        "Tone is how listeners would label a voice, not what a person feels; acted speech taught "
        "it.",
        style="dim",
    )
