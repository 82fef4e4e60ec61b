"""Files of coded events, opened by the programs that they are for: `python -m tools.coding`.

Writes random lists of events as `.eaf` and `.boris` and opens them with pympi-ling and with BORIS
itself, whose own check of a project's integrity must find nothing. Both have to be installed, in an
environment of their own: `pip install pympi-ling boris-behav-obs` (500 MB, Qt; Debian:
`apt install libpulse-mainloop-glib0 libgl1`), named with `--python`.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import get_args

from agent.desk.coding.event import Event, Kind, Polarity, Unit, Verdict
from agent.desk.coding.files import write_events

_WORDS = ("", "smile", "a <b> & 'c'", 'he said "no"', "two\nlines", "שלום", "a | b", "n/a", "🙂")
_OPENED = """
import json, sys
from pathlib import Path
from pympi import Eaf
from boris import project_functions as boris
for folder in map(Path, sys.argv[1:]):
    eaf = Eaf(folder / "codes.eaf")
    tiers = [name for name in eaf.get_tier_names() if " of " not in name]
    elan = [row[:2] for name in tiers for row in eaf.get_annotation_data_for_tier(name)]
    file = str(folder / "codes.boris")
    _, changed, project, said = boris.open_project_json(file)
    problems = boris.check_project_integrity(project, "hh:mm:ss", file, False)
    rows = [row for each in project["observations"].values() for row in each["events"]]
    print(json.dumps({"elan": sorted(elan), "boris": len(rows), "changed": changed,
                      "problems": problems.replace("<br>", "") + said}))
"""


def random_events(rng: random.Random) -> list[Event]:
    """Up to twenty, some at once, in whole milliseconds."""
    found = []
    for _ in range(rng.randrange(21)):
        onset, length = rng.randrange(60_000), rng.randrange(1, 4_000)
        units = tuple(
            Unit(rng.randrange(1, 47), rng.choice(["", *"ABCDE"]), rng.choice(["", "L", "R"]))
            for _ in range(rng.randrange(4))
        )
        found.append(
            Event(
                onset / 1000,
                (onset + length) / 1000,
                (onset + rng.randrange(length + 1)) / 1000 if rng.random() < 0.5 else None,
                rng.choice(get_args(Kind)),
                rng.choice((None, *get_args(Polarity))),
                units,
                round(rng.random(), 2) if rng.random() < 0.5 else None,
                rng.choice(("", "anna", "B & C")),
                rng.choice((None, *get_args(Verdict))),
                rng.choice(_WORDS),
            )
        )
    return found


def main() -> int:
    """Exit code 0 where every file was opened and said what was written."""
    parser = argparse.ArgumentParser(prog="tools.coding", description=__doc__.splitlines()[0])
    parser.add_argument("--lists", type=int, default=100)
    parser.add_argument("--python", default=sys.executable, help="one that has both programs")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rng = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="fleeting-coding-") as place:
        lists = {Path(place) / f"{n:03d}": random_events(rng) for n in range(args.lists)}
        for folder, events in lists.items():
            folder.mkdir()
            for ending in (".eaf", ".boris"):
                write_events(folder / f"codes{ending}", events, "film.mp4", 70.0)
        done = subprocess.run(
            [args.python, "-c", _OPENED, *map(str, lists)],
            capture_output=True, text=True, check=False, timeout=600,
            env={"QT_QPA_PLATFORM": "offscreen", "PATH": "/usr/bin:/bin", "HOME": place},
        )  # fmt: skip
    opened = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if len(opened) != len(lists):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        print(f"tools.coding: list {len(opened)} was not opened: {last}", file=sys.stderr)
        return 1
    result = {
        "lists": len(lists),
        "events": sum(map(len, lists.values())),
        "elan": sum(_same(found["elan"], events) for found, events in _both(opened, lists)),
        "boris": sum(
            found["boris"] == 2 * len(events) and not found["changed"] and not found["problems"]
            for found, events in _both(opened, lists)
        ),
    }
    if args.json:
        print(json.dumps(result))
    else:
        print(
            f"{result['lists']} lists of {result['events']} events: {result['elan']} as they were "
            f"in pympi, {result['boris']} whole and without complaint in BORIS"
        )
    return 0 if result["elan"] == result["boris"] == len(lists) else 1


def _both(opened: list[dict], lists: dict[Path, list[Event]]) -> list[tuple[dict, list[Event]]]:  # type: ignore[type-arg]
    return list(zip(opened, lists.values(), strict=True))


def _same(spans: list[list[int]], events: list[Event]) -> bool:
    """`spans`: of ELAN, milliseconds."""
    return spans == sorted([round(1000 * e.onset), round(1000 * e.offset)] for e in events)


if __name__ == "__main__":
    sys.exit(main())
