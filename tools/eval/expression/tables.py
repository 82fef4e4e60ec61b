"""The expression model's evaluation as Markdown, for the card and the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.base.types import EXPRESSIONS
from tools.common.tables import markdown
from tools.eval.card import file_lines, join, missing, number, prose
from tools.eval.expression.groups import SURE

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
    labelled these faces' expressions. *Errors*: answers other than those of {reference}, where
    that is sure ({sure:g} and above); *more*: against everybody else of whom the same label is
    known; *neutral as negative*: of the faces it calls neutral, those called sad, angry, disgusted,
    afraid or contemptuous. Over all faces {errors} are such errors. What it gets wrong itself, for
    all or for some, is not seen here. The shares of the classes named (the reference's behind the
    stroke) mix what the people did before the camera with what the networks make of their faces. A
    difference between groups is a question, not a finding, and equal figures do not show fairness.
"""
WHOLE = """
    **Whole photographs**: unseen faces with surroundings, pasted on pictures without a face where
    their own end at the chin, found, placed and cut as `fleeting inspect` does, beside crops by the
    labelled points. A crop and its mirror image, the same face twice, get the same answer in
    {mirror}. The crops are moved by {x} and {y} px, turned by {turn} degrees and enlarged by
    {scale} % (spreads) of those by the labels.
"""
AFFECT = """
    **Valence and arousal** beside something that the network did not say (correlations): the votes'
    own valence and arousal on FER+; on photographs smiles less frowns (AU12 - AU04) for valence,
    and wide eyes and open mouths (AU05, AU25, AU26) for arousal, as two teachers see them.
    *Entropy*: whether the network doubts where voters disagree. That they follow faces says nothing
    of feelings.
"""
SECOND = """
    **A second opinion on action units**: correlation with OpenFace's regressors on photographs, of
    our outputs and of the blendshapes that taught them, in units that both know; without profiles
    and faces on whose points the two disagree. Where the teachers themselves agree little, nobody
    here knows the unit well. Units that only the second one knows (AU06, 09, 14, 17, 20, 23) helped
    in training where the card says so and are not given out: nothing could confirm them.
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
            _whole(report),
            prose(
                GROUPS.format(
                    reference=report["reference"],
                    sure=SURE,
                    errors=number(report["errors"], 1, True),
                )
            ),
            _groups(report["groups"]),
            _affect(report),
            _units(report),
            _second(report.get("second_opinion", {})),
            file_lines(report["file"], {}),
            missing({name: text for name, text in report["missing"].items() if name != "peers"}),
        ]
    )


def _votes(report: Report) -> list[tuple[str, ...]]:
    votes, beside, faces = report["ferplus"], report.get("float"), report["lfw"]
    still = report["still"]
    every = votes["pictures"]
    rows = [
        ("top-1", number(votes["top1"], 1, True), every),
        (
            "top-1, more than 5 of 10 votes",
            number(votes["clear_top1"], 1, True),
            votes["clear_top1"]["n"],
        ),
        (
            "mean recall of the eight classes (balanced accuracy)",
            number(votes["macro_recall"], 1, True),
            every,
        ),
        ("calibration error, the manifest's temperature", number(votes["ece"], 3), every),
        ("same, temperature from the other half", number(votes["ece_crossfit"], 3), every),
        (f"unsure, below {report['unsure_below']:g}", number(votes["unsure"], 1, True), every),
        ("top-1 where sure", number(votes["kept_top1"], 1, True), votes["kept_top1"]["n"]),
        ("`fleeting inspect --crop` (four views): top-1", number(still["top1"], 1, True), every),
        (
            "same, more than 5 of 10 votes",
            number(still["clear_top1"], 1, True),
            still["clear_top1"]["n"],
        ),
        ("same, balanced accuracy", number(still["macro_recall"], 1, True), every),
        ("same, calibration error", number(still["ece"], 3), every),
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


def _whole(report: Report) -> str:
    figures, crops = report["whole_photographs"], report["lfw"]
    place = figures["framing"]
    text = WHOLE.format(
        mirror=number(report["mirror"], 1, True),
        x=f"{place['x_px']['spread']:.1f}",
        y=f"{place['y_px']['spread']:.1f}",
        turn=f"{place['degrees']['spread']:.1f}",
        scale=f"{100 * place['log_scale']['spread']:.1f}",
    )
    rows = [
        ("found", number(figures["found"], 1, True), f"{figures['faces']:,}"),
        (
            "same answer as the crop by labels",
            number(figures["same_answer"], 1, True),
            f"{figures['same_answer']['n']:,}",
        ),
    ]
    if crops and "lfw" in figures:
        named = figures["lfw"]
        count = f"{named['whole']['n']:,}"
        rows += [
            ("LFW, human labels, whole", number(named["whole"], 1, True), count),
            ("same faces, crops by labels", number(named["crop"], 1, True), count),
            ("whole minus crop", number(named["whole_minus"], 1, True), count),
        ]
    return join([prose(text), markdown(("whole photographs", "", "faces"), rows)])


def _groups(groups: Report) -> str:
    rows = []
    for kind, cells in groups.items():
        for name, row in cells.items():
            if row["faces"]:
                shares = [
                    f"{_percent(row['named'][c])} / {_percent(row['reference_named'][c])}"
                    for c in NAMED
                ]
                rows.append(
                    (
                        f"{kind}: {name}",
                        f"{row['faces']:,}",
                        number(row["confidence"]),
                        number(row["unsure"], 0, True),
                        number(row["errors"], 1, True),
                        number(row["more_errors"], 1, True),
                        number(row["neutral_called_negative"], 1, True),
                        *shares,
                    )
                )
    head = (
        *("group", "faces", "confidence", "unsure", "errors", "more", "neutral as negative"),
        *[f"{c}, %" for c in NAMED],
    )
    return markdown(head, rows)


def _affect(report: Report) -> str:
    voted = report["affect_votes"]
    rows = [
        ("FER+, the voters", number(voted["valence"]), number(voted["arousal"])),
        *[
            (f"photographs, {name}", number(row["valence"]), number(row["arousal"]))
            for name, row in report["movements"].items()
        ],
    ]
    table = markdown(("beside", "valence", "arousal"), rows)
    return join([prose(AFFECT), table, f"Entropy: {number(voted['entropy'])}."])


def _second(opinion: Report) -> str:
    rows = [
        (name, number(row["ours"]), number(row["first_teacher"])) for name, row in opinion.items()
    ]
    return join([prose(SECOND), markdown(("unit", "ours", "blendshapes"), rows)]) if rows else ""


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
