"""Reports as text for a person."""

from __future__ import annotations

from typing import Any

from tools.common.machine import line
from tools.common.tables import columns, text


def pipeline_text(report: dict[str, Any]) -> str:
    """The comparison, then where our time goes."""
    peer = report["peer"] is not None
    table = columns("per frame", "ours", *(("peer", "ours / peer") if peer else ()))

    def row(name: str, key: str, form: str) -> None:
        mine, theirs = report[key], report[f"peer_{key}"]
        cells = [name, form.format(mine)]
        if peer:
            cells += [form.format(theirs), f"{mine / theirs:.3f}" if theirs else "-"]
        table.add_row(*cells)

    row("frames/s", "fps", "{:.1f}")
    row("CPU ms", "cpu_ms_per_frame", "{:.3f}")
    row("CPU ms, quietest chunk", "cpu_ms_quietest_chunk", "{:.3f}")
    row("faces", "faces_per_frame", "{:.2f}")
    row("peak memory, MiB", "peak_rss_mib", "{:.0f}")
    table.add_row("outside model calls", f"{report['outside_model_share']:.1%}")

    stages = columns("stage", "ms", title="ours, CPU ms per frame")
    for name, value in report["stage_ms"].items():
        inside = name.startswith("model.")
        stages.add_row(f"  in {name}" if inside else name, f"{value:.3f}")
    width, height = report["size"]
    subject = line(report["machine"])
    subject += f"{report['frames']} frames of {report['video']} at {width}x{height}\n"
    subject += f"ours: {report['ours']}\n" + (f"peer: {report['peer']}\n" if peer else "")
    return subject + text(table, stages)


def stages_text(report: dict[str, Any]) -> str:
    """One line per function of the hot path, costliest first."""
    table = columns("stage", "calls per frame", "us per call", "us per frame")
    for row in report["stages"]:
        table.add_row(
            row["stage"],
            f"{row['calls_per_frame']:.2f}",
            f"{row['us_per_call']:.1f}",
            f"{row['us_per_frame']:.1f}",
        )
    width, height = report["size"]
    head = line(report["machine"])
    head += f"{report['frames']} frames of {report['video']} at {width}x{height}, "
    head += f"{report['faces_per_frame']} faces per frame; own time, median of the calls\n"
    foot = f"outside model calls {report['outside_us_per_frame']:.0f} us per frame, "
    foot += f"inside {report['inside_us_per_frame']:.0f} us\n"
    return head + text(table) + foot
