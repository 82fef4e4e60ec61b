"""One suite's trial: its steps in order, each kept until the product changes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tools.arm64.readme import Commands, commands
from tools.arm64.root import Done, Root
from tools.arm64.table import Row
from tools.common.errors import ToolError
from tools.common.files import ROOT, save_atomically

HOME = "/opt/fleeting"
"""Where the README clones to."""
PYTHON = f"{HOME}/.venv/bin/python"
FLEETING = f"{HOME}/.venv/bin/fleeting"
HOUR = 3600.0
PRODUCT = (
    "agent", "models", "systemd", "requirements.txt", "pyproject.toml", "tools/setup-venv",
    "tools/install.sh",
)  # fmt: skip
"""What results depend on."""
ALWAYS = ("clone",)
"""Steps that are never left out: they bring what else has changed."""
LEFT = "root/trial"
"""Where steps leave their files, within the root."""


@dataclass(slots=True)
class Trial:
    """What every step is given."""

    root: Root
    readme: Commands
    product: str
    """As `state` gives it."""
    fresh: bool
    """Whether the environment is made anew, though one is there."""
    facts: dict[str, str] = field(default_factory=dict)
    """What else is to be said of this root: versions."""

    @property
    def place(self) -> Path:
        """`/root/trial`, as this machine sees it; made if absent."""
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


def state(here: Path = ROOT) -> tuple[str, bool]:
    """What is tried, as one word that changes whenever the product does, and whether all of it is
    committed. Raises `ToolError`."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(here), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        trees = git("rev-parse", *(f"HEAD:{name}" for name in PRODUCT))
        changed = git("status", "--porcelain", "-uno")
    except (OSError, subprocess.CalledProcessError) as error:
        raise ToolError(f"What is tried is a clean clone, and {here} is none: {error}.") from None
    return hashlib.sha256(trees.encode()).hexdigest()[:12], not changed


def start(root: Root, *, fresh: bool) -> Trial:
    """What the steps are given. Raises `ToolError`."""
    product, clean = state()
    if not clean:
        print(
            "arm64: what is not committed is not tried: a clean clone of the last commit is.",
            file=sys.stderr,
        )
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return Trial(root, commands(text), product, fresh)


def go(
    trial: Trial, steps: Mapping[str, Step], only: Sequence[str], *, again: bool
) -> dict[str, list[Row]]:
    """Run the steps that have no result for this product yet, or `only` those; returns all results
    by step. What is found is stored after each step."""
    store = trial.root.folder / "results.json"
    kept = _load(store, trial.product)
    trial.facts.update(kept.facts)
    for name, step in steps.items():
        wanted = name in only if only else again or name not in kept.parts
        wanted |= name in ALWAYS
        if not wanted:
            continue
        trial.say(f"== {name}")
        rows = list(step(trial))
        kept = _load(store, trial.product)  # another may have stored something meanwhile
        kept.parts[name] = rows
        trial.facts = {**kept.facts, **trial.facts}
        content = {
            "product": trial.product,
            "facts": trial.facts,
            "parts": {key: [asdict(each) for each in found] for key, found in kept.parts.items()},
        }
        save_atomically(store, json.dumps(content).encode())
    return {name: kept.parts[name] for name in steps if name in kept.parts}


@dataclass(slots=True)
class _Kept:
    facts: dict[str, str]
    parts: dict[str, list[Row]]


def _load(store: Path, product: str) -> _Kept:
    """Results of an earlier run of the same product; none where there are no such."""
    try:
        content = json.loads(store.read_bytes())
        if content["product"] == product:
            parts = {
                name: [Row(**each) for each in rows] for name, rows in content["parts"].items()
            }
            return _Kept(dict(content["facts"]), parts)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return _Kept({}, {})
