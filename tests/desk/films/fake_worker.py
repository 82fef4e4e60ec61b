"""Stands for a worker: does at once what the film's content says."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from agent.desk.films import columns
from agent.desk.films.tables import write_csv

ENTRY = {
    "seconds": 3.0, "frames": 90, "fps": 30.0, "size": [640, 480], "visits": 1, "passed": 0,
    "faces_at_once": 1, "shares": {"neutral": 0.75, "unsure": 0.25}, "valence": 0.1,
    "arousal": 0.2, "attention": 0.5, "micro": 2, "micro_expected": 0.5, "tones": {"happy": 1.0},
    "usable": 1.0, "flags": {"low_light": 1}, "valence_course": [0.1, None, 0.3, 0.4],
    "faces_course": [1.0],
}  # fmt: skip


def main() -> int:
    job = json.loads(sys.stdin.readline())
    film, folder = Path(job["film"]), Path(job["folder"])
    how, _, rest = film.read_text().partition(" ")
    print(json.dumps({"done": 1, "of": 90}), flush=True)
    if how == "refuse":
        print(json.dumps({"error": rest}), flush=True)
        return 1
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "crash":
        raise RuntimeError(rest)
    if how == "hang":
        time.sleep(600)
    if how == "babble":
        sys.stderr.write("x" * 1_000_000)
        print("no JSON\n[1]\n" * 1000, flush=True)
    (folder / "report.html").write_text(f"<p>{rest}</p>")
    (folder / "half").write_text("half")
    if how == "wait":  # until the test has ended the one that asked
        Path(rest).write_text(str(os.getpid()))
        while True:
            print(json.dumps({"done": 2, "of": 90}), flush=True)
            time.sleep(0.05)
    common = {"film": job["label"], "page": job["page"]}
    write_csv(folder / "windows.csv", columns.WINDOWS, [{"visits": 1}], common)
    write_csv(folder / "visits.csv", columns.VISITS, [{"visit": 1}], common)
    write_csv(folder / "events.csv", columns.EVENTS, [], common)
    print(json.dumps({"entry": ENTRY | {"frames": len(rest)}}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
