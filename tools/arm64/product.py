"""Steps: the product's own commands and tests, in the environment that the README made."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tools.arm64.root import PROCESSORS
from tools.arm64.table import Row
from tools.arm64.trial import FLEETING, HOME, HOUR, LEFT, PYTHON, Trial, row

NOT_HERE = {
    "camera": "there is none",
    "broker": "there is none at localhost:1883",
    "disk": "tools/install.sh makes /var/lib/fleeting, which comes later",
    "walls": "emulation has no seccomp and no Landlock",
}
"""Parts of `fleeting check` that fail on a machine like this, for that reason only."""
TESTS = (
    "tests/kernels",
    "tests/host/sandbox/test_seccomp.py",
    "tests/inference",
    "tests/perceive/capture/test_video_file.py",
    "tests/vision/faces/test_align.py",
    "tests/privacy/test_noise.py",
)
"""Kernels against their plain twins first; then what depends on the processor or the C library.
The rest of the suite is the same Python on every machine, and emulation makes hours of it."""
_MORE = "-q -n0 -p no:cacheprovider -m 'not slow'"
_PER_FILE = 1800.0
_PARTS = {"perceive", "camera", "uplink"}
"""Whose sandbox tests itself."""


def check(trial: Trial) -> Iterator[Row]:
    """`fleeting check` as the README has it, and again as JSON: what is not fit has to be what this
    machine lacks. Then what a release does to itself before it is run."""
    done = trial.run("fleeting check", trial.readme.check)
    yield row(
        f"`{trial.readme.check}`", done, "prints a line for each part",
        passed=done.code in (0, 1) and "models" in done.out,
    )  # fmt: skip
    done = trial.run("fleeting check --json", f"{FLEETING} check --json")
    parts = _json(done.out).get("checks", [])
    wrong = [each["name"] for each in parts if not each["ok"]]
    strange = [name for name in wrong if name not in NOT_HERE]
    fit = [each["name"] for each in parts if each["ok"]]
    note = f"fit: {', '.join(fit)}; not fit: " + ", ".join(
        f"{name} ({NOT_HERE.get(name, 'unexpected')})" for name in wrong
    )
    yield row("`fleeting check --json`", done, note, passed=bool(parts) and not strange)
    for each in parts:
        if each["name"] == "models":
            yield Row("what `check` says of the models", "passed", 0, each["detail"])
    done = trial.run("self-test", f"cd {HOME} && {PYTHON} -P -m agent.update.self_test")
    yield row("`python -m agent.update.self_test`", done, _json(done.out).get("text", ""))


def demo(trial: Trial) -> Iterator[Row]:
    """`fleeting demo`: the bundled clip through both processes and a broker."""
    done = trial.run(
        "fleeting demo (long)",
        f"cd /root && {FLEETING} demo --json --plot /{LEFT}/demo.png",
        timeout=2 * HOUR,
    )
    found = _json(done.out)
    note = ""
    if found:
        micro = found["micro"]
        note = (
            f"{found['arrived']} of {found['released']} summaries arrived, {found['frames']} "
            f"frames; micro-expressions: {micro['found']} of {micro['planted']} found, "
            f"{micro['other']} not planted"
        )
    passed = bool(found) and done.code == 0 and found["arrived"] == found["released"] > 0
    yield row("`fleeting demo`", done, note, passed=passed)


def compiled(trial: Trial) -> Iterator[Row]:
    """Numba's kernels, compiled to aarch64 and kept: what a first start takes longer for."""
    done = trial.run("kernels", f"cd {HOME} && {PYTHON} -P -m tools.arm64.guest compile")
    found = _json(done.out)
    yield row("all kernels are compiled, and kept", done, f"{found.get('compiled')} in the cache",
              passed=not done.code and bool(found.get("compiled")))  # fmt: skip


