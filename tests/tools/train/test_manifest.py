"""The manifest as the trainings write it."""

from __future__ import annotations

import hashlib
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agent.inference.manifest import load_manifest
from tools.train import manifest

TINY = Path(__file__).parents[2] / "golden" / "tiny"


def _entry(models: Path, copy_of: str = "tiny", **changes: Any) -> dict[str, Any]:
    """The table of a copy of a tiny model (outputs: map, head)."""
    file = models / "tiny" / "model.tflite"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes((TINY / f"{copy_of}.tflite").read_bytes())
    arguments: dict[str, Any] = {
        "name": "tiny",
        "outputs": ["map", "head"],
        "training_data": ["none"],
        "terms": 'a "quoted" line, with \\ and ü',
        "parameters": {"temperature": 1.25, "valence": [0.0, -0.5], "count": 3},
    }
    return manifest.entry(file=file, models=models, **(arguments | changes))


def _read(models: Path) -> list[dict[str, Any]]:
    content = tomllib.loads((models / "manifest.toml").read_text())
    assert content["format"] == manifest.FORMAT
    return list(content["model"])


def test_tensors_come_from_the_file(tmp_path: Path) -> None:
    table = _entry(tmp_path)
    (image,) = table["input"]
    kind = [image[key] for key in ("shape", "dtype", "zero_point")]
    assert kind == [[1, 16, 16, 1], "int8", -128]
    assert image["scale"] * 255 == pytest.approx(1, abs=1e-5)
    assert image["range"] == pytest.approx([0, 1], abs=1e-5)
    content = (tmp_path / "tiny" / "model.tflite").read_bytes()
    assert table["sha256"] == hashlib.sha256(content).hexdigest()
    assert table["file"] == "tiny/model.tflite"
    assert {output["index"] for output in table["output"]} == {0, 1}
    for output in table["output"]:
        low, high = output["range"]
        assert low == pytest.approx((-128 - output["zero_point"]) * output["scale"], abs=1e-5)
        assert high == pytest.approx((127 - output["zero_point"]) * output["scale"], abs=1e-5)


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    table = _entry(tmp_path)
    manifest.write(table, tmp_path)
    assert _read(tmp_path) == [table]


def test_one_table_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    for name in ("expression", "detector"):
        manifest.write(_entry(tmp_path, name=name), tmp_path)
    newer = _entry(tmp_path, name="expression", parameters={"temperature": 2.0})
    manifest.write(newer, tmp_path)
    detector, expression = _read(tmp_path)
    assert detector["name"] == "detector"
    assert detector["parameters"]["temperature"] == 1.25
    assert expression == newer


def test_trainings_that_end_together_lose_nothing(tmp_path: Path) -> None:
    tables = [_entry(tmp_path, name=f"model{i}") for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda table: manifest.write(table, tmp_path), tables))
    assert _read(tmp_path) == tables


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, {"a": 1}])
def test_a_value_that_toml_cannot_carry_changes_nothing(tmp_path: Path, value: Any) -> None:
    manifest.write(_entry(tmp_path), tmp_path)
    before = (tmp_path / "manifest.toml").read_bytes()
    with pytest.raises((TypeError, ValueError)):
        manifest.write(_entry(tmp_path, parameters={"temperature": value}), tmp_path)
    assert (tmp_path / "manifest.toml").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


def test_every_output_needs_a_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 outputs"):
        _entry(tmp_path, outputs=["map"])


def test_float_outputs_need_a_range(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="state its range"):
        _entry(tmp_path, copy_of="tiny_float")
    table = _entry(tmp_path, copy_of="tiny_float", ranges={"map": (-4.0, 4.0), "head": (0.0, 1.0)})
    assert [output["range"] for output in table["output"]] == [[-4.0, 4.0], [0.0, 1.0]]
    assert {output["dtype"] for output in table["output"]} == {"float32"}


def test_sets_stand_beside_each_other(tmp_path: Path) -> None:
    for which in ("clean", "research"):
        for name in ("landmarks", "detector"):
            manifest.write(_entry(tmp_path, name=name, which=which), tmp_path)
    manifest.write(_entry(tmp_path, name="detector", which="clean", terms="newer"), tmp_path)
    tables = _read(tmp_path)
    wanted = [(s, name) for s in ("research", "clean") for name in ("detector", "landmarks")]
    assert [(t["set"], t["name"]) for t in tables] == wanted
    assert [t["terms"] for t in tables].count("newer") == 1
    assert list(load_manifest(tmp_path, "clean").models) == ["detector", "landmarks"]


def test_a_table_without_a_set_is_replaced_by_the_research_one(tmp_path: Path) -> None:
    old = _entry(tmp_path)
    del old["set"]
    manifest.write(old, tmp_path)
    manifest.write(_entry(tmp_path, which="clean"), tmp_path)
    manifest.write(_entry(tmp_path), tmp_path)
    assert [table["set"] for table in _read(tmp_path)] == ["research", "clean"]
    assert manifest.model_folder("tiny", "research", tmp_path) == tmp_path / "tiny"
    assert manifest.model_folder("tiny", "clean", tmp_path) == tmp_path / "tiny" / "clean"
