"""The runtime layer, on a network with untrained weights (tests/golden/make_tiny.py)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from agent.base.errors import ModelError
from agent.inference import tflite
from agent.inference.manifest import load_manifest
from agent.inference.tflite import Model, open_model, runtime_name

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "golden" / "tiny"
STEPS = 3
"""int8 steps that runtimes and processors may differ by."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(TINY, tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture(scope="module")
def answers() -> dict[str, np.ndarray]:
    with np.load(TINY / "answers.npz") as file:
        return dict(file)


def tiny(name: str = "tiny") -> Model:
    return open_model(load_manifest(TINY), name)


@pytest.mark.parametrize("name", ["tiny", "tiny_float"])
def test_outputs_are_those_recorded(name: str, answers: dict[str, np.ndarray]) -> None:
    model = tiny(name)
    assert model.size == (16, 16)
    for place, picture in enumerate(answers["pictures"]):
        found = model(picture)
        assert list(found) == ["map", "head"]
        for output, value in found.items():
            spec = next(each for each in tiny().entry.outputs if each.name == output)
            assert value.dtype == np.float32
            assert value.shape == spec.shape
            np.testing.assert_allclose(
                value, answers[f"{name}_{output}"][place], atol=STEPS * spec.scale
            )


def test_black_and_white_reach_the_network_as_0_and_1(answers: dict[str, np.ndarray]) -> None:
    model = tiny("tiny_float")
    black = model(np.zeros((16, 16), np.uint8))["head"]
    white = model(np.full((16, 16), 255, np.uint8))["head"]
    grey = model(np.full((16, 16), 128, np.uint8))["head"]
    # between the extremes of a network that is piecewise linear in brightness, not wrapped around
    assert np.abs(black - white).max() > 0.01
    assert np.abs(grey - (black + white) / 2).max() < np.abs(black - white).max() / 2


def test_outputs_do_not_change_under_the_caller(answers: dict[str, np.ndarray]) -> None:
    for name in ("tiny", "tiny_float"):
        model = tiny(name)
        first = model(answers["pictures"][0])
        kept = {output: value.copy() for output, value in first.items()}
        model(answers["pictures"][1])
        for output in kept:
            np.testing.assert_array_equal(first[output], kept[output])


def test_a_slice_of_a_larger_picture_is_taken_as_it_is(answers: dict[str, np.ndarray]) -> None:
    model = tiny()
    large = np.zeros((40, 50), np.uint8)
    large[5:21, 7:23] = answers["pictures"][0]
    np.testing.assert_array_equal(
        model(large[5:21, 7:23])["map"], model(answers["pictures"][0])["map"]
    )


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((16, 15), np.uint8),
        np.zeros((1, 16), np.uint8),
        np.zeros((16, 16), np.float32),
        np.zeros((16, 16, 1), np.uint8),
    ],
)
def test_a_wrong_picture_is_never_stretched_to_fit(picture: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"takes uint8\[16, 16\]"):
        tiny()(picture)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t.replace("[1, 4, 4, 2]", "[1, 2, 8, 2]", 1), "output 'map' has shape"),
        (lambda t: t.replace("output_0_output", "other", 1), "output 'map' has tensor"),
        (lambda t: t.replace("zero_point = -13", "zero_point = -12", 1), "zero_point -13 instead"),
        (lambda t: re.sub(r"scale = 0\.0017\d+", "scale = 0.0018", t, count=1), "has scale"),
        (lambda t: t.replace("index = 1", "index = 0", 1), "indices are not 0 to 1"),
        (lambda t: t.replace('dtype = "int8"', 'dtype = "float32"', 1), "has dtype 'int8'"),
        (lambda t: t.replace("zero_point = -128", "zero_point = 0", 1), "input 'image' has zero"),
    ],
)
def test_a_file_unlike_its_manifest_is_refused(
    folder: Path, change: Callable[[str], str], expected: str
) -> None:
    path = folder / "manifest.toml"
    text = path.read_text()
    assert change(text) != text
    path.write_text(change(text))
    with pytest.raises(ModelError) as caught:
        open_model(load_manifest(folder), "tiny")
    assert expected in str(caught.value)
    assert str(folder / "tiny.tflite") in str(caught.value)


def test_a_missing_output_is_refused(folder: Path) -> None:
    path = folder / "manifest.toml"
    head, tail = path.read_text().split('[[model.output]]\nname = "head"', 1)
    path.write_text(head + tail[tail.index("[model.parameters]") :])
    with pytest.raises(ModelError, match="2 outputs instead of 1"):
        open_model(load_manifest(folder), "tiny")


