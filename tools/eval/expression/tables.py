"""The expression model's evaluation as Markdown, for the card and the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.base.types import EXPRESSIONS
from tools.common.tables import markdown
from tools.eval.card import file_lines, join, missing, number, prose

Report = Mapping[str, Any]

INTRODUCTION = """
    `python -m tools.eval expression`, int8 through LiteRT. 95 % intervals in brackets: 1,000
    bootstrap resamples of pictures (of people where they are known). Temperature and the
    threshold of *unsure* were chosen on this same FER+ valid part.
"""
PEERS = """
    **Peers**: none could be run, since no expression network with a licence that allows it is
    bundled. As measured elsewhere, on 8-class FER+ test pictures: the licensed networks reach
    64 %, the best unlicensed one 83 % (90 % on clear majorities) in 27 ms. That is another part
    of FER+ than this one: compare loosely.
"""
GROUPS = """
    **By group**: UTKFace's labels of age, gender and race, partly guessed by a machine. Nobody
    labelled these faces' expressions. *Agrees*: with the pack's teacher, itself a network
    trained on the same votes. The shares of the classes named (the teacher's behind the stroke)
    mix what the people did before the camera with what the networks make of their faces. A
    difference between groups is a question, not a finding, and equal figures do not show
    fairness.
"""
UNITS = """
    **Action units**: correlation with the blendshapes that taught them; and rendered faces of
    which that unit alone grows from 0 to 1, all else unchanged (Spearman's rank correlation
    along the way, rise of the output, mean rise of the other eleven). Intervals of the latter
    over {people} heads. No human FACS coding took part.{own}
"""
OWN_RENDERS = """
    This set of models was trained on pictures of the same renderer (other seeds).
"""
NAMED = EXPRESSIONS[:5]
"""The classes common enough to be listed by group."""


def section(report: Report) -> str:
    """What stands between the markers of models/expression/CARD.md."""
    votes = report["ferplus"]
    classes = [
        (
            name,
            f"{row['recall']['n']:,}",
            number(row["recall"], 0, True),
            number(row["precision"], 0, True),
        )
        for name, row in votes["per_class"].items()
    ]
    confused = [
        (name, *[f"{count:,}" for count in row])
        for name, row in zip(EXPRESSIONS, votes["confusion"], strict=True)
    ]
    sure = [
        (f"{row['confidence']:.2f}", f"{row['accuracy']:.2f}", f"{row['n']:,}")
        for row in votes["reliability"]
    ]
    return join(
        [
            prose(INTRODUCTION),
            markdown(("FER+ valid", "", "pictures"), _votes(report)),
            markdown(("class", "pictures", "recall", "precision"), classes),
            markdown(("people said, network said", *EXPRESSIONS), confused),
            markdown(("confidence", "right", "pictures"), sure),
            prose(PEERS),
            prose(GROUPS),
            _groups(report["groups"]),
            _units(report),
            file_lines(report["file"], {}),
            missing({name: text for name, text in report["missing"].items() if name != "peers"}),
        ]
    )


def _votes(report: Report) -> list[tuple[str, ...]]:
    votes, beside, faces = report["ferplus"], report.get("float"), report["lfw"]
    every = votes["pictures"]
    rows = [
        ("top-1", number(votes["top1"], 1, True), every),
        (
            "top-1, more than 5 of 10 votes",
            number(votes["clear_top1"], 1, True),
            votes["clear_top1"]["n"],
        ),
        ("mean recall of the classes", number(votes["macro_recall"], 1, True), every),
        ("calibration error, the manifest's temperature", number(votes["ece"], 3), every),
        ("same, temperature from the other half", number(votes["ece_crossfit"], 3), every),
        (f"unsure, below {report['unsure_below']:g}", number(votes["unsure"], 1, True), every),
        ("top-1 where sure", number(votes["kept_top1"], 1, True), votes["kept_top1"]["n"]),
    ]
    if beside:
        rows += [
            ("top-1, float", number(beside["top1"], 1, True), every),
            ("int8 minus float", number(beside["ours_minus"], 2, True), every),
            ("int8 and float answer alike", number(beside["same_answer"], 1, True), every),
        ]
    if faces:
        what = "LFW faces with one human label, nearly all neutral or happy"
        rows.append((what, number(faces["top1"], 1, True), faces["pictures"]))
    return [(what, figure, f"{count:,}") for what, figure, count in rows]


def _groups(groups: Report) -> str:
    rows = []
    for kind, cells in groups.items():
        for name, row in cells.items():
            if row["faces"]:
                shares = [
                    f"{_percent(row['named'][c])} / {_percent(row['teacher_named'][c])}"
                    for c in NAMED
                ]
                rows.append(
                    (
                        f"{kind}: {name}",
                        f"{row['faces']:,}",
                        number(row["confidence"]),
                        number(row["unsure"], 0, True),
                        number(row["agrees"], 0, True),
                        *shares,
                    )
                )
    head = ("group", "faces", "confidence", "unsure", "agrees", *[f"{c}, %" for c in NAMED])
    return markdown(head, rows)


def _percent(figure: Mapping[str, Any]) -> str:
    return f"{100 * figure['value']:.0f}"


def _units(report: Report) -> str:
    sweeps = report.get("sweeps", {})
    rows = []
    for name, photo in report["action_units_photographs"].items():
        grown = sweeps.get(name, {})
        figures = [photo, report["action_units_ferplus"][name]]
        figures += [grown.get(key) for key in ("spearman", "rise", "others_rise")]
        rows.append((name, *map(number, figures)))
    head = ("unit", "r, photographs", "r, FER+", "rendered: Spearman", "rise", "others' rise")
    people = next(iter(sweeps.values()))["spearman"]["n"] if sweeps else 0
    own = " " + OWN_RENDERS if report["set"] == "clean" else ""
    return join([prose(UNITS.format(people=people, own=own)), markdown(head, rows)])
