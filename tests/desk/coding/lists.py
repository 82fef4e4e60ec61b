"""Random lists of events."""

from __future__ import annotations

from typing import get_args

from hypothesis import strategies as st

from agent.desk.coding.event import Event, Kind, Polarity, Unit, Verdict

_CHARACTERS = st.characters(
    exclude_categories=["Cc", "Cs"], exclude_characters="￾￿"
) | st.sampled_from(["\t", "\n", "&", "<", '"', "'", "|", ";", ",", "]]>", "n/a", "ש", "🙂"])
TEXT = st.lists(_CHARACTERS, max_size=30).map("".join)
NAMES = st.sampled_from(["", "", "anna", "B & <C>", "Ж (2)", 'a "b"', "fleeting 0.1.0"])


@st.composite
def event(draw: st.DrawFn) -> Event:
    onset = draw(st.integers(0, 10_000_000))
    length = draw(st.integers(1, 3_000))
    apex = draw(st.none() | st.integers(0, length))
    score = draw(st.none() | st.integers(0, 100))
    units = st.builds(
        Unit, st.integers(1, 99), st.sampled_from(("", *"ABCDE")), st.sampled_from(("", "L", "R"))
    )
    return Event(
        onset / 1000,
        (onset + length) / 1000,
        None if apex is None else (onset + apex) / 1000,
        draw(st.sampled_from(get_args(Kind))),
        draw(st.sampled_from((None, *get_args(Polarity)))),
        tuple(draw(st.lists(units, max_size=4))),
        None if score is None else score / 100,
        draw(NAMES),
        draw(st.sampled_from((None, *get_args(Verdict)))),
        draw(TEXT),
    )


def events() -> st.SearchStrategy[list[Event]]:
    """In any order, some at once."""
    return st.lists(event(), max_size=12)
