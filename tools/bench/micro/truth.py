"""Scoring of a researcher's own tracks and codings by the same protocol.

The codings are one CSV file with a header and the columns `track,onset,apex,offset[,kind]`:

- `track`: the track file's name without folder and `.npz`
- `onset`, `apex`, `offset`: seconds on the clock of the file's `timestamps`; `apex` may be empty
- `kind`: `micro` (also when empty or without the column) or `macro`

Tracks are `.npz` files as `fleeting spot` reads them. Micro-expressions are scored; coded
macro-expressions serve to say what false alarms fall on. A track without a row has no event.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agent.desk.spot.track import TrackFile
from agent.desk.spot.validation import Flags, ordered_frames, validate
from tools.bench.micro.baselines import peers
from tools.bench.micro.ours import Ours, weights_digest
from tools.bench.micro.subject import Array, Found, Points, Subject
from tools.bench.micro.tables import figure, number
from tools.common.errors import ToolError
from tools.common.machine import machine
from tools.common.progress import along
from tools.common.tables import columns, text
from tools.micro.score import Scored, overlaps, pooled, score

COLUMNS = ("track", "onset", "apex", "offset")
KINDS = ("micro", "macro")
_MOST_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Coded:
    """One row: a movement that a person coded; seconds."""

    track: str
    onset: float
    apex: float
    """NaN where it was not coded."""
    offset: float
    kind: str
    line: int


def read_truth(path: Path) -> list[Coded]:
    """The codings in a CSV file. Raises `ToolError` naming the line that is wrong."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ToolError(f"{path} cannot be read: {error.strerror}. Check the path.") from None
    except UnicodeDecodeError:
        raise ToolError(f"{path} is not UTF-8 text. Save the codings as CSV in UTF-8.") from None
    lines = csv.reader(text.splitlines())
    header = [name.strip().lower() for name in next(lines, [])]
    missing = [name for name in COLUMNS if name not in header]
    if missing or len(set(header)) != len(header):
        raise ToolError(
            f"{path}, line 1: the header is {','.join(header) or 'empty'}; "
            f"{','.join(COLUMNS)} and, if wanted, kind are needed, each once."
        )
    rows: list[Coded] = []
    seen: dict[tuple[object, ...], int] = {}
    for cells in lines:
        line = lines.line_num
        if not any(cell.strip() for cell in cells):
            continue
        row = _row(path, line, dict(zip(header, cells, strict=False)), len(header), len(cells))
        known = seen.setdefault((row.track, row.onset, row.offset, row.kind), line)
        if known != line:
            raise ToolError(f"{path}, line {line}: the same movement as in line {known}.")
        rows.append(row)
    if not rows:
        raise ToolError(f"{path} has a header and no row; there is nothing to score.")
    return rows


def measure_truth(
    truth: Path, files: Sequence[Path], with_peers: bool = True, weights: Path | None = None
) -> dict[str, Any]:
    """Score every method on the tracks. Raises `ToolError`, and `TrackError` for a bad track."""
    rows = read_truth(truth)
    by_name = _by_name(truth, rows, files)
    subjects: list[Subject] = [Ours(weights), *(peers() if with_peers else [])]
    scored: dict[str, list[Scored]] = {subject.name: [] for subject in subjects}
    falls = {subject.name: {"near miss": 0, "macro": 0, "other": 0} for subject in subjects}
    analysed: list[float] = []
    late: list[float] = []
    place = machine()
    for name in along(list(by_name), "tracks"):
        times, points, confidence = _load(by_name[name])
        mine = [row for row in rows if row.track == name]
        _inside(truth, mine, by_name[name], times)
        micro = [row for row in mine if row.kind == "micro"]
        macro = [row for row in mine if row.kind == "macro"]
        for subject in subjects:
            answer = subject(times, points, confidence)
            one = score(micro, answer.found, float(times[-1] - times[0]) / 60)
            scored[subject.name].append(one)
            for k in one.false:
                falls[subject.name][_falls_on(answer.found[k], micro, macro)] += 1
            if subject.name == Ours.name:
                analysed.append(answer.analysed)
                late += [f.emitted - f.offset for f in answer.found]
    return {
        "machine": place,
        "ours": f"MicroSpotter, weights {weights_digest(weights)}",
        "peer": None,
        "truth": truth.name,
        "tracks": len(by_name),
        "coded": {kind: sum(row.kind == kind for row in rows) for kind in KINDS},
        "analysed": round(float(np.mean(analysed)), 4),
        "latency_max": round(max(late), 4) if late else None,
        "subjects": {
            name: {**pooled(parts), "falls": falls[name]} for name, parts in scored.items()
        },
    }


