"""`fleeting demo`: the bundled clip through both processes and a broker on this machine."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from agent.base.assets import CLIP
from agent.base.config import AgentConfig
from agent.base.errors import PublishError
from agent.base.names import as_utf8, one_line
from agent.base.report import Summary
from agent.base.settings_file import as_toml, parse
from agent.base.types import Perceived, Tone, Words
from agent.desk.loopback.broker import Broker
from agent.desk.loopback.subscriber import Subscriber
from agent.desk.trace import truth as script
from agent.desk.trace.output import check_target, progress_bar
from agent.desk.trace.recorder import TraceRecorder
from agent.desk.trace.table import heard_table, planted_table, summaries_table
from agent.desk.trace.timeline import draw_trace, lanes
from agent.host.supervise import child_environment
from agent.perceive.ears import Ears
from agent.perceive.hearing import Reading
from agent.perceive.words_socket import WordsSocket

DEVICE = "demo"
ARRIVAL_TIMEOUT = 30.0
"""Seconds to wait for the last summary after the end of the clip."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a demo."""

    summaries: tuple[Summary, ...]
    """Received over MQTT."""
    released: int
    """Summaries that perception wrote to the outbox."""
    frames: int
    score: script.Score
    tones: tuple[script.Comparison, ...]
    words: tuple[script.Comparison, ...]
    seconds: float
    plot: Path


def demo(*, plot: Path, as_json: bool, model_set: str = "research") -> int:
    """Play the bundled clip through the real agent and show what arrived over MQTT.

    Perception runs in this process, the uplink as a child process, with an outbox in a temporary
    folder between them and a broker on 127.0.0.1. `model_set` as in the configuration.

    Returns 0 when every released summary arrived, else 1. Raises `AgentError`.
    """
    check_target(plot)
    outcome = _play(plot, model_set)
    if as_json:
        print(json.dumps(_as_dict(outcome), indent=2))
    else:
        _print_report(outcome)
    missing = outcome.released - len(outcome.summaries)
    if missing > 0:
        print(
            f"{missing} of {outcome.released} summaries did not arrive within "
            f"{ARRIVAL_TIMEOUT:.0f} s. Run the demo again on a less busy machine.",
            file=sys.stderr,
        )
    return 1 if missing > 0 else 0


def configuration(
    clip: Path, outbox: Path, port: int, device: str = DEVICE, model_set: str = "research"
) -> AgentConfig:
    """The demo profile: k = 1, no noise, windows of 10 s, a broker on this machine only."""
    return parse(
        {
            "device": {"id": device},
            "model_set": model_set,
            "source": {"kind": "file", "target": str(clip), "pace": "fast"},
            "privacy": {"policy": "demo", "window": 10, "k": 1},
            "store": {"outbox": str(outbox)},
            "mqtt": {"host": "127.0.0.1", "port": port, "backoff_max": 1.0},
        },
        "the demo profile",
    )


def _play(plot: Path, model_set: str = "research") -> Outcome:
    # imported here: loading the model runtime and Numba takes a second
    from agent.perceive.process import perceive

    started = time.monotonic()
    planted = script.load()
    recorder = TraceRecorder()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fleeting-demo-")))
        broker = stack.enter_context(Broker())
        config = configuration(
            CLIP, folder / "outbox" / "outbox.db", broker.port, model_set=model_set
        )
        words = WordsSocket(folder / "words.sock")
        kiosk = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        kiosk.connect(str(folder / "words.sock"))
        to_write = sorted(planted.words, key=lambda line: line.time)
        readings: list[Reading] = []

        def note(reading: Reading) -> None:
            readings.append(reading)
            recorder.add_reading(reading)

        reader = stack.enter_context(Subscriber("127.0.0.1", broker.port, DEVICE))
        uplink = stack.enter_context(_uplink(config, folder))
        with progress_bar(always=True) as progress:
            task = progress.add_task("Watching the clip", total=planted.frames)

            def observe(perceived: Perceived) -> None:
                recorder.add(perceived)
                while to_write and to_write[0].time <= perceived.time:
                    kiosk.send(to_write.pop(0).line.encode() + b"\n")
                progress.advance(task)

            report = perceive(
                config,
                stop=threading.Event(),
                observer=observe,
                ears=Ears(words=words, observer=note),
            )
        _await_arrival(reader, uplink, report.summaries, folder)
        summaries = tuple(reader.summaries)
    draw_trace(recorder, plot, title="fleeting demo: perceived against planted", truth=planted)
    tracks = lanes(recorder, planted)
    score = script.score(
        planted,
        [spot for lane in tracks for spot in lane.micro],
        {lane.track_id: lane.name for lane in tracks if lane.name},
    )
    return Outcome(
        summaries,
        report.summaries,
        report.frames,
        score,
        tuple(script.compare_tones(planted, [r for r in readings if isinstance(r, Tone)])),
        tuple(script.compare_words(planted, [r for r in readings if isinstance(r, Words)])),
        time.monotonic() - started,
        plot,
    )


