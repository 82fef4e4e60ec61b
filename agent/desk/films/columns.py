"""The columns of the tables, with types, units and meanings."""

from __future__ import annotations

from typing import Literal, NamedTuple

from agent.base.types import ACTION_UNITS, CHANNELS, EXPRESSIONS, SENTIMENTS, TONES, UNSURE
from agent.privacy.window import POLARITIES

Type = Literal["text", "int", "float"]


class Column(NamedTuple):
    """One column; a cell that is empty does not apply, or was not measured."""

    name: str
    type: Type
    unit: str
    """Empty where it has none."""
    meaning: str


_FILM = (
    Column("film", "text", "", "path of the film; a byte that is no UTF-8 as \\xE9"),
    Column("page", "text", "", "folder of its page, beside this table"),
)
_UNITS = tuple(
    Column(name.lower(), "float", "0 to 1", f"mean intensity of {name}") for name in ACTION_UNITS
)
_READ = (
    Column("valence", "float", "-1 to 1", "mean over the readings"),
    Column("arousal", "float", "-1 to 1", "mean over the readings"),
    *_UNITS,
)
"""Of a face, or of all."""


def _counts(prefix: str, names: tuple[str, ...], of: str) -> list[Column]:
    return [Column(f"{prefix}_{name}", "int", "visits", of.format(name)) for name in names]


WINDOWS = (
    *_FILM,
    Column("start_s", "float", "s", "start of the window in the film"),
    Column("length_s", "int", "s", "length of the window"),
    Column("merged", "int", "windows", "earlier windows, withheld then, that are counted here"),
    Column("visits", "int", "visits", "that ended in the window; empty: withheld"),
    Column("passing", "int", "stays", "too short for a visit: people who passed by"),
    *_counts("expression", (*EXPRESSIONS, UNSURE), "visits whose dominant expression was {}"),
    Column("valence_sum", "int", "hundredths", "sum over visits of their mean valence"),
    Column("arousal_sum", "int", "hundredths", "sum over visits of their mean arousal"),
    *_counts("attention", ("under_1", "from_1_to_5", "from_5_to_15", "over_15"),
             "visits by seconds facing the camera: {}"),
    *_counts("dwell", ("under_5", "from_5_to_15", "from_15_to_30", "from_30_to_60", "over_60"),
             "visits by seconds in view: {}"),
    *_counts("micro", POLARITIES, "visits with a micro-expression, polarity {}"),
    Column("micro_analysable_visits", "int", "visits", "in which one could be seen"),
    Column("micro_analysable_s", "int", "s", "in which one could be seen, over visits"),
    Column("micro_expected_false_alarms", "float", "events", "to be expected by chance"),
    *_counts("tone", (*TONES, UNSURE), "visits whose dominant tone of voice was {}"),
    *_counts("words", (*SENTIMENTS, UNSURE), "visits whose words were {}"),
    *_counts("together", (*SENTIMENTS, UNSURE), "visits whose channels together were {}"),
    *_counts("channels", CHANNELS, "visits in which this channel took part: {}"),
    Column("fps", "int", "1/s", "frames a second that were looked at"),
    Column("usable", "int", "%", "of the frames that were looked at"),
    Column("flags", "text", "", "problems of pictures and sound, separated by spaces"),
    Column("withheld", "text", "", "cell:reason, separated by spaces"),
    Column("epsilon", "float", "", "of the noise on each visit; 0: none was added"),
)  # fmt: skip
"""As `fleeting replay --json` prints them: noised where the policy asks for it."""

