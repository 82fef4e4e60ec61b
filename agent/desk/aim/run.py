"""`fleeting aim`: what the camera sees of faces, drawn in the terminal, and how good its place is.

Nothing is stored and nothing leaves: pictures are read as the agent reads them, by the camera's own
process, and what is drawn is made of dots and lines.
"""

from __future__ import annotations

import contextlib
import json
import math
import threading
import time
from collections import deque
from collections.abc import Iterator

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from agent.base.config import AgentConfig
from agent.base.names import one_line
from agent.base.report import EventCode
from agent.base.types import Frame, Grey, Perceived
from agent.desk.aim.face import nearest, scene, schematic, words
from agent.desk.aim.placement import FIT, Judge, Placement, rows
from agent.desk.check_camera import turned
from agent.perceive.capture.resilient import resilient_frames
from agent.perceive.capture.spawn import CameraProcess
from agent.privacy.policy.rules import resolve
from agent.privacy.zones import StaffZones
from agent.vision.exposure import exposure
from agent.vision.pipeline import Pipeline

DEFAULT_SECONDS = 30.0
"""Where nobody watches who could end it."""
_EVERY = 0.5
"""Source seconds between two measurements of the exposure."""
_REDRAW = 0.1
"""Seconds between two drawings."""
_SAMPLES, _TURNED_AT = 5, 5.0
"""Pictures in which it is tried whether the camera is turned, and source seconds before that."""
_FACE = 26, 13
"""Columns and lines of the drawn face."""
_WIDEST = 100
_BAR = 20


def aim(
    config: AgentConfig,
    *,
    camera: CameraProcess | None,
    stop: threading.Event,
    seconds: float | None = None,
    as_json: bool = False,
) -> int:
    """Look until `stop`, the end of a film, or for `seconds`; returns 0 where the place is good,
    else 1. `camera`: what reads it, started before the sandbox; None: it is started here.

    Raises `CaptureError`, `ConfigError`, `ModelError`.
    """
    console = Console()
    watched = console.is_terminal and not as_json
    live = config.source.kind != "file"
    if seconds is None and not watched and live:
        seconds = DEFAULT_SECONDS
    session = _Session(config)
    found = Placement((), 0)
    view = Live(console=console, auto_refresh=False, transient=True) if watched else None
    with view or contextlib.nullcontext():
        drawn = -math.inf
        for frame in _frames(config, camera, stop, session):
            perceived = session.see(frame)
            if view and time.monotonic() - drawn >= _REDRAW:
                drawn = time.monotonic()
                view.update(_screen(console, perceived, session), refresh=True)
            if seconds is not None and session.seconds >= seconds:
                break
        session.find_up()
        found = session.judge.placement()
    if as_json:
        print(json.dumps(_record(found, session)))
    else:
        console.print(_parts(found))
        for line in _advice(found, session):
            console.print(escape(line))
    return 0 if found.fit and not session.turned else 1


class _Session:
    """What is known since the start; hears from the camera (`CaptureListener`)."""

    fps: float | None = None

    def __init__(self, config: AgentConfig) -> None:
        policy = resolve(config, live=False)
        self._config = config
        self._pipeline = Pipeline(
            config,
            expressions=policy.infers_emotion,
            limited=config.source.kind != "file",
            zones=StaffZones(policy.zones),
        )
        self.judge = Judge(config, micro=policy.infers_emotion and config.micro.enabled)
        self.turned = ""
        """Advice where faces are upright only after a turn."""
        self.trouble = ""
        """What is wrong with the camera now."""
        self._first: float | None = None
        self._last = 0.0
        self._measured = -math.inf
        self._samples: deque[Grey] | None = deque(maxlen=_SAMPLES)
        """Newest measured pictures, until it is known which way is up."""

    @property
    def seconds(self) -> float:
        """Of the source's clock."""
        return self._last - self._first if self._first is not None else 0.0

    def see(self, frame: Frame) -> Perceived:
        """Add one frame."""
        self._first = frame.time if self._first is None else self._first
        self._last = frame.time
        perceived = self._pipeline(frame)
        due = frame.time - self._measured >= _EVERY
        self.judge.add(perceived, exposure(frame.luma) if due else None)
        if due:
            self._measured = frame.time
            if self._samples is not None:
                self._samples.append(frame.luma)
                if self.seconds >= _TURNED_AT:
                    self.find_up()
        return perceived

    def find_up(self) -> None:
        """Try, once, whether the camera is turned."""
        if self._samples:
            self.turned = turned(list(self._samples), self._config)
        self._samples = None

    def stalled(self, *, away: bool) -> None:
        self.trouble = "The camera is away." if away else "The camera hangs; it is opened again."

    def noticed(self, code: EventCode) -> None:
        self.trouble = f"The camera shows nothing ({code})."

    def reopened(self) -> None:
        self.trouble = ""


def _frames(
    config: AgentConfig,
    camera: CameraProcess | None,
    stop: threading.Event,
    session: _Session,
) -> Iterator[Frame]:
    for frame, _, _ in resilient_frames(config.source, stop, session, camera):
        yield frame


def _screen(console: Console, perceived: Perceived, session: _Session) -> Group:
    """One drawing: the picture's frame with its faces, the nearest face, the score."""
    found = session.judge.placement()
    width, height = perceived.size or (4, 3)
    room = max(console.height - _FACE[1] - 4, 6)
    columns = min(console.width - 1, _WIDEST, round(2 * room * width / height))
    lines = max(round(columns / 2 * height / width), 1)
    face = nearest(perceived.faces)
    below = Table.grid(padding=(0, 2))
    drawn = schematic(face.landmarks.points, *_FACE) if face else [" " * _FACE[0]] * _FACE[1]
    below.add_row(Text("\n".join(drawn)), _parts(found))
    told = words(face) if face else "nobody in view"
    hints = [session.trouble, *_advice(found, session)[:2]]
    return Group(
        Text("\n".join(scene(perceived, columns, lines))),
        Text(f"nearest face: {told}"),
        below,
        Text("\n".join(hint for hint in hints if hint)),
    )


def _parts(found: Placement) -> Table:
    """The parts of the score, as bars."""
    table = Table(box=None, show_header=False, padding=(0, 1))
    score = found.score
    verdict = "cannot be told yet" if score is None else ("good" if found.fit else "not good")
    table.add_row("score", _bar(score), "-" if score is None else str(score), verdict)
    for part in found.parts:
        value = "-" if part.score is None else str(part.score)
        table.add_row(part.name, _bar(part.score), value, part.found)
    return table


def _bar(score: int | None) -> Text:
    full = round(_BAR * (score or 0) / 100)
    colour = "green" if (score or 0) >= FIT else "yellow"
    return Text("━" * full, style=colour) + Text("─" * (_BAR - full), style="dim")


def _advice(found: Placement, session: _Session) -> list[str]:
    return [each for each in (session.turned, *found.advice) if each]


def _record(found: Placement, session: _Session) -> dict[str, object]:
    return {
        "score": found.score,
        "fit": found.fit and not session.turned,
        "seconds": round(session.seconds, 1),
        "parts": list(rows(found)),
        "advice": [one_line(each) for each in _advice(found, session)],
    }
