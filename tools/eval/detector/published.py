"""The figures that publishing a detector writes, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

YUNET_ABOVE = 0.6
"""YuNet's own score is lower than ours at equal precision; OpenCV's sample takes 0.6 to 0.9."""


def table(figures: Mapping[str, Any]) -> str:
    """Markdown tables of the figures file."""
    file, alarms = figures["file"], figures["false_alarms"]
    lines = [
        "| AP50, unseen pictures | faces | int8 | float | YuNet-n 320 | recall / precision at "
        f"{figures['score_above']} |",
        "|---|---|---|---|---|---|",
    ]
    for source, row in figures["scenes_int8"].items():
        if source == "keypoint_error":
            continue
        for size in ("from_0_px", "from_16_px", "from_24_px"):
            if source != "all" and size != "from_16_px":
                continue
            one, pixels = row[size], size.split("_")[1]
            others = [figures[k][source][size]["ap50"] for k in ("scenes_float", "scenes_yunet")]
            lines.append(
                f"| {source}, from {pixels} px | {one['faces']} | {one['ap50']:.3f} | "
                f"{others[0]:.3f} | {others[1]:.3f} | "
                f"{one['recall']:.3f} / {one['precision']:.3f} |"
            )
    clips = figures["clips"].values()
    total = sum(c["int8"]["frames"] for c in clips)
    share = {
        name: sum(c[name]["found"] * c[name]["frames"] for c in clips) / max(total, 1)
        for name in ("int8", "yunet")
    }
    zoom = ", ".join(
        f"{size}: {row['found']:.1%}"
        for size, row in figures["face_height_over_picture_height"].items()
    )
    lines += [
        "",
        "| | |",
        "|---|---|",
        f"| false alarms of the detector alone on {alarms['pictures']} unseen face-free pictures | "
        f"{alarms['int8']} at {figures['score_above']} "
        f"(YuNet at {YUNET_ABOVE}: {alarms['yunet']}) |",
        *_threshold_rows(figures["thresholds"]),
        f"| frames of the 16 signing clips with a face found | {share['int8']:.1%} of {total} "
        f"(YuNet at {YUNET_ABOVE}: {share['yunet']:.1%}); training saw 3 frames of 13 of them |",
        f"| found, by face height over picture height | {zoom} |",
        "| keypoint error, share of the face's size, faces from 24 px | "
        f"{figures['scenes_int8']['keypoint_error']:.3f} (YuNet "
        f"{figures['scenes_yunet']['keypoint_error']:.3f}, itself one of the labellers) |",
        f"| size, work | {file['bytes']:,} bytes, {file['million_macs']} M multiply-accumulates, "
        f"{file['delegated']:.0%} of the nodes in XNNPACK |",
        f"| latency, one thread, {figures['processor']} | "
        f"{file['one_thread']['min_ms']} ms minimum, {file['one_thread']['median_ms']} ms median |",
    ]
    return "\n".join(lines)


def _threshold_rows(found: Mapping[str, Any]) -> list[str]:
    """What the manifest's probabilities let pass."""
    if "still" not in found:
        return []
    still, track, film = (found[name] for name in ("still", "track", "film"))
    rows = [
        f"| `fleeting inspect`, from a probability of {still['above']} | {still['false_faces']} "
        f"false faces on {still['pictures_without_faces']} unseen pictures and parts without any; "
        f"calibration error {still['calibration_error']:.3f} |"
    ]
    rows += [
        f"| the same, {name} | recall {row['recall']:.3f}, AP50 {row['ap50']:.3f} "
        f"of {row['faces']} |"
        for name, row in still["found"].items()
    ]
    return [
        *rows,
        f"| one look at a whole frame begins a track from {track['above']}, reported at once from "
        f"{track['sure_above']} | {track['false_faces']} begun on "
        f"{track['pictures_without_faces']} face-free pictures |",
        f"| the looks after it bear a track out from {film['above']} | {film['false_faces']} on "
        f"{film['pictures_without_faces']} face-free films of 1.5 s |",
    ]