VISITS = (
    *_FILM,
    Column("visit", "int", "", "number within the film, by beginning; nobody is recognised"),
    Column("start_s", "float", "s", "first seen"),
    Column("end_s", "float", "s", "last seen"),
    Column("dwell_s", "float", "s", "from first to last"),
    Column("attention_s", "float", "s", "facing the camera"),
    Column("expression", "text", "", "dominant over the readings; unsure where most of them are"),
    Column("readings", "int", "", "of the expression"),
    *(Column(f"share_{e}", "float", "", f"of the readings that name {e}") for e in EXPRESSIONS),
    Column("share_unsure", "float", "", "of the readings that name nothing"),
    *_READ,
    Column("micro_events", "int", "", "micro-expressions spotted"),
    Column("micro_polarities", "text", "", "of these, separated by spaces"),
    Column("analysable_s", "float", "s", "in which one could be seen"),
    Column("micro_outcome", "text", "", "analysable, or the main reason why not"),
    Column("eye_distance_px", "float", "px", "largest distance of the outer eye corners"),
    Column("speech_s", "float", "s", "of speech that is this face's"),
    Column("tone", "text", "", "dominant tone of that speech"),
    Column("words", "text", "", "dominant sentiment of words"),
    Column("together", "text", "", "face, voice and words together"),
)  # fmt: skip
"""Exact, one row a visit."""

EVENTS = (
    *_FILM,
    Column("kind", "text", "", "micro, tone or words"),
    Column("visit", "int", "", "whose; empty: nobody's in particular, the room's"),
    Column("start_s", "float", "s", "onset"),
    Column("apex_s", "float", "s", "greatest extent, of a micro-expression"),
    Column("end_s", "float", "s", "offset"),
    Column("label", "text", "", "polarity of a micro-expression, tone, sentiment of words"),
    Column("score", "float", "0 to 1", "of a micro-expression; else probability of the label"),
    Column("intensity", "float", "eye distances", "peak displacement of a micro-expression"),
    Column("action_units", "text", "", "of a micro-expression, strongest first, FACS"),
    Column("valence", "float", "-1 to 1", "of a tone"),
    Column("arousal", "float", "-1 to 1", "of a tone"),
)
"""One row each. What was said is nowhere."""

COURSE = (
    Column("start_s", "float", "s", "start of the step"),
    Column("end_s", "float", "s", "end of the step"),
    Column("frames", "int", "frames", "looked at"),
    Column("faces", "float", "faces", "in view, mean over frames"),
    Column("faces_most", "int", "faces", "in view at once"),
    Column("attentive", "float", "", "share of the faces that faced the camera"),
    Column("eye_distance_px", "float", "px", "outer eye corners, mean over faces"),
    Column("readings", "int", "", "of expressions"),
    *(Column(f"readings_{e}", "int", "", f"that name {e}") for e in (*EXPRESSIONS, UNSURE)),
    *_READ,
    Column("analysable", "float", "", "share of the faces analysable for micro-expressions"),
    Column("speech", "float", "0 to 1", "probability of speech, mean"),
    Column("brightness", "float", "0 to 255", "95th percentile of the picture"),
)  # fmt: skip
"""Of each film's own `course.csv`, a row a step."""

TABLES = {"windows": WINDOWS, "visits": VISITS, "events": EVENTS}
"""Over all films; each as CSV and, with pyarrow, as Parquet."""


def as_markdown() -> str:
    """What every column means, for people."""
    parts = [
        "# Columns\n\n"
        "CSV is UTF-8 with a header; an empty cell: does not apply, or was not measured. Seconds "
        "are from the beginning of the film. `columns.json` says the same.\n"
    ]
    for name, columns in (*TABLES.items(), ("course", COURSE)):
        where = "in each film's folder" if name == "course" else "and `.parquet`"
        parts.append(f"\n## {name}.csv\n\n`{name}.csv` {where}.\n\n")
        parts.append("| column | type | unit | meaning |\n|---|---|---|---|\n")
        parts += [f"| `{c.name}` | {c.type} | {c.unit} | {c.meaning} |\n" for c in columns]
    return "".join(parts)


def as_json() -> dict[str, list[dict[str, str]]]:
    """The same, for programs."""
    every = (*TABLES.items(), ("course", COURSE))
    return {name: [column._asdict() for column in columns] for name, columns in every}