def sandbox(trial: Trial) -> Iterator[Row]:
    """The sandbox's self-test: what is refused even here, and what emulation cannot show."""
    done = trial.run("sandbox", f"cd {HOME} && {PYTHON} -P -m agent.host.sandbox --json")
    try:
        halves: list[dict[str, Any]] = json.loads(done.out)
    except ValueError:
        halves = []
    yield row(
        "`python -m agent.host.sandbox` runs", done, "exit code 1: something was open",
        passed=done.code in (0, 1) and {each["half"] for each in halves} == _PARTS,
    )  # fmt: skip
    for each in halves:
        cage = each["cage"]
        layers = ", ".join(cage["layers"]) or "none"
        opened = ", ".join(cage["found_open"]) or "nothing"
        enforced = {"seccomp", "landlock"} <= set(cage["layers"])
        yield Row(
            f"{each['half']}: all is refused",
            ("passed" if not cage["found_open"] else "failed") if enforced else "not shown",
            0,
            f"layers: {layers}; open: {opened}"
            + ("" if enforced else "; QEMU answers seccomp and Landlock with ENOSYS"),
        )


def kernels(trial: Trial) -> Iterator[Row]:
    """Tests of what is compiled, or depends on the processor; compiled by Numba on aarch64."""
    for each in TESTS:
        if not (trial.root.path / HOME.lstrip("/") / each).exists():
            yield Row(f"`pytest {each}`", "failed", 0, "there is no such test any more")
            continue
        script = f"cd {HOME} && {PYTHON} -m pytest {_MORE} {each}"
        done = trial.run(f"pytest {each}", script, timeout=_PER_FILE)
        counts = re.findall(r"\d+ (?:passed|failed|skipped|deselected|errors?)", done.out)
        failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.out, re.MULTILINE)
        yield row(f"`pytest -m 'not slow' {each}`", done, ", ".join([*counts, *failed]))


def models(trial: Trial) -> Iterator[Row]:
    """Every model against its golden vectors, which were made on x86-64."""
    for processor, board in PROCESSORS:
        done = trial.run(
            f"golden vectors, {processor}",
            f"cd {HOME} && {PYTHON} -m tools.arm64.guest models",
            env={"QEMU_CPU": processor},
        )
        found: list[dict[str, Any]] = json.loads(done.out) if not done.code else []
        yield row(
            f"golden vectors, {processor} ({board})", done, f"{len(found)} outputs",
            passed=bool(found) and all(each["passed"] for each in found),
        )  # fmt: skip
        yield from _by_model(found, processor)


def _by_model(found: list[dict[str, Any]], processor: str) -> Iterator[Row]:
    for name in sorted({(each["set"], each["model"]) for each in found}):
        outputs = [each for each in found if (each["set"], each["model"]) == name]
        mean, worst = (max(each[key] for each in outputs) for key in ("mean", "worst"))
        yield Row(
            f"{processor}, {name[0]}: {name[1]}",
            "passed" if all(each["passed"] for each in outputs) else "failed",
            0,
            "bit by bit as on x86-64"
            if worst == 0
            else f"off by {mean:.2g} of the spread in the mean, {worst:.2g} at most "
            "(0.05 and 0.35 are tolerated)",
        )


def imports(trial: Trial) -> Iterator[Row]:
    """Capture and codec libraries, and all else that the product imports."""
    done = trial.run("imports", f"cd {HOME} && {PYTHON} -m tools.arm64.guest imports")
    found = _json(done.out)
    libraries: dict[str, str] = found.get("libraries", {})
    bad = [name for name, said in libraries.items() if said.startswith("-")]
    good = [f"{name} {said}" for name, said in libraries.items() if name not in bad]
    optional = {
        "picamera2": "Raspberry Pi's archive has it, Debian's not",
        "libcamera": "Debian has it from 13 on",
        "sounddevice": "see microphone",
        "pyaudio": "see microphone",
    }
    yield row("imports", done, ", ".join(good), passed=bool(good) and set(bad) <= optional.keys())
    for name in bad:
        yield Row(
            f"import {name}",
            "not shown" if name in optional else "failed",
            0,
            f"{libraries[name].lstrip('-')}; {optional.get(name, 'unexpected')}",
        )
    missing = ", ".join(found.get("not_decoded", []))
    yield row(
        "PyAV decodes what people have", done, missing and f"not: {missing}", passed=not missing
    )


def _json(text: str) -> dict[str, Any]:
    """What a command printed; empty where it is no JSON object."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
