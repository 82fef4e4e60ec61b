"""Reports as text for a person."""

from __future__ import annotations

import io
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table


def pipeline_text(report: dict[str, Any]) -> str:
    """The comparison, then where our time goes."""
    peer = report["peer"] is not None
    table = Table(box=box.ASCII2)
    table.add_column("per frame")
    table.add_column("ours", justify="right")
    if peer:
        table.add_column("peer", justify="right")
        table.add_column("ours / peer", justify="right")

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

    stages = Table(box=box.ASCII2, title="ours, CPU ms per frame", title_justify="left")
    stages.add_column("stage")
    stages.add_column("ms", justify="right")
    for name, value in report["stage_ms"].items():
        inside = name.startswith("model.")
        stages.add_row(f"  in {name}" if inside else name, f"{value:.3f}")
    width, height = report["size"]
    subject = _place(report["machine"])
    subject += f"{report['frames']} frames of {report['video']} at {width}x{height}\n"
    subject += f"ours: {report['ours']}\n" + (f"peer: {report['peer']}\n" if peer else "")
    return subject + _text(table, stages)


def models_text(report: dict[str, Any]) -> str:
    """One line per model."""
    table = Table(box=box.ASCII2)
    table.add_column("model")
    for name in ("input", "ms 1 thr", "min", "ms 2 thr", "min", "MMAC", "GMAC/s", "KiB", "XNNPACK"):
        table.add_column(name, justify="right")
    for row in report["models"]:
        table.add_row(
            row["model"],
            "x".join(str(n) for n in row["input"][1:3]),
            f"{row['ms_1_thread']:.3f}",
            f"{row['ms_1_thread_min']:.3f}",
            f"{row['ms_2_threads']:.3f}",
            f"{row['ms_2_threads_min']:.3f}",
            f"{row['mmac']:.1f}",
            f"{row['gmac_per_s']:.1f}",
            f"{row['kib']:.0f}",
            f"{row['delegated']:.0%}",
        )
    head = (
        _place(report["machine"]) + f"median and minimum of {report['runs']} calls; GMAC/s at the "
    )
    return head + "minimum\n" + _text(table)


def stages_text(report: dict[str, Any]) -> str:
    """One line per function of the hot path, costliest first."""
    table = Table(box=box.ASCII2)
    table.add_column("stage")
    for name in ("calls per frame", "us per call", "us per frame"):
        table.add_column(name, justify="right")
    for row in report["stages"]:
        table.add_row(
            row["stage"],
            f"{row['calls_per_frame']:.2f}",
            f"{row['us_per_call']:.1f}",
            f"{row['us_per_frame']:.1f}",
        )
    width, height = report["size"]
    head = _place(report["machine"])
    head += f"{report['frames']} frames of {report['video']} at {width}x{height}, "
    head += f"{report['faces_per_frame']} faces per frame; own time, median of the calls\n"
    foot = f"outside model calls {report['outside_us_per_frame']:.0f} us per frame, "
    foot += f"inside {report['inside_us_per_frame']:.0f} us\n"
    return head + _text(table) + foot


def _place(found: dict[str, Any]) -> str:
    return f"{found['name']}, {found['cores']} cores, {found['system']}, load {found['load']}\n"


def _text(*tables: Table) -> str:
    out = io.StringIO()
    console = Console(file=out, width=110)
    for table in tables:
        console.print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
