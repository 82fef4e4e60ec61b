"""Strict reading of the manifest; errors with advice."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.base.errors import ModelError
from agent.inference import manifest as module
from agent.inference.manifest import load_manifest, models_folder

TINY = Path(__file__).parents[1] / "golden" / "tiny"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(TINY, tmp_path / "models")
    return tmp_path / "models"


def edit(folder: Path, change: Callable[[str], str]) -> None:
    path = folder / "manifest.toml"
    text = path.read_text()
    changed = change(text)
    assert changed != text
    path.write_text(changed)


def test_reads_what_was_written(folder: Path) -> None:
    manifest = load_manifest(folder)
    assert list(manifest.models) == ["tiny", "tiny_float"]
    entry = manifest.entry("tiny")
    assert entry.file == folder / "tiny.tflite"
    assert entry.delegated == 1.0
    assert entry.parameters == {"threshold": 0.5, "scales": (1.0, 2.0)}
    assert entry.inputs[0].shape == (1, 16, 16, 1)
    assert entry.inputs[0].range == (0.0, 1.0)
    assert [(o.name, o.dtype, o.index) for o in entry.outputs] == [
        ("map", "int8", 0),
        ("head", "int8", 1),
    ]
    assert hashlib.sha256(entry.read()).hexdigest() == entry.sha256


def test_hash16_names_the_set_of_models(folder: Path) -> None:
    before = load_manifest(folder).hash16
    assert re.fullmatch("[0-9a-f]{16}", before)
    assert load_manifest(folder).hash16 == before
    edit(folder, lambda text: re.sub('sha256 = "..', 'sha256 = "00', text, count=1))
    assert load_manifest(folder).hash16 != before


def test_each_set_is_picked_alone_and_has_its_own_hash(folder: Path) -> None:
    plain = load_manifest(folder)
    assert plain.which == "research"
    edit(folder, lambda text: text + "".join(_second_set(text)))
    assert load_manifest(folder).hash16 == plain.hash16  # tables without `set` are as before
    clean = load_manifest(folder, "clean")
    assert clean.which == "clean"
    assert list(clean.models) == list(plain.models)
    assert {entry.sha256 for entry in clean.models.values()} == {"0" * 64}
    assert clean.hash16 != plain.hash16


def test_a_set_that_lacks_a_model_is_named(folder: Path) -> None:
    with pytest.raises(
        ModelError, match=r"'clean' is incomplete, it lacks tiny, tiny_float.*model_set"
    ):
        load_manifest(folder, "clean")
    edit(folder, lambda text: text + "".join(_second_set(text)[1:2]))
    with pytest.raises(ModelError, match=r"'clean' is incomplete, it lacks tiny_float"):
        load_manifest(folder, "clean")
    assert load_manifest(folder).models


def test_a_set_may_lack_what_is_optional(folder: Path) -> None:
    edit(folder, lambda text: text + "".join(_second_set(text)[1:2]))
    name = 'name = "tiny_float"\n'
    edit(folder, lambda text: text.replace(name, f"{name}optional = true\n"))
    assert list(load_manifest(folder).models) == ["tiny", "tiny_float"]
    assert load_manifest(folder).entry("tiny_float").optional
    assert list(load_manifest(folder, "clean").models) == ["tiny"]
    with pytest.raises(ModelError, match="no model 'tiny_float'"):
        load_manifest(folder, "clean").entry("tiny_float")
    edit(folder, lambda text: text.replace("optional = true", 'optional = "yes"'))
    with pytest.raises(ModelError, match=r"'optional'.*must be bool"):
        load_manifest(folder)


def _second_set(text: str) -> list[str]:
    """The manifest's tables again, as the clean set; the first item is empty."""
    tables = text.split("[[model]]")[1:]
    again = ['\n[[model]]\nset = "clean"' + re.sub("[0-9a-f]{64}", "0" * 64, t) for t in tables]
    return ["", *again]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t + "\n[surprise]\nx = 1\n", "'surprise' in the file is an unknown key"),
        (
            lambda t: t.replace("terms =", 'licence = "x"\nterms =', 1),
            "'licence' in [[model]] tiny",
        ),
        (lambda t: t.replace("zero_point = -128", "zero_point = -128\nunit = 1", 1), "'unit'"),
        (lambda t: t.replace("format = 1", "format = 2"), "is 2; this version reads 1"),
        (lambda t: t.replace("format = 1", ""), "'format' in the file is missing"),
        (lambda t: t.replace('file = "tiny.tflite"', ""), "'file' in [[model]] tiny is missing"),
        (lambda t: t.replace('"tiny.tflite"', '"../tiny.tflite"'), "inside the models folder"),
        (lambda t: t.replace('"tiny.tflite"', '"/etc/passwd"'), "inside the models folder"),
        (lambda t: t.replace('"tiny.tflite"', '"a/../../b"'), "inside the models folder"),
        (lambda t: re.sub('sha256 = "[0-9a-f]*"', 'sha256 = "abc"', t, count=1), "64 lower-case"),
        (lambda t: t.replace("[1, 16, 16, 1]", "[1, 16, 0, 1]", 1), "positive sizes"),
        (lambda t: t.replace("[1, 16, 16, 1]", '[1, "16", 16, 1]', 1), "list of int"),
        (lambda t: t.replace('"int8"', '"uint8"', 1), "int8 or float32"),
        (lambda t: re.sub("scale = .*", 'scale = "1/255"', t, count=1), "must be float"),
        (lambda t: re.sub("scale = .*", "scale = nan", t, count=1), "finite"),
        (lambda t: re.sub("scale = .*", "scale = 0.0", t, count=1), "above 0"),
        (lambda t: t.replace("[0.0, 1.0]", "[1.0, 0.0]", 1), "[low, high]"),
        (lambda t: t.replace("delegated = 1.0", "delegated = 1.5", 1), "[0, 1]"),
        (lambda t: t.replace('name = "tiny_float"', 'name = "tiny"'), "same name twice"),
        (lambda t: t.replace('name = "head"', 'name = "map"', 1), "same name twice"),
        (lambda t: t.replace("threshold = 0.5", "threshold = {a = 1}", 1), "parameters.threshold"),
        (lambda t: t + "\n[", "not valid TOML"),
        (lambda t: "format = 1\nmodel = 3\n", "must be list"),
        (lambda t: "format = 1\nmodel = []\n", "[[model]] tables"),
    ],
)
def test_refuses(folder: Path, change: Callable[[str], str], expected: str) -> None:
    edit(folder, change)
    with pytest.raises(ModelError) as caught:
        load_manifest(folder)
    message = str(caught.value)
    assert expected in message
    assert str(folder / "manifest.toml") in message
    assert module.ADVICE in message


