"""The report as text, and a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.base.types import Grey
from tools.bench.micro_images.measure import Outcome
from tools.bench.micro_images.sources import FPS
from tools.bench.micro_images.tracking_gain import reading
from tools.common.errors import ToolError
from tools.common.files import save_png

CAVEAT = (
    "Movements are ours, not people's: known fields warped into skin, or blendshapes of a\n"
    "rendered face. They show what reaches the spotter through pictures, noise and tracking; they\n"
    "say nothing about spontaneous micro-expressions, where no published method exceeds an F1 of\n"
    "about .4.\n"
)
HEADINGS = {
    "kind": "source",
    "region": "source and region",
    "amplitude": "amplitude (peak, share of IOD)",
    "units": "action units",
    "size": "inter-ocular distance",
    "noise": "sensor noise",
    "ratio": "tracked peak over landmark noise",
}


def images_text(report: dict[str, Any]) -> str:
    """Table after table; `gain` is the tracked movement over the injected one."""
    total = report["pooled"]
    lines = [
        f"{report['machine']['name']}; {len(report['videos'])} videos of {report['seconds']:g} s "
        f"at 30 frames/s, seed {report['seed']}; {report['through']}"
        + ("; speech is heard throughout" if report.get("speech") else ""),
        "",
        f"recall {_figure(total['recall'])}   precision {_figure(total['precision'])}   "
        f"F1 {_figure(total['f1'])}   ({total['hits']} of {total['truths']} injected, "
        f"{total['found']} reported; IoU >= .5, one to one)",
        f"error of hits, ms: onset {_ms(total['onset'])}, apex {_ms(total['apex'])}, "
        f"offset {_ms(total['offset'])}; mean IoU {total['iou'] or float('nan'):.2f}",
        "",
        "with nothing injected",
    ]
    for kind, still in report["still"].items():
        rate = still["per_minute"]
        lines.append(
            f"  {kind:12s} {still['found']:3d} reported in {still['minutes']:5.2f} face-minutes"
            f" of {still['videos']} videos: {'-' if rate is None else format(rate, '.2f')} a minute"
            f" ({still['moments']} different moments)"
        )
    if "video" in report["still"]:
        lines.append(
            "  (people in clips move by themselves, and clips are repeated to fill the time)"
        )
    for key, rows in report["by"].items():
        lines += ["", f"{HEADINGS[key]:32s}     n  recall  gain  (network)  correlation  lag ms"]
        for row in rows:
            lag = row["lag"]
            lines.append(
                f"  {row[key]:30s} {row['n']:5d}  {row['recall']:6.2f}  {_two(row['gain'])}"
                f"       {_two(row['gain_network'])}         {_two(row['correlation'])}"
                f"  {'   -' if lag is None else format(lag * 1000, '6.0f')}"
            )
    lines += [
        "",
        "video                          located by    IOD  noise  hits  alarms at rest  gain"
        "  landmark noise (network), % IOD",
    ]
    for row in report["videos"]:
        lines.append(
            f"  {row['name']:28s} {row['located']:12s} {row['iod'] or 0:4.0f}  {row['noise']:5.1f}"
            f"  {row['hits']:2d}/{row['planted']:<2d} {row['still_found']:9d}        "
            f"{_two(row['gain'])}  {_percent(row['noise_iod'])} "
            f"({_percent(row['noise_iod_network'])})"
        )
    return "\n".join(lines) + "\n\n" + CAVEAT


def _figure(value: dict[str, Any] | None) -> str:
    if not value or value.get("value") is None:
        return "-"
    return f"{value['value']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"


def _ms(value: dict[str, float | None]) -> str:
    return "-" if value["mae"] is None else f"{value['mae'] * 1000:.0f}"


def _two(value: float | None) -> str:
    return "  - " if value is None else f"{value:4.2f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value * 100:.3f}"


_SIDE = 150
_PLOT = 420


def draw(outcomes: Sequence[Outcome], path: Path, rows: int = 10) -> None:
    """PNG: per movement the face at onset, apex and offset, what changed at the apex (times 4), and
    its course as injected (grey) and tracked (white), beside the intervals that were reported."""
    chosen = [
        (o, place)
        for turn in range(3)
        for o in outcomes
        for place in range(len(o.injected))
        if place == turn * 4 and len(o.seen.time)
    ][:rows]
    if not chosen:
        raise ToolError("There is nothing to draw: no face was seen.")
    sheet = np.vstack([_row(o, place) for o, place in chosen])
    save_png(path, sheet)


def _row(o: Outcome, place: int) -> Grey:
    injected = o.injected[place]
    wanted = [round(t * FPS) for t in (injected.onset, injected.apex, injected.offset)]
    shown: dict[int, Grey] = {}
    for index in {*wanted}:
        shown[index] = o.case.source.frame(index, o.injected)
    rest = o.case.source.frame(wanted[1], ())
    at = int(np.searchsorted(o.seen.time, injected.apex).clip(0, len(o.seen.time) - 1))
    points = o.seen.landmarks[at]
    middle, reach = points[17:].mean(0), 0.85 * o.iod
    parts = [_crop(shown[index], middle, reach) for index in wanted]
    change = 128.0 + 4.0 * (shown[wanted[1]].astype(np.float32) - rest)
    parts.append(_crop(np.clip(change, 0, 255).astype(np.uint8), middle, reach))
    label = f"{'+'.join(injected.units)} {injected.side} {injected.amplitude * 100:g} %"
    cv2.putText(parts[0], label, (4, 12), cv2.FONT_HERSHEY_PLAIN, 0.8, 255, 1, cv2.LINE_AA)
    name = f"{o.case.source.name}, {o.iod:.0f} px"
    cv2.putText(parts[0], name, (4, _SIDE - 6), cv2.FONT_HERSHEY_PLAIN, 0.8, 255, 1, cv2.LINE_AA)
    return np.hstack([*parts, _plot(o, place)])


def _crop(picture: Grey, middle: NDArray[np.float32], reach: float) -> Grey:
    scale = _SIDE / (2.0 * reach)
    matrix = np.array([[scale, 0, _SIDE / 2], [0, scale, _SIDE / 2]])
    matrix[:, 2] -= scale * middle
    return np.asarray(cv2.warpAffine(picture, matrix, (_SIDE, _SIDE)), np.uint8)


def _plot(o: Outcome, place: int) -> Grey:
    injected = o.injected[place]
    first, last = injected.apex - 1.0, injected.apex + 1.0
    out = np.full((_SIDE, _PLOT), 24, np.uint8)

    def place_of(time: float, value: float) -> tuple[int, int]:
        x = (time - first) / (last - first) * _PLOT
        return round(x), round(_SIDE * (0.75 - 0.55 * value))

    for event in o.seen.events:
        left, right = place_of(event.onset, 0)[0], place_of(event.offset, 0)[0]
        cv2.rectangle(out, (left, _SIDE - 14), (right, _SIDE - 6), 160, -1)
    times = np.linspace(first, last, 120)
    wanted = np.array([place_of(t, injected.course(t)) for t in times], np.int32)
    cv2.polylines(out, [wanted], False, 110, 2, cv2.LINE_AA)
    rows = (o.seen.time >= first) & (o.seen.time <= last)
    if rows.any():
        way = o.case.source.direction(injected)
        value = reading(o.seen.landmarks[rows], way) / injected.amplitude
        at = o.seen.time[rows]
        around = (at < injected.onset) | (at > injected.offset)
        value -= np.median(value[around]) if around.any() else value[0]
        line = [place_of(float(t), float(v)) for t, v in zip(at, value, strict=True)]
        cv2.polylines(out, [np.array(line, np.int32)], False, 255, 1, cv2.LINE_AA)
    found = "found" if place in o.hits else "missed"
    gain = f"{found}, gain {o.kept[place].gain:.2f}"
    cv2.putText(out, gain, (6, 12), cv2.FONT_HERSHEY_PLAIN, 0.8, 255, 1, cv2.LINE_AA)
    return out
