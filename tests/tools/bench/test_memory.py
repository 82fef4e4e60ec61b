"""Memory by process and library: each page once, everything somewhere."""

from __future__ import annotations

from tools.bench.memory import OTHERS, OWN, divided, library, memory_text
from tools.common.processes import Held, together

CV = "/venv/lib/python3.11/site-packages/cv2/cv2.abi3.so"
LIBC = "/usr/lib/x86_64-linux-gnu/libc.so.6"


def process(memory: int, files: dict[str, int]) -> Held:
    return Held(memory + sum(files.values()), memory, memory, 3, 1, files, 0.0)


HELD = {
    "perceive": process(50_000, {CV: 10_000, LIBC: 1000}),
    "uplink": process(30_000, {LIBC: 1500}),
}


def test_a_page_of_a_library_counts_once_and_the_columns_add_up() -> None:
    found = divided(HELD)
    table = found["by_library"]
    assert found["parts"] == ["perceive", "uplink"]
    assert table[OTHERS] == {"perceive": 1.0, "uplink": 1.5, "together": 1.5}
    assert table[OWN] == {"perceive": 51.2, "uplink": 30.7, "together": 81.9}
    whole = sum(row["together"] for row in table.values())
    assert abs(whole - found["together_mb"]) < 0.2
    assert abs(found["together_mb"] - together(HELD.values()) * 1024 / 1e6) < 0.1


def test_libraries_have_names_and_what_is_unknown_is_not_lost() -> None:
    assert library(CV) == "OpenCV"
    assert library("/venv/site-packages/av.libs/libavcodec-5e6b.so.62") == "FFmpeg (PyAV)"
    assert library("/venv/site-packages/llvmlite/binding/libllvmlite.so") == "LLVM and Numba"
    assert library("/usr/bin/python3.11") == "Python"
    assert library("/nowhere/libstrange.so") == OTHERS


def test_the_verdict_is_said() -> None:
    place = {"name": "a board", "cores": 4, "system": "Linux", "load": 0.0}
    for most, word in ((200.0, "kept"), (80.0, "EXCEEDED")):
        rows = [{"source": "file", **divided(HELD)}]
        report = {"machine": place, "most_mb": most, "rows": rows}
        assert f"{most:g} MB: {word}" in memory_text(report)