@contextlib.contextmanager
def _uplink(config: AgentConfig, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`fleeting uplink` as a child process, terminated gracefully at the end."""
    settings = folder / "fleeting.toml"
    settings.write_text(as_toml(config), encoding="utf-8")
    with (folder / "uplink.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "agent.cli", "uplink", "--config", str(settings)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=child_environment(),
        )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _await_arrival(
    reader: Subscriber, uplink: subprocess.Popen[bytes], released: int, folder: Path
) -> None:
    """Wait for every released summary. Raises `PublishError` when not one arrives."""
    deadline = time.monotonic() + ARRIVAL_TIMEOUT
    while not reader.wait(released, 0.25):
        if time.monotonic() > deadline or uplink.poll() is not None:
            break
    problems = "; ".join(sorted(set(reader.refused)))
    if reader.summaries and not problems:
        return
    log = (folder / "uplink.log").read_text(encoding="utf-8", errors="replace").splitlines()
    ended = uplink.poll()
    what = (
        f"invalid summaries arrived ({problems})"
        if problems
        else f"none of {released} released summaries arrived over MQTT"
    )
    raise PublishError(
        f"The demo failed: {what}; "
        f"the uplink {'still runs' if ended is None else f'ended with code {ended}'}. "
        f"Its last words: {' | '.join(log[-3:]) or 'none'}. "
        "Check that programs may connect to 127.0.0.1."
    )


def _print_report(outcome: Outcome) -> None:
    console = Console()
    console.print(
        "\nDemo profile: k = 1, no noise, nothing leaves this machine. "
        "A real profile adds noise and withholds small counts.",
        soft_wrap=True,
    )
    console.print(
        summaries_table(
            outcome.summaries,
            f"What arrived over MQTT ({len(outcome.summaries)} of {outcome.released} summaries)",
        )
    )
    if heard := heard_table(outcome.summaries):
        console.print(heard)
    if planted := planted_table(outcome.tones, outcome.words):
        console.print(planted)
    score = outcome.score
    console.print(
        "Counts are visits, each in the window where it ends. `expression` is what a visit mostly "
        "showed, `valence` -1 to 1, `facing` the time turned to the camera; `chance` is how many "
        "false micro-expressions to expect in the minutes in which a face could be analysed.\n"
        "Micro-expressions planted in the clip: "
        f"{score.planted}, found {score.found} ({score.named} with their polarity), "
        f"{score.other} reported that were not planted{_expected_false_alarms(outcome.summaries)}.",
        soft_wrap=True,
    )
    console.print(
        f"Timeline: {one_line(outcome.plot.resolve())}\n"
        f"{outcome.frames} frames in {outcome.seconds:.1f} s.",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )


def _expected_false_alarms(summaries: Sequence[Summary]) -> str:
    """Expected false alarms over the analysable time, as text."""
    known = [each.micro for each in summaries if each.micro]
    tenths = [each.expected_false_alarms_tenths for each in known]
    minutes = sum(each.analysable_seconds for each in known) / 60
    if not known or None in tenths:
        return ""
    alarms = sum(filter(None, tenths)) / 10
    return (
        f" (by chance one expects {alarms:.1f} in the {minutes:.1f} minutes that were analysable)"
    )


def _as_dict(outcome: Outcome) -> dict[str, object]:
    return {
        "profile": "demo",
        "released": outcome.released,
        "arrived": len(outcome.summaries),
        "summaries": [summary.model_dump(mode="json") for summary in outcome.summaries],
        "frames": outcome.frames,
        "micro": asdict(outcome.score),
        "tones": [asdict(each) for each in outcome.tones],
        "words": [asdict(each) for each in outcome.words],
        "plot": as_utf8(outcome.plot.resolve()),
        "seconds": round(outcome.seconds, 2),
    }