def test_altered_bytes_never_reach_the_runtime(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / "tiny.tflite"
    file.write_bytes(file.read_bytes()[:-1] + b"x")

    def never() -> None:
        raise AssertionError("the runtime was asked for")

    monkeypatch.setattr(tflite, "_runtime", never)
    with pytest.raises(ModelError, match="altered or only half copied"):
        open_model(load_manifest(folder), "tiny")


def test_bytes_that_are_no_network_are_refused(folder: Path) -> None:
    import hashlib

    junk = b"not a flatbuffer at all, but of some length " * 50
    (folder / "tiny.tflite").write_bytes(junk)
    path = folder / "manifest.toml"
    path.write_text(
        re.sub(
            'sha256 = "[0-9a-f]*"',
            f'sha256 = "{hashlib.sha256(junk).hexdigest()}"',
            path.read_text(),
            count=1,
        )
    )
    with pytest.raises(ModelError, match=r"Model 'tiny' cannot be loaded by \w+: .+Update"):
        open_model(load_manifest(folder), "tiny")


def test_loading_writes_nothing_to_the_screen(capfd: pytest.CaptureFixture[str]) -> None:
    tiny()
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_what_others_write_meanwhile_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with tflite._quiet():
        os.write(2, b"INFO: chatter\nsomething that matters\n")
    assert capfd.readouterr().err == "something that matters\n"


def test_errors_of_missing_runtimes_name_the_package_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed: dict[str, ModuleType] = {}

    def fake_import(name: str) -> ModuleType:
        if name not in installed:
            raise ImportError(name)
        return installed[name]

    monkeypatch.setattr(tflite, "import_module", fake_import)
    with pytest.raises(ModelError, match="pip install ai-edge-litert"):
        runtime_name()
    installed["tflite_runtime.interpreter"] = ModuleType("tflite_runtime.interpreter")
    monkeypatch.setattr(tflite, "np", SimpleNamespace(__version__="1.26.4"))
    assert runtime_name() == "tflite_runtime"
    monkeypatch.setattr(tflite, "np", SimpleNamespace(__version__="2.4.6"))
    with pytest.raises(ModelError, match="'numpy<2'"):
        runtime_name()
    installed["ai_edge_litert.interpreter"] = ModuleType("ai_edge_litert.interpreter")
    assert runtime_name() == "ai_edge_litert"


OTHER_RUNTIME = """
import sys
from pathlib import Path
import numpy as np
from agent.inference.manifest import load_manifest
from agent.inference.tflite import open_model, runtime_name
assert "pydantic" not in sys.modules
manifest = load_manifest(Path(sys.argv[1]))
with np.load(Path(sys.argv[1]) / "answers.npz") as file:
    pictures = file["pictures"]
answers = {}
for name in manifest.models:
    model = open_model(manifest, name)
    found = [model(picture) for picture in pictures]
    for output in found[0]:
        answers[f"{name}_{output}"] = np.stack([one[output] for one in found])
np.savez(sys.argv[2], runtime=runtime_name(), numpy=np.__version__, **answers)
"""


def tflite_runtime_python(cache: pytest.Cache) -> Path:
    """A Python 3.11 with tflite-runtime and NumPy 1, kept between runs; else the test skips."""
    if sys.version_info[:2] != (3, 11):
        pytest.skip("tflite-runtime has no wheels for this Python; it is tested on 3.11")
    place = cache.mkdir("tflite-runtime")
    python = place / "bin" / "python"
    done = place / "complete"
    if not done.exists():
        shutil.rmtree(place, ignore_errors=True)
        for command in (
            [sys.executable, "-m", "venv", str(place)],
            [str(python), "-m", "pip", "install", "-q", "tflite-runtime==2.14.0", "numpy<2"],
        ):
            try:
                run = subprocess.run(command, capture_output=True, text=True, timeout=180)
            except subprocess.TimeoutExpired:
                pytest.skip("tflite-runtime could not be installed within three minutes")
            if run.returncode:
                pytest.skip(f"tflite-runtime cannot be installed: {run.stderr.strip()[-200:]}")
        done.touch()
    return python


@pytest.mark.slow
def test_tflite_runtime_gives_the_same_outputs(
    tmp_path: Path, answers: dict[str, np.ndarray], pytestconfig: pytest.Config
) -> None:
    assert pytestconfig.cache is not None
    python = tflite_runtime_python(pytestconfig.cache)
    out = tmp_path / "out.npz"
    run = subprocess.run(
        [str(python), "-c", OTHER_RUNTIME, str(TINY), str(out)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    with np.load(out) as file:
        found = dict(file)
    assert found["runtime"] == "tflite_runtime"
    assert str(found["numpy"]).startswith("1.")
    specs = {spec.name: spec for spec in load_manifest(TINY).entry("tiny").outputs}
    for name in ("tiny", "tiny_float"):
        for output, spec in specs.items():
            np.testing.assert_allclose(
                found[f"{name}_{output}"], answers[f"{name}_{output}"], atol=STEPS * spec.scale
            )
