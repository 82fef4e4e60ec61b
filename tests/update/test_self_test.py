"""Golden vectors find a model that answers otherwise; a release that is none is found."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agent.base.errors import ModelError
from agent.inference import golden
from agent.inference.manifest import SETS, load_manifest, models_folder
from agent.update import helper
from agent.update.self_test import answers
from agent.update.soak import KNOWN
from tools.common.files import ROOT
from tools.robustness.update import bad, releases

MODELS = models_folder(None)
NAMES = [
    (which, name)
    for which in SETS
    for manifest in [load_manifest(MODELS, which)]
    for name in (*manifest.models, *manifest.weights)
]


@pytest.mark.parametrize(("which", "name"), NAMES)
def test_every_model_answers_as_where_it_was_made(which: str, name: str) -> None:
    manifest = load_manifest(MODELS, which)
    entry = {**manifest.models, **manifest.weights}[name]
    golden.verify(name, golden.path_of(entry.file), answers(manifest, name))


@pytest.mark.parametrize("name", ["detector", "landmarks", "expression", "activity", "tone"])
def test_rounding_of_another_processor_passes_and_other_weights_do_not(
    name: str, tmp_path: Path
) -> None:
    manifest = load_manifest(MODELS)
    entry = manifest.models[name]
    answer = answers(manifest, name)
    rng = np.random.default_rng(1)
    steps = {each.name: (each.range[1] - each.range[0]) / 255 for each in entry.outputs}

    def rounded(number: int) -> dict[str, np.ndarray]:
        return {
            output: value + steps[output] * rng.integers(-1, 2, value.shape).astype(np.float32)
            for output, value in answer(number).items()
        }

    ranges = {each.name: each.range for each in entry.outputs}
    golden.verify(name, golden.path_of(entry.file), rounded, ranges)
    content = bytearray(entry.file.read_bytes())
    start, end = len(content) // 4, len(content) * 3 // 4
    content[start:end] = bytes(each ^ 0x55 for each in content[start:end])
    other = tmp_path / "model.tflite"
    other.write_bytes(content)
    changed = dataclasses.replace(entry, file=other, sha256=hashlib.sha256(content).hexdigest())
    models = {**manifest.models, name: changed}
    broken = dataclasses.replace(manifest, models=models)
    with pytest.raises(ModelError):
        golden.verify(name, golden.path_of(entry.file), answers(broken, name), ranges)


def test_golden_vectors_that_are_none_are_said_to_be(tmp_path: Path) -> None:
    manifest = load_manifest(MODELS)
    answer = answers(manifest, "expression")
    path = tmp_path / "x.golden.npz"
    for content in (None, b"", b"PK\3\4 no archive", os.urandom(3000)):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ModelError, match="golden vectors"):
            golden.verify("expression", path, answer)
    path.write_bytes(golden.record(lambda number: {"other": np.ones(4, np.float32)}))
    with pytest.raises(ModelError, match="other outputs"):
        golden.verify("expression", path, answer)


def test_nan_fails(tmp_path: Path) -> None:
    path = tmp_path / "x.golden.npz"
    path.write_bytes(golden.record(lambda number: {"y": np.arange(9, dtype=np.float32)}))
    golden.verify("x", path, lambda number: {"y": np.arange(9, dtype=np.float32)})
    wrong = np.arange(9, dtype=np.float32)
    wrong[3] = np.nan
    with pytest.raises(ModelError):
        golden.verify("x", path, lambda number: {"y": wrong})


@pytest.mark.slow
@pytest.mark.parametrize("case", [c for c in bad.CASES if not c.switched or c.reason is None])
def test_a_release_of_this_clone_is_examined_by_its_own_code(
    case: bad.Case, tmp_path: Path
) -> None:
    releases.write(releases.real("0.2.0", case.changes), tmp_path / "a")
    why, text = helper.examine(tmp_path / "a", ROOT, KNOWN, 1883)
    if case.reason == "sandbox_self_test" and "seccomp" not in _layers():
        pytest.skip("this kernel has no seccomp filter to be missed")
    assert why == case.reason, text
    assert not list((tmp_path / "a").rglob("__pycache__"))


def _layers() -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "agent.host.sandbox", "perceive", "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return " ".join(json.loads(done.stdout)["cage"]["layers"])


@pytest.mark.slow
def test_a_release_that_cannot_be_imported_does_not_start(tmp_path: Path) -> None:
    files = releases.real("0.2.0", {})
    files["agent/uplink/sender.py"] += b"\nimport no_such_library\n"
    releases.write(files, tmp_path / "a")
    assert helper.examine(tmp_path / "a", ROOT, KNOWN, 1883)[0] == "no_start"
    shutil.rmtree(tmp_path / "a/agent/update")
    assert helper.examine(tmp_path / "a", ROOT, KNOWN, 1883)[0] == "no_start"


def test_a_helper_runs_slots_only(tmp_path: Path) -> None:
    for place in (tmp_path / "c", tmp_path / "a/agent", Path("/"), tmp_path / "a/../.."):
        request = json.dumps([str(place), str(place), {}])
        done = subprocess.run(
            [sys.executable, "-P", "-m", "agent.update.helper", str(tmp_path), "1883"],
            input=f"{request}\n", capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert json.loads(done.stdout)["reason"] == "internal"
