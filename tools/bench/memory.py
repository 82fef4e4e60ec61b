"""`python -m tools.bench memory`: what a device's processes hold, by process and by library."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from agent.base.assets import CLIP
from tools.bench import films
from tools.bench.soak.device import PARTS, Device
from tools.bench.soak.run import FPS, MOST
from tools.common.command import positive
from tools.common.faulty_camera import build, compiler
from tools.common.machine import line, machine
from tools.common.mosquitto import Mosquitto, program
from tools.common.processes import Held, together
from tools.common.tables import columns, text

LIBRARIES = {
    "LLVM and Numba": ("llvmlite", "/numba/"),
    "OpenCV": ("/cv2/", "opencv_python"),
    "FFmpeg (PyAV)": ("/av/", "/av.libs/"),
    "LiteRT": ("ai_edge_litert", "tflite_runtime"),
    "NumPy": ("/numpy/", "/numpy.libs/"),
    "pydantic": ("/pydantic",),
    "cryptography": ("/cryptography/", "_cffi_backend"),
    "OpenSSL": ("/libcrypto", "/libssl", "/_ssl.", "/_hashlib."),
    "Python": ("/libpython", "/lib-dynload/", "/bin/python"),
}
"""By parts of their files' paths, the first that fits."""
OTHERS, OWN = "other libraries", "own memory"
_MB = 1024 / 1e6
"""Of a KiB."""


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "memory",
        parents=[shared],
        help="what both processes hold, by process and by library",
        description="Starts both processes as a service does, first with the bundled clip, then "
        "with a camera, and says what they hold once they run: pages of files by library, and "
        "memory of their own. A library's page counts once, however many processes map it. Exit "
        "code 1 where that is more than the design allows.",
    )
    parser.add_argument(
        "--seconds", type=positive, default=30, help="after the first summary; default: 30"
    )
    parser.add_argument(
        "--report", type=positive, metavar="MINUTES",
        help="instead: a process of `fleeting report` over a film of that length, the clip again "
        "and again",
    )  # fmt: skip


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text; `passed` in the report is the verdict. Raises `ToolError`."""
    if args.report is not None:
        found = {"what": "memory-report", "machine": machine(), **films.measured(args.report)}
        return found, f"{line(found['machine'])}\n{films.films_text(found)}"
    program()
    place, began = machine(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fleeting-memory-") as name, ExitStack() as stack:
        folder = Path(name)
        broker = Mosquitto(folder)
        broker.start()
        stack.callback(broker.stop)
        rows = []
        for title, source, environment in _sources(folder):
            with Device(
                folder / title, broker.port, source, window=10, environment=environment
            ) as device:
                device.start()
                time.sleep(args.seconds)
                device.look_after()
                rows.append({"source": title, **divided(device.sample().held)})
    report = {
        "what": "memory", "machine": place, "seconds": round(time.monotonic() - began),
        "most_mb": MOST, "rows": rows,
        "passed": all(each["together_mb"] <= MOST for each in rows),
    }  # fmt: skip
    return report, memory_text(report)


def _sources(folder: Path) -> list[tuple[str, dict[str, Any], dict[str, str] | None]]:
    """Names, sections of the configuration, and what the environment needs beside."""
    film = {"kind": "file", "target": str(CLIP), "pace": "realtime", "loop": True}
    found: list[tuple[str, dict[str, Any], dict[str, str] | None]] = [("file", film, None)]
    if compiler() is not None:
        camera = {
            "kind": "v4l2", "target": "/dev/video0", "width": 640, "height": 480, "fps": FPS,
        }  # fmt: skip
        control = folder / "control"
        control.write_bytes(bytes(65_536))
        found.append(("camera", camera, {
            "LD_PRELOAD": str(build(folder)), "FAULTY_CONTROL": str(control),
            "FAULTY_FPS": str(FPS),
        }))  # fmt: skip
    return found


def divided(held: Mapping[str, Held]) -> dict[str, Any]:
    """MB by process and library; `together_mb`: with each page once; `pss_mb`: as the kernel
    divides pages among all processes of the machine."""
    parts = [name for name in PARTS if name in held]
    table: dict[str, dict[str, float]] = {}
    names = sorted({name for each in held.values() for name in each.files})
    for name in names:
        row = table.setdefault(library(name), dict.fromkeys([*parts, "together"], 0.0))
        sizes = {part: held[part].files.get(name, 0) * _MB for part in parts}
        for part, size in sizes.items():
            row[part] += size
        row["together"] += max(sizes.values())
    own = {part: held[part].memory * _MB for part in parts}
    table[OWN] = {**own, "together": sum(own.values())}
    return {
        "together_mb": round(together(held.values()) * _MB, 1),
        "pss_mb": round(sum(each.pss for each in held.values()) * _MB, 1),
        "parts": parts,
        "by_library": {
            name: {part: round(size, 1) for part, size in row.items()}
            for name, row in sorted(table.items(), key=lambda each: -each[1]["together"])
        },
    }


def library(path: str) -> str:
    """Which one a mapped file belongs to."""
    for name, marks in LIBRARIES.items():
        if any(mark in path for mark in marks):
            return name
    return OTHERS


def memory_text(report: dict[str, Any]) -> str:
    """The report: a table for each source."""
    parts = [line(report["machine"])]
    for row in report["rows"]:
        table = columns("MB", *row["parts"], "together")
        for name, sizes in row["by_library"].items():
            table.add_row(name, *(f"{sizes[each]:.1f}" for each in [*row["parts"], "together"]))
        verdict = "kept" if row["together_mb"] <= report["most_mb"] else "EXCEEDED"
        parts.append(
            f"\n{row['source']}\n{text(table)}all processes, libraries once: "
            f"{row['together_mb']:g} MB (sum of PSS: {row['pss_mb']:g} MB); the design's figure is "
            f"{report['most_mb']:g} MB: {verdict}\n"
        )
    return "".join(parts)
