"""What the page shows and takes, as JSON, for one rater.

Another rater's answers are never read. Where the rater is *blind*, the program's score, units and
polarity are not in what is sent until that movement was answered.
"""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from agent.desk.coding.event import LONGEST
from agent.desk.review import face
from agent.desk.review.answers import MOST_COMMENT, Answer, AnswerFile, check_rater, of_record
from agent.desk.review.material import FaceTrace, Movement, Session
from agent.perceive.traces.session import mark_of, read_withdrawn

_MOST_ROWS = 20_000
"""Of a face, that are drawn."""
_MOST_OWN = 1000
"""Movements of the rater's own, of a session."""
_OWN = re.compile(r"(\d+\.\d+)\.own-(\d+)")


class RefusedError(Exception):
    """A request that cannot be answered; the text goes to the page."""


class Page:
    """Thread-safe."""

    def __init__(
        self, folder: Path, sessions: Sequence[Session], rater: str, *, blind: bool
    ) -> None:
        """`folder`: the study's. Raises `ReviewError`."""
        self._folder, self._rater, self._blind = folder, check_rater(rater), blind
        self._sessions = {session.name: session for session in sessions}
        self._lock = threading.Lock()
        for name in self._sessions:
            self._answers(name).read()  # damage is said before the browser is opened

    def study(self) -> dict[str, Any]:
        """The list of sessions with this rater's progress. Raises `ReviewError`."""
        return {
            "rater": self._rater,
            "blind": self._blind,
            "comment": MOST_COMMENT,
            "sessions": [self._entry(each) for each in self._sessions.values()],
        }

    @staticmethod
    def face() -> dict[str, Any]:
        """The schematic face."""
        return face.drawing()

    def session(self, name: str) -> dict[str, Any]:
        """All that is shown of one. Raises `RefusedError`, `ReviewError`."""
        session = self._known(name)
        answers = self._answers(name).read()
        return {
            **self._entry(session, answers),
            "units": list(session.units),
            "channels": list(session.channels),
            "seconds": round(session.seconds, 2),
            "faces": {each: _rows(trace) for each, trace in session.faces.items()},
            "items": [
                self._shown(item, movement, answers.get(item))
                for item, movement in session.movements().items()
            ],
            "own": [
                _answer(each) for each in answers.values() if each.own and each.verdict == "agree"
            ],
        }

    def answer(self, name: str, body: bytes) -> dict[str, Any]:
        """Store an answer; returns the item as it is shown now, and the progress. Raises
        `RefusedError`, `ReviewError`."""
        session = self._known(name)
        with self._lock:
            answers = self._answers(name).read()
            answer = self._parsed(session, body, answers)
            self._answers(name).add(answer)
            answers[answer.item] = answer
        movement = session.movements().get(answer.item)
        shown = self._shown(answer.item, movement, answer) if movement else _answer(answer)
        return {"item": shown, "session": self._entry(session, answers)}

    def _parsed(self, session: Session, body: bytes, answers: dict[str, Answer]) -> Answer:
        try:
            said = json.loads(body)
            item = said["item"]
            movement = session.movements().get(item)
            own = _OWN.fullmatch(item)
            if movement is None and own is None:
                raise ValueError("it names no movement of this session")
            if own is not None and (own[1] not in session.faces or int(own[2]) > _MOST_OWN):
                raise ValueError("it names no face of this session, or there are too many")
            times = None if movement is None else (movement.onset, movement.offset)
            before = answers.get(item)
            # whoever has seen the score once is blind no more
            blind = self._blind and (before is None or before.blind) and movement is not None
            return of_record({**said, "program": times, "blind": blind})
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            why = str(error) if type(error) is ValueError else "it is not complete"
            raise RefusedError(f"This cannot be an answer: {why}.") from None

    def _known(self, name: str) -> Session:
        session = self._sessions.get(name)
        if session is None:
            raise RefusedError("There is no such session.")
        if mark_of(name) in read_withdrawn(self._folder):
            with self._lock:
                self._sessions.pop(name, None)
            raise RefusedError("This session was withdrawn.")
        return session

    def _answers(self, name: str) -> AnswerFile:
        return AnswerFile(self._folder, name, self._rater)

    def _entry(self, session: Session, answers: dict[str, Answer] | None = None) -> dict[str, Any]:
        if answers is None:
            answers = self._answers(session.name).read()
        items = session.movements()
        return {
            "name": session.name,
            "label": session.label,
            "kind": session.kind,
            "day": session.day,
            "notes": session.notes,
            "movements": len(items),
            "answered": len(items.keys() & answers.keys()),
        }

    def _shown(self, item: str, movement: Movement, answer: Answer | None) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "item": item,
            "face": item.rpartition(".")[0],
            "onset": movement.onset,
            "apex": movement.apex,
            "offset": movement.offset,
            "strip": None,
            "answer": None if answer is None else _answer(answer),
        }
        if movement.strip is not None:
            strip = movement.strip
            shown["strip"] = {
                "begin": strip.begin,
                "step": strip.step,
                "values": np.rint(strip.values.T * 1e4).astype(int).tolist(),
            }
        if answer is not None or not self._blind:
            shown["program"] = {
                "score": round(movement.score, 2),
                "intensity": round(movement.intensity, 4),
                "polarity": movement.polarity,
                "units": list(movement.units),
            }
        return shown


def _answer(answer: Answer) -> dict[str, Any]:
    return {**asdict(answer), "face": answer.face}


def _rows(trace: FaceTrace) -> dict[str, Any]:
    """Every row, or every so many; numbers that are none are null."""
    every = max(1, math.ceil(len(trace.times) / _MOST_ROWS))
    return {
        "t": [round(each, 2) for each in trace.times[::every] if each <= LONGEST],
        "units": [[_or_null(each) for each in row] for row in trace.units[::every]],
        "valence": [_or_null(each) for each in trace.valence[::every]],
        "arousal": [_or_null(each) for each in trace.arousal[::every]],
        "pose": [[_or_null(each) for each in row] for row in trace.pose[::every]],
    }


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 2)
