"""Plays scenes, each in a process of its own, forked so that it starts at once.

    LD_PRELOAD=faults.so FAULTS=CONTROL python -m tools.robustness.disk.worker

For every line of JSON on standard input (scene, folder and the five numbers of a `Fault`): play it,
and print what came of it as a line of JSON.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from agent.base.errors import AgentError
from tools.robustness.disk.control import Control, Fault
from tools.robustness.disk.scenes import SCENES, errors


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def play(order: dict[str, Any], control: Control) -> dict[str, Any]:
    """What came of one scene: calls that failed, named errors, log lines, findings."""
    folder = Path(order["folder"])
    folder.mkdir()
    log = _Lines()
    logging.basicConfig(level=logging.INFO, handlers=[log], force=True)
    scene, named, found = SCENES[order["scene"]](folder), list[str](), list[str]()
    control.disarm()
    control.watch(folder)
    scene.prepare()
    log.lines.clear()
    control.arm(Fault(*order["fault"]))
    try:
        scene.play(errors(named))
    except Exception:
        found.append("while it fails: " + traceback.format_exc()[-1500:])
    failed = control.disarm()
    said = [*named, *log.lines]
    try:
        scene.mend()
        found += scene.judge()
    except (AgentError, Exception):
        found.append("once it is well: " + traceback.format_exc()[-1500:])
    return {"failed": failed, "named": named, "said": said, "found": found}


def main() -> None:
    """One child after another, as standard input asks for them."""
    control = Control(Path(os.environ["FAULTS"]))
    for line in iter(sys.stdin.readline, ""):
        here, there = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                with os.fdopen(there, "w") as answer:
                    json.dump(play(json.loads(line), control), answer)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(there)
        with os.fdopen(here) as answer:
            text = answer.read()
        os.waitpid(child, 0)
        print(text or json.dumps({"failed": 0, "named": [], "said": [],
              "found": ["it ended without an answer"]}), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
