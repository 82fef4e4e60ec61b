"""One suite's trial: its steps in order, each kept until what it depends on changes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tools.arm64.readme import Commands, commands
from tools.arm64.root import Done, Root
from tools.arm64.state import State, state
from tools.arm64.table import Row
from tools.common.errors import ToolError
from tools.common.files import ROOT, save_atomically

HOME = "/opt/fleeting"
"""Where the README clones to."""
PYTHON = f"{HOME}/.venv/bin/python"
FLEETING = f"{HOME}/.venv/bin/fleeting"
HOUR = 3600.0
ALWAYS = ("clone",)
"""Steps that are never left out: they bring what else has changed."""
LEFT = "var/trial"
"""Where steps leave their files, within the root."""


@dataclass(slots=True)
class Trial:
    """What every step is given."""

    root: Root
    readme: Commands
    state: State
    """Of this clone, the last commit of which is tried."""
    fresh: bool
    """Whether the environment is made anew, though one is there."""
    facts: dict[str, str] = field(default_factory=dict)
    """What else is to be said of this root: versions."""

    @property
    def place(self) -> Path:
        """`LEFT`, as this machine sees it; made if absent."""
        folder = self.root.path / LEFT
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def say(self, text: str) -> None:
        """Progress, with the time of day."""
        print(
            f"[{time.strftime('%H:%M:%S')}] {self.root.suite}: {text}", file=sys.stderr, flush=True
        )

    def run(
        self, what: str, script: str, *, timeout: float = HOUR, env: Mapping[str, str] | None = None
    ) -> Done:
        """Run a shell script in the root, and say so."""
        self.say(what)
        return self.root.shell(script, timeout=timeout, env=env)


Step = Callable[[Trial], Iterator[Row]]


def row(what: str, done: Done, note: str = "", *, passed: bool | None = None) -> Row:
    """Of a command: passed where it ended with 0, or where `passed` says so. The note of one that
    failed is its last words."""
    good = done.code == 0 if passed is None else passed
    if not good:
        ended = "took too long" if done.code == 124 else f"code {done.code}"
        note = f"{ended}: {done.last[:300]}" + (f"; {note}" if note else "")
    return Row(what, "passed" if good else "failed", round(done.seconds, 1), note)


def start(root: Root, *, fresh: bool) -> Trial:
    """What the steps are given. Raises `ToolError`."""
    now = state()
    if not now.clean:
        print(
            "arm64: what is not committed is not tried: a clean clone of the last commit is.",
            file=sys.stderr,
        )
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return Trial(root, commands(text), now, fresh)


def go(
    trial: Trial, steps: Mapping[str, Step], only: Sequence[str], *, again: bool
) -> dict[str, list[Row]]:
    """Run the steps that have no result for this state yet, or `only` those; returns all results
    by step. What is found is stored after each step; a step that cannot go on is a failed row."""
    store = trial.root.folder / "results.json"
    now = {name: trial.state.of(name, trial.readme) for name in steps}
    kept = _load(store, now)
    trial.facts.update(kept.facts)
    for name, step in steps.items():
        wanted = name in only if only else again or name not in kept.parts
        wanted |= name in ALWAYS
        if not wanted:
            continue
        trial.say(f"== {name}")
        rows = list(_rows(trial, name, step))
        kept = _load(store, now)  # another may have stored something meanwhile
        kept.parts[name] = rows
        trial.facts = {**kept.facts, **trial.facts}
        content = {
            "facts": trial.facts,
            "parts": {
                key: {"state": now[key], "rows": [asdict(each) for each in found]}
                for key, found in kept.parts.items()
            },
        }
        save_atomically(store, json.dumps(content).encode())
    return {name: kept.parts[name] for name in steps if name in kept.parts}


def _rows(trial: Trial, name: str, step: Step) -> Iterator[Row]:
    started = time.monotonic()
    try:
        for each in step(trial):
            trial.say(f"{each.result}: {each.what}")
            yield each
    except ToolError as error:
        trial.say(f"failed: {error}")
        yield Row(f"{name} goes on", "failed", round(time.monotonic() - started, 1), str(error))


@dataclass(slots=True)
class _Kept:
    facts: dict[str, str]
    parts: dict[str, list[Row]]


def _load(store: Path, now: Mapping[str, str]) -> _Kept:
    """Results of earlier runs that still count; none where there are no such."""
    try:
        content = json.loads(store.read_bytes())
        parts = {
            name: [Row(**each) for each in found["rows"]]
            for name, found in content["parts"].items()
            if now.get(name) == found["state"]
        }
        return _Kept(dict(content["facts"]), parts)
    except (OSError, ValueError, KeyError, TypeError):
        return _Kept({}, {})