def test_refuses_a_link_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    shutil.move(folder / "tiny.tflite", tmp_path / "elsewhere.tflite")
    os.symlink(tmp_path / "elsewhere.tflite", folder / "tiny.tflite")
    with pytest.raises(ModelError, match="leads out of the models folder"):
        load_manifest(folder)


def test_missing_manifest_bad_text_and_missing_model(folder: Path) -> None:
    with pytest.raises(ModelError, match="has no model 'landmarks' \\(it lists: tiny, tiny_float"):
        load_manifest(folder).entry("landmarks")
    (folder / "manifest.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match="not valid TOML"):
        load_manifest(folder)
    (folder / "manifest.toml").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        load_manifest(folder)


def test_missing_and_altered_files_are_refused(folder: Path) -> None:
    entry = load_manifest(folder).entry("tiny")
    content = bytearray(entry.file.read_bytes())
    content[len(content) // 2] ^= 1
    entry.file.write_bytes(content)
    with pytest.raises(ModelError, match="is not the file that the manifest describes"):
        entry.read()
    entry.file.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        entry.read()


def test_folder_is_the_configured_one_or_an_error_names_it(folder: Path, tmp_path: Path) -> None:
    assert models_folder(folder) == folder
    with pytest.raises(ModelError, match=re.escape(str(tmp_path / "nowhere"))):
        models_folder(tmp_path / "nowhere")


def test_default_folder_prefers_the_package(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "agent"
    (package / "inference").mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(package / "inference" / "manifest.py"))
    with pytest.raises(ModelError, match=r"no manifest.toml in .*agent/models or .*site/models"):
        models_folder(None)
    shutil.copytree(folder, package.parent / "models")
    assert models_folder(None) == package.parent / "models"
    shutil.copytree(folder, package / "models")
    assert models_folder(None) == package / "models"
