"""`python -m tools.train.detector.relabel`: asks two teachers about the scenes' training part.

Their votes are kept in `runs/detector-teachers/votes.npz`, also after every hundred pictures, so
that a second call goes on where the first one stopped. `tools.train.detector.sources` reads them.
The last lines say how often the rule that joins the votes agrees with boxes drawn by people.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.common.files import npz, run_folder, save_atomically
from tools.common.packs import decode, load, packs_folder
from tools.common.progress import along
from tools.train.detector.consensus import (
    Agreed,
    agreed,
    as_drawn,
    habit,
    merged,
    pairs,
    relabelled,
    table,
)
from tools.train.detector.labels import Floats, Labels
from tools.train.detector.teachers import (
    FILES,
    Teacher,
    Vote,
    centerface,
    mirrored,
    open_onnx,
    scrfd,
)

FIRST = (
    "human_segmentation",
    "human_demo_photos",
    "imagenet_sample_people",
    "facemask_cc0",
    "widerface_val_subset",
    "mask_portraits",
    "intel_ccby_frames",
)
"""Sources in the order of what new labels are worth to them."""
REVIEWED = ("imagenet_sample_people",)
"""Where animals and things were deleted by hand."""
EVERY = 100
"""Pictures from one saved file to the next."""
SMALLEST = (8, 16, 24)
"""Short sides from which faces count in the report, pixels."""
Key = tuple[int, int]
"""Row of the scenes pack; view: SCRFD, CenterFace, SCRFD mirrored, CenterFace mirrored."""


def votes_path() -> Path:
    """Where the votes are kept."""
    return run_folder("detector-teachers") / "votes.npz"


def read(path: Path) -> dict[Key, Vote]:
    """Votes by picture and view; empty where there is no file."""
    if not path.is_file():
        return {}
    with np.load(path) as pack:
        kept = {name: pack[name] for name in pack.files}
    ends = np.cumsum(kept["count"])
    return {
        (int(picture), int(view)): Vote(
            kept["box"][end - n : end], kept["score"][end - n : end], kept["five"][end - n : end]
        )
        for picture, view, n, end in zip(
            kept["picture"], kept["view"], kept["count"], ends, strict=True
        )
    }


def write(path: Path, votes: dict[Key, Vote]) -> None:
    """All votes, atomically."""
    keys = np.array(list(votes), np.int32).reshape(-1, 2)
    every = list(votes.values())
    arrays: dict[str, NDArray[Any]] = {
        "picture": keys[:, 0],
        "view": keys[:, 1],
        "count": np.array([len(v.box) for v in every], np.int32),
        "box": np.concatenate([v.box for v in every]).astype(np.float32),
        "score": np.concatenate([v.score for v in every]).astype(np.float32),
        "five": np.concatenate([v.five for v in every]).astype(np.float32),
    }
    save_atomically(path, npz(arrays, compressed=False))


def ask(teachers: Sequence[Teacher], chosen: Sequence[Key], path: Path) -> dict[Key, Vote]:
    """Every missing one of the `chosen` votes; returns all."""
    scenes = load("scenes.npz")
    votes = read(path)
    left = [key for key in chosen if key not in votes]
    for done, (picture, view) in enumerate(along(left, "votes"), 1):
        luma = decode(scenes["jpeg"], scenes["off"], picture)
        votes[picture, view] = teachers[view](luma)
        if done % (EVERY * 2) == 0 or done == len(left):
            write(path, votes)
    return votes


def order(scenes: dict[str, NDArray[Any]], views: Sequence[int]) -> list[Key]:
    """What to ask, most valuable first: both teachers on all, then on the mirror images."""
    train = np.flatnonzero(scenes["split"] == 0)
    place = [FIRST.index(str(scenes["source"][i])) for i in train]
    train = train[np.argsort(place, kind="stable")]
    pairs = (views[:2], views[2:])
    return [(int(i), view) for pair in pairs for i in train for view in pair]


def labels(scenes: dict[str, NDArray[Any]], rows: NDArray[np.int64]) -> list[Labels]:
    """Labels of the pictures `rows` of the scenes pack, by its boxes and the votes kept so far."""
    votes = read(votes_path())
    order = np.argsort(scenes["box_img"], kind="stable")
    bounds = np.searchsorted(scenes["box_img"][order], np.arange(len(scenes["split"]) + 1))
    kept, drawn, found = [], [], []
    for i in rows.tolist():
        own = order[bounds[i] : bounds[i + 1]]
        box, five = scenes["box"][own].astype(np.float32), scenes["kps"][own].astype(np.float32)
        kept.append(Labels(box, five, scenes["ignore"][own] == 1))
        drawn.append(scenes["human"][own] == 1)
        found.append(seen(votes, i))
    sources = [str(scenes["source"][i]) for i in rows]
    habits = {
        source: habit(
            [
                (one.box[by & ~one.ignore], faces)
                for one, by, faces, own in zip(kept, drawn, found, sources, strict=True)
                if own == source and faces is not None
            ]
        )
        for source in set(sources)
    }
    return [
        one
        if faces is None
        else relabelled(one, by, as_drawn(faces, habits[source]), source in REVIEWED)
        for one, by, faces, source in zip(kept, drawn, found, sources, strict=True)
    ]


def seen(votes: dict[Key, Vote], picture: int) -> Agreed | None:
    """What both teachers see in a picture; None where one was not asked yet."""
    both = [
        [votes[picture, view] for view in (teacher, teacher + 2) if (picture, view) in votes]
        for teacher in (0, 1)
    ]
    return agreed(merged(both[0]), merged(both[1])) if all(both) else None


def report(scenes: dict[str, NDArray[Any]], votes: dict[Key, Vote]) -> str:
    """How the rule compares with boxes that people drew: one line per source and smallest face.

    Precision over agreed faces, recall over drawn ones, both from that short side in pixels, at an
    IoU of 0.5; then what people draw differently (see `habit`).
    """
    lines = []
    for source in sorted({str(s) for s in scenes["source"][np.unique(scenes["box_img"])]}):
        pictures: list[tuple[Floats, Agreed]] = []
        counts = {smallest: np.zeros(4, np.int64) for smallest in SMALLEST}
        for i in np.flatnonzero((scenes["source"] == source) & (scenes["split"] == 0)).tolist():
            faces = seen(votes, i)
            own = np.flatnonzero(scenes["box_img"] == i)
            people = (scenes["human"][own] == 1) & (scenes["ignore"][own] == 0)
            if faces is None or not people.any():
                continue
            box = scenes["box"][own].astype(np.float32)
            pictures.append((box[people], faces))
            for smallest, found in compare(box, people, faces.box).items():
                counts[smallest] = counts[smallest] + found
        if not pictures:
            continue
        for smallest, four in counts.items():
            right, wrong, met, drawn = (int(n) for n in four)
            lines.append(
                f"{source}, from {smallest} px: precision {right / max(right + wrong, 1):.3f}, "
                f"recall {met / max(drawn, 1):.3f} of {drawn} faces in {len(pictures)} pictures"
            )
        edges = ", ".join(f"{e:+.3f}" for e in habit(pictures))
        lines.append(f"{source}: people's edges less the teachers', in sides: {edges}")
    return "\n".join(lines)


def compare(box: Floats, people: NDArray[np.bool_], found: Floats) -> dict[int, NDArray[np.int64]]:
    """Right and wrong finds, drawn faces that were found, drawn faces: int[4] by smallest side.

    A find on a label that no person drew counts neither way.
    """
    joined = pairs(table(found, box), 0.5)
    known = np.zeros(len(found), bool)
    known[joined[:, 0]] = True
    right = np.zeros(len(found), bool)
    right[joined[people[joined[:, 1]], 0]] = True
    met = np.isin(np.arange(len(box)), joined[:, 1])
    side, face = ((b[:, 2:] - b[:, :2]).min(1, initial=np.inf) for b in (found, box))
    return {
        smallest: np.array(
            [
                (right & (side >= smallest)).sum(),
                (~known & (side >= smallest)).sum(),
                (met & people & (face >= smallest)).sum(),
                (people & (face >= smallest)).sum(),
            ]
        )
        for smallest in SMALLEST
    }


def main(argv: Sequence[str]) -> int:
    """Ask what is missing, then print how good the rule is."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.train.detector.relabel", description=__doc__
    )
    parser.add_argument("--mirrored", action="store_true", help="ask about mirror images too")
    parser.add_argument("--report-only", action="store_true", help="ask nothing")
    options = parser.parse_args(argv)
    cv2.setNumThreads(1)
    scenes = load("scenes.npz")
    if not options.report_only:
        folder = packs_folder() / "teachers"
        pair = [scrfd(open_onnx(folder / FILES[0])), centerface(open_onnx(folder / FILES[1]))]
        teachers = [*pair, *(mirrored(t) for t in pair)]
        views = range(4 if options.mirrored else 2)
        ask(teachers, order(scenes, views), votes_path())
    print(report(scenes, read(votes_path())))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