def truth_text(report: dict[str, Any]) -> str:
    """The report for a person."""
    names = ("F1", "P", "R", "false/min", "hits", "found", "IoU", "onset ms", "offset ms")
    falls = "false alarms fall on"
    table = columns("method", *names, falls, words=(falls,))
    for name, row in report["subjects"].items():
        total = max(sum(row["falls"].values()), 1)
        table.add_row(
            name,
            figure(row["f1"]),
            number(row["precision"]["value"]),
            number(row["recall"]["value"]),
            number(row["false_per_minute"]["value"]),
            str(row["hits"]),
            str(row["found"]),
            number(row["iou"]),
            *(
                "-" if row[edge]["mae"] is None else f"{1000 * row[edge]['mae']:.0f}"
                for edge in ("onset", "offset")
            ),
            ", ".join(f"{kind} {n / total:.0%}" for kind, n in row["falls"].items() if n),
        )
    coded = report["coded"]
    return (
        f"{report['tracks']} tracks, {coded['micro']} micro- and {coded['macro']} "
        f"macro-expressions coded in {report['truth']}; {report['analysed']:.0%} of the frames "
        "could be analysed\nMEGC protocol: IoU .5, one-to-one, counts pooled; [95 % over tracks]\n"
        + text(table)
    )


def _row(path: Path, line: int, cells: dict[str, str], wanted: int, given: int) -> Coded:
    def wrong(what: str) -> ToolError:
        return ToolError(f"{path}, line {line}: {what}")

    if given != wanted:
        raise wrong(f"{given} cells under a header of {wanted}. Quote commas inside a cell.")
    if line > _MOST_ROWS:
        raise wrong(f"more than {_MOST_ROWS} rows. Is this the right file?")
    name = cells["track"].strip().removesuffix(".npz")
    if not name:
        raise wrong("no track is named.")

    def seconds(column: str) -> float:
        text = cells[column].strip()
        try:
            value = float(text) if text or column != "apex" else math.nan
        except ValueError:
            raise wrong(f"{column} is {text!r}; seconds are needed.") from None
        if text and not math.isfinite(value):
            raise wrong(f"{column} is {text!r}; finite seconds are needed.")
        return value

    onset, apex, offset = seconds("onset"), seconds("apex"), seconds("offset")
    if offset <= onset:
        raise wrong(
            f"offset {offset:g} is not after onset {onset:g}. An offset that was not coded (0 in "
            "some sets) must be decided on or its row left out."
        )
    if not (math.isnan(apex) or onset <= apex <= offset):
        raise wrong(f"apex {apex:g} is not between onset {onset:g} and offset {offset:g}.")
    kind = cells.get("kind", "").strip().lower() or "micro"
    if kind not in KINDS:
        raise wrong(f"kind is {kind!r}; it must be micro or macro.")
    return Coded(name, onset, apex, offset, kind, line)


def _by_name(truth: Path, rows: Sequence[Coded], files: Sequence[Path]) -> dict[str, Path]:
    by_name: dict[str, Path] = {}
    for file in files:
        if by_name.setdefault(file.stem, file) != file:
            raise ToolError(
                f"{by_name[file.stem]} and {file} have the same name; rows could mean either."
            )
    for row in rows:
        if row.track not in by_name:
            raise ToolError(
                f"{truth}, line {row.line}: track {row.track!r} is not among the files given. "
                "Give its .npz file, or leave its rows out."
            )
    return by_name


def _load(path: Path) -> tuple[Array, Points, Points]:
    """A track's frames in order of time, those without a face with confidence 0."""
    file = TrackFile(path)
    validate(file)
    frames = list(ordered_frames(file, Flags()))
    nowhere = np.zeros((68, 2), np.float32)
    return (
        np.array([frame.time for frame in frames]),
        np.array([nowhere if f.points is None else f.points for f in frames], np.float32),
        np.array([frame.confidence for frame in frames], np.float32),
    )


def _inside(truth: Path, rows: Sequence[Coded], file: Path, times: Array) -> None:
    for row in rows:
        if row.offset < times[0] or row.onset > times[-1]:
            raise ToolError(
                f"{truth}, line {row.line}: {row.onset:g}-{row.offset:g} s lies outside {file}, "
                f"which goes from {times[0]:g} to {times[-1]:g} s. Frame numbers must be divided "
                "by the frame rate."
            )


def _falls_on(found: Found, micro: Sequence[Coded], macro: Sequence[Coded]) -> str:
    if micro and overlaps(micro, [found]).max() > 0:
        return "near miss"
    return "macro" if macro and overlaps(macro, [found]).max() > 0 else "other"
