"""`fleeting review agreement`: how far two raters agree with each other and with the program.

Compared are faces of which both have judged something. *Verdicts*: Cohen's kappa over movements of
the program that both judged. *Units*: kappa of whether a unit was named, over movements in which
both saw one; *intensity*: linearly weighted kappa of the letters where both named the unit.
*Events*: F1 where two movements are the same if their intersection is at least half of their union
(`agent.desk.coding.agreement`), over what each holds for a movement: those they agree with, as they
timed them, and their own. No key is needed: answers hold the times.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from agent.base.names import one_line
from agent.desk.coding.agreement import IOU, Kappa, kappa, spotted
from agent.desk.coding.event import Event, Verdict, units
from agent.desk.review.answers import Answer, AnswerFile, check_rater, raters_of
from agent.desk.review.errors import ReviewError

_LETTERS = tuple("ABCDE")
Said = Mapping[tuple[str, str], Answer]
"""By session and item."""


@dataclass(frozen=True, slots=True)
class Matched:
    """Events of two, over all faces."""

    hits: int
    first: int
    second: int

    @property
    def f1(self) -> float:
        """NaN where there is neither."""
        both = self.first + self.second
        return 2 * self.hits / both if both else math.nan


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of two raters."""

    raters: tuple[str, str]
    faces: int
    verdicts: Kappa
    units: Mapping[str, Kappa]
    """By unit, such as `12`."""
    intensity: Kappa
    events: Matched
    with_program: tuple[Matched, Matched]
    """Of each rater, over the movements of the program that they judged, and their own."""


def agree(folder: Path, raters: Sequence[str] = ()) -> Agreement:
    """`raters`: two; none: the only two. Raises `ReviewError`."""
    try:
        by_session = raters_of(folder)
    except OSError as error:
        raise ReviewError(f"{one_line(folder)} cannot be read: {error.strerror}.") from None
    known = sorted({each for names in by_session.values() for each in names})
    chosen = tuple(map(check_rater, raters)) or tuple(known)
    if len(set(chosen)) != 2 or not set(chosen) <= set(known):
        listed = ", ".join(known) or "nobody"
        raise ReviewError(
            f"Two raters are compared, and here {listed} answered. Name two with --raters A,B."
        )
    first, second = (
        {
            (session, item): answer
            for session, names in by_session.items()
            if rater in names
            for item, answer in AnswerFile(folder, session, rater).read().items()
        }
        for rater in chosen
    )
    return compare((chosen[0], chosen[1]), first, second)


def compare(raters: tuple[str, str], first: Said, second: Said) -> Agreement:
    """From the answers that hold."""
    faces = _faces(first) & _faces(second)
    both = sorted(
        key for key in first.keys() & second.keys() if not (first[key].own or second[key].own)
    )
    seen = [key for key in both if first[key].verdict == "agree" and second[key].verdict == "agree"]
    coded = [(_units(first[key]), _units(second[key])) for key in seen]
    named = sorted({unit for pair in coded for one in pair for unit in one}, key=int)
    letters = [
        (one[unit], other[unit])
        for one, other in coded
        for unit in one.keys() & other.keys()
        if one[unit] and other[unit]
    ]
    return Agreement(
        raters,
        len(faces),
        kappa([first[key].verdict for key in both], [second[key].verdict for key in both],
              get_args(Verdict)),
        {
            unit: kappa([unit in one for one, _ in coded], [unit in two for _, two in coded],
                        (True, False))
            for unit in named
        },
        kappa([a for a, _ in letters], [b for _, b in letters], _LETTERS, "linear"),
        _matched(_held(first, faces), _held(second, faces)),
        (
            _matched(_programs(first), _held(first, _faces(first))),
            _matched(_programs(second), _held(second, _faces(second))),
        ),
    )  # fmt: skip


Faces = Mapping[tuple[str, str], Sequence[Event]]


def _faces(said: Said) -> set[tuple[str, str]]:
    return {(session, answer.face) for (session, _), answer in said.items()}


def _held(said: Said, faces: Iterable[tuple[str, str]]) -> Faces:
    """What a rater holds for movements, by session and face."""
    found: dict[tuple[str, str], list[Event]] = {face: [] for face in faces}
    for (session, _), answer in said.items():
        if answer.verdict == "agree" and (session, answer.face) in found:
            found[session, answer.face].append(answer.event(""))
    return found


def _programs(said: Said) -> Faces:
    """The program's movements that a rater judged."""
    found: dict[tuple[str, str], list[Event]] = {}
    for (session, _), answer in said.items():
        if answer.program is not None:
            found.setdefault((session, answer.face), []).append(Event(*answer.program))
    return found


def _matched(first: Faces, second: Faces) -> Matched:
    hits = sum(
        len(spotted(first.get(face, ()), second.get(face, ())).hits)
        for face in first.keys() | second.keys()
    )
    return Matched(hits, sum(map(len, first.values())), sum(map(len, second.values())))


def _units(answer: Answer) -> dict[str, str]:
    """Letters by unit; of a unit named for both sides apart the last."""
    return {str(each.number): each.intensity for each in units(answer.units)}


def record(found: Agreement) -> dict[str, Any]:
    """For programs; what is not a number is null."""

    def of(each: Kappa) -> dict[str, Any]:
        return {"kappa": _or_null(each.value), "low": _or_null(each.low),
                "high": _or_null(each.high), "items": each.items}  # fmt: skip

    def matched(each: Matched) -> dict[str, Any]:
        return {"f1": _or_null(each.f1), "hits": each.hits, "first": each.first,
                "second": each.second}  # fmt: skip

    return {
        "raters": list(found.raters),
        "faces": found.faces,
        "verdicts": of(found.verdicts),
        "units": {name: of(each) for name, each in found.units.items()},
        "intensity": of(found.intensity),
        "events": {**matched(found.events), "iou": IOU},
        "with_program": [matched(each) for each in found.with_program],
    }


def show(found: Agreement, *, as_json: bool) -> None:
    """Print it."""
    if as_json:
        print(json.dumps(record(found)))
        return
    one, two = found.raters
    print(f"{one} and {two}, {found.faces} faces that both judged")
    print(_line("verdicts", found.verdicts))
    for unit, each in found.units.items():
        print(_line(f"unit {unit}", each))
    print(_line("intensity", found.intensity))
    print(_events(f"{one} - {two}", found.events))
    for rater, events in zip(found.raters, found.with_program, strict=True):
        print(_events(f"program - {rater}", events))
    print(
        "Kappa with a 95 % interval, too narrow for few items; F1 at an overlap of "
        f"{IOU:g}. Where both always said the same there is no kappa."
    )


def _line(name: str, each: Kappa) -> str:
    value = "  -" if math.isnan(each.value) else (
        f"{each.value:5.2f}  [{each.low:.2f}, {each.high:.2f}]"
    )  # fmt: skip
    return f"  {name:<22} kappa {value}  of {each.items}"


def _events(name: str, each: Matched) -> str:
    value = "  -" if math.isnan(each.f1) else f"{each.f1:5.2f}"
    return f"  {name:<22} F1    {value}  {each.hits} the same of {each.first} and {each.second}"


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)
