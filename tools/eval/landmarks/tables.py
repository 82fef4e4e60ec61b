"""The landmark model's evaluation as Markdown, for the card and the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.common.tables import markdown
from tools.eval.card import OURS, beside, file_lines, join, missing, number, prose
from tools.train.landmarks.candidates import SCORE_ABOVE

Report = Mapping[str, Any]

INTRODUCTION = """
    `python -m tools.eval landmarks`: {faces:,} unseen faces of the packs; errors in % of the
    outer eye-corner distance (IOD) after two passes, the first from a detector's keypoints
    (s.d.: turn 4 degrees, scale 5 %, shift 3 % of the crop). 95 % intervals in brackets: 1,000
    bootstrap resamples of people, of pictures where the person is unknown. **Bold**: the paired
    difference to ours excludes 0.
"""
TEACHERS = """
    **Against labels that networks made**: how well the model repeats its teachers on unseen
    faces. *As trained*: the labels that training has, the consensus of FaceMesh v2,
    PFLD-GhostOne and dlib's regression trees, moved towards the hand-made convention. *Single
    teachers*: the packs' own, FaceMesh v2 (points 17-67) and PFLD-GhostOne (jaw) on the colour
    originals. Those are not scored here; it would be circular. *Stills*: the second pass takes
    the crop and its mirror image, as `fleeting inspect` does.
"""
GROUPS = """
    Age, gender and race are UTKFace's own labels, partly guessed by a machine. The figures say
    how far the network strays from its teachers in each group, not how far both stray from the
    truth: a group that the teachers place badly can look good here. No fairness can be
    concluded.
"""
RENDERED = """
    **Against exact points of rendered faces** (`tools.render`: ICT-FaceKit heads of random
    shape, expression, light and pose; procedural skin, hair, glasses). Both peers and ours get
    the same rough keypoints and two passes. *Offsets out*: each network's mean offset per
    point, measured on the other half of the heads, is taken out, because conventions define
    points differently. FaceMesh's jaw follows another contour and is not compared. Rendered
    skin is easier or harder for each network in its own way: a truth of geometry, not of
    photographs.{own}
"""
OWN_RENDERS = """
    This set of models was trained on pictures of the same renderer (other seeds), the peers
    were not: the comparison favours it.
"""
YOUTUBE = """
    **Against YouTube Faces' own points** on {faces} frames of unseen people. A machine made
    those too, in another maker's reading of iBUG's convention: "offsets out" is the fairer row,
    and the common part of all errors is the truth's own. *Labels of training*: the teachers'
    consensus on these very frames, not a network's answer.
"""
LABELS = """
    **The labels and the votes behind them** against the same points on all {faces:,} frames,
    those of training among them; FaceMesh's column has GhostOne's jaw, as the packs do. Bold:
    the difference to the labels excludes 0.
"""
PRESENCE = """
    **Presence on what the detector offers** from a score of {least:g} on: {faces:,} marked faces
    and {false:,} others of unseen scenes and face-free pictures, each after two passes. The
    detector's own score gives an AUC of {detector:.3f}. *Kept*: faces above the presence that
    the given share of the others passes.
"""
CROP = """
    **Against the crop**: inner error by how rough the first crop is, in multiples of that
    detector's error.
"""
STILL = """
    **Noise on still faces** some 100 px wide (IOD 55 px) with fresh sensor noise of the given
    s.d. (grey levels) in every frame, each frame followed from the answer for the one before,
    before any stabilising: s.d. per coordinate over time, median face, % of the IOD.
    *Similarity out*: the shift, turn and scale that all points of a frame share are removed, as
    the search for micro-expressions does.
"""
EXPECTED = """
    **Expected error per point** against the one made (teachers' labels, inner points, % of the
    IOD): made over expected {ratio}, correlation over points {correlation}. Points by fifths of
    what was expected:
"""


def section(report: Report) -> str:
    """What stands between the markers of models/landmarks/CARD.md."""
    own = report["teacher"][OURS]
    parts = [
        prose(INTRODUCTION.format(faces=report["faces"])),
        prose(TEACHERS),
        _teachers(report),
        f"int8 minus float, inner 51: {number(report['int8_minus_float'], 3)}."
        if "int8_minus_float" in report
        else "",
        _slices(own["slices"]),
        prose(GROUPS),
    ]
    if "rendered" in report:
        favoured = " " + OWN_RENDERS if report["set"] == "clean" else ""
        parts += [
            prose(RENDERED.format(own=favoured)),
            _compared(report["rendered"]),
            _yaw(report["rendered"]["by_yaw"]),
        ]
    if report["youtube"]:
        parts += [
            prose(YOUTUBE.format(faces=report["youtube"]["faces"])),
            _compared(report["youtube"]),
        ]
    if report["labels"]:
        parts += [
            prose(LABELS.format(faces=report["labels"]["faces"])),
            _compared(report["labels"], "labels of training"),
        ]
    parts += [
        _presence(report["presence"]),
        prose(CROP),
        markdown(
            ("times the usual error", "one pass", "two passes"),
            [
                (f"{row['amount']:g}", number(row["passes_1"]), number(row["passes_2"]))
                for row in report["jitter"]
            ],
        ),
        prose(STILL),
        _still(report["still"]),
        _expected(report["expected_error"]),
        file_lines(report["file"], report["peer_latency"]),
        missing(report["missing"]),
    ]
    return join(parts)


def _teachers(report: Report) -> str:
    teacher = report["teacher"]
    columns = {f"{name}, as trained": row for name, row in teacher.items()}
    columns[f"{OURS}, single teachers"] = report["first_teachers"]
    plain = [part for part in report["first_teachers"] if "over" not in part]
    rows = [(part, *[number(row[part]) for row in columns.values()]) for part in plain]
    over = [number(row["inner over 10 %"], 1, True) for row in columns.values()]
    rows.append(("inner 51 over 10 %, share of faces", *over))
    return markdown(("", *columns), rows)


def _slices(slices: Report) -> str:
    rows = [
        (f"{kind}: {name}", f"{figure['n']:,}", number(figure))
        for kind, cells in slices.items()
        for name, figure in cells.items()
        if figure["n"]
    ]
    return markdown(("inner 51, as trained", "faces", OURS), rows)


def _compared(report: Report, base: str = OURS) -> str:
    names = [name for name, row in report.items() if isinstance(row, dict) and "inner 51" in row]
    rows = []
    for part in report[base]:
        cells = [
            number(report[name][part]) if name == base else beside(report[name][part])
            for name in names
        ]
        rows.append((part, *cells))
    return markdown((f"{report['faces']:,} faces", *names), rows)


def _yaw(by_yaw: Report) -> str:
    names = list(next(iter(by_yaw.values())))
    rows = []
    for span, row in by_yaw.items():
        cells = [number(row[name]) if name == OURS else beside(row[name]) for name in names]
        rows.append((f"yaw {span}", f"{row[OURS]['n']:,}", *cells))
    return markdown(("inner 51, offsets out", "faces", *names), rows)


def _presence(presence: Report) -> str:
    if not presence:
        return prose("The detector offered too few candidates to compare presence on.")
    words = PRESENCE.format(
        least=SCORE_ABOVE,
        faces=presence["faces"],
        false=presence["false"],
        detector=presence["detector_auc"],
    )
    kept = presence["kept"]
    rows = [
        (
            kind,
            f"{presence['auc'][kind]:.3f}",
            *[f"{row[kind]:.1%}" for row in kept.values()],
            ", ".join(f"{value:.3f}" for value in presence["quantiles"][kind]),
        )
        for kind in presence["auc"]
    ]
    head = ("", "AUC", *[f"kept at {share}" for share in kept], "presence: 2 %, 10 %, median")
    return join([prose(words), markdown(head, rows)])


def _still(still: Report) -> str:
    rows = []
    for sigma, row in still.items():
        for name, both in row.items():
            raw = {**both["raw"], "ours_minus": both.get("ours_minus")}
            rows.append((sigma, name, beside(raw, 3), number(both["aligned"], 3)))
    return markdown(("noise", "", "as it is", "similarity out"), rows)


def _expected(expected: Report | None) -> str:
    if expected is None:
        return "The model does not say how far off it expects each point to be."
    fifths = expected["fifths"]
    words = EXPECTED.format(
        ratio=number(expected["ratio"]), correlation=number(expected["correlation"])
    )
    head = ("", *[f"{k + 1}" for k in range(len(fifths))])
    rows = [
        ("expected", *[f"{row['expected']:.2f}" for row in fifths]),
        ("made", *[number(row["error"]) for row in fifths]),
    ]
    return join([prose(words), markdown(head, rows)])
