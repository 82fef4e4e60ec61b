"""The schemas match the models and are closed and small."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from math import comb, log2
from typing import Any, get_args

import jsonschema
import pytest
from pydantic import ValidationError

from agent.base.report import Heard, HeardSummary, Quality, Summary, summary_form, to_json
from agent.base.schemas import registry as schemas
from agent.base.schemas.capacity import OpenSchemaError, capacity
from agent.base.vocabulary import HeardCell
from agent.wall.outbox.store import MAX_BODY_BYTES
from tests.summaries import LISTENING, meta, summary

CLOSED = {"type": "object", "additionalProperties": False}


@pytest.mark.parametrize("name", schemas.in_use(True))
def test_the_files_match_the_models(name: str) -> None:
    assert schemas.load(name) == schemas.build(name)
    jsonschema.Draft202012Validator.check_schema(schemas.load(name))


def test_the_command_runs_as_a_module() -> None:
    argv = [sys.executable, "-m", "agent.base.schemas", "--check"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert "summary-1: closed" in done.stdout


@pytest.mark.parametrize("name", schemas.in_use(True))
def test_a_message_is_smaller_than_a_picture(name: str) -> None:
    most = capacity(schemas.build(name))
    assert most.bytes <= MAX_BODY_BYTES
    # A receipt is sent once a day, meta, which names its hash, a few times, the others up to a
    # hundred times.
    assert most.bits / 8 <= {
        "summary-1": 64,
        "summary-2": 96,
        "receipt-1": 256,
        "meta-1": 114,
    }.get(name, 80)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("summary-1", summary(3)),
        ("summary-2", summary(3, policy=LISTENING)),
        ("meta-1", meta()),
    ],
)
def test_a_message_satisfies_its_schema_and_its_bound(name: str, made: Any) -> None:
    body = to_json(made)
    jsonschema.validate(json.loads(body), schemas.load(name))
    assert len(body) <= capacity(schemas.build(name)).bytes


def test_the_urn_names_message_and_version() -> None:
    assert schemas.build("summary-1")["$id"] == "urn:fleeting:summary:1"


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("face",), "0.3 0.4"),
        (("seq",), 1.5),
        (("seq",), 2**40),
        (("slot",), True),
        (("model",), "x" * 16),
        (("model",), "0" * 4000),
        (("policy",), "my-own"),
        (("visits",), [1, 2, 3]),
        (("quality", "fps"), 30.5),
        (("quality", "flags"), ["low_light"] * 9),
        (("quality", "flags"), ["a note in free text"]),
        (("quality", "note"), "hello"),
        (("window", "start"), 0),
        (("withheld",), [{"cell": "tone", "reason": "no_microphone", "who": 7}]),
    ],
)
def test_whatever_does_not_belong_is_refused(where: tuple[str, ...], value: Any) -> None:
    body = json.loads(to_json(summary(1)))
    jsonschema.validate(body, schemas.load("summary-1"))
    spot = body
    for key in where[:-1]:
        spot = spot[key]
    spot[where[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body, schemas.load("summary-1"))
    with pytest.raises(ValidationError):
        Summary.model_validate_json(json.dumps(body))


def test_flags_have_a_fixed_order() -> None:
    Quality(fps=30, usable=100, flags=("low_light", "throttled"))
    with pytest.raises(ValidationError, match="declared order"):
        Quality(fps=30, usable=100, flags=("throttled", "low_light"))


def test_exactly_the_null_cells_have_a_reason() -> None:
    body = json.loads(to_json(summary(1)))
    for withheld in ([], [*body["withheld"][1:]]):
        with pytest.raises(ValidationError, match="reason"):
            Summary.model_validate_json(json.dumps({**body, "withheld": withheld}))


def test_the_second_form_adds_one_block_to_the_first() -> None:
    first, second = schemas.build("summary-1"), schemas.build("summary-2")
    assert set(second["properties"]) - set(first["properties"]) == {"heard"}
    same = set(first["properties"]) - {"v", "tone"}
    assert {key: first["properties"][key] for key in same} == {
        key: second["properties"][key] for key in same
    }
    assert tuple(Heard.model_fields) == ("voice", "text", *get_args(HeardCell), "flags")


def test_a_form_is_told_by_its_first_field() -> None:
    for made in (summary(3), summary(3, policy=LISTENING)):
        body = to_json(made)
        assert summary_form(body) is type(made)
        other = HeardSummary if type(made) is Summary else Summary
        with pytest.raises(ValidationError):
            other.model_validate_json(body)


@pytest.mark.parametrize(
    ("said", "cells"),
    [
        ({"voice": "no_microphone"}, {"speech": dict.fromkeys(
            ("none", "under_5", "from_5_to_15", "over_15"), 0)}),
        ({"text": "policy"}, {"room_words": dict.fromkeys(
            ("negative", "neutral", "positive", "unsure"), 0)}),
        ({"voice": "below_k", "text": "below_k"}, {"channels": dict.fromkeys(
            ("face", "voice", "words"), 0)}),
    ],
)  # fmt: skip
def test_what_is_not_there_has_no_numbers(said: dict[str, str], cells: dict[str, Any]) -> None:
    base: dict[str, Any] = {"voice": "published", "text": "published", "flags": []}
    base |= dict.fromkeys(get_args(HeardCell))
    Heard.model_validate_json(json.dumps(base | cells))
    with pytest.raises(ValidationError, match="numbers of"):
        Heard.model_validate_json(json.dumps(base | said | cells))


OPEN: dict[str, dict[str, Any]] = {
    "unknown keys": {"type": "object", "properties": {}},
    "optional key": {**CLOSED, "properties": {"a": {"const": 1}}},
    "free text": {"type": "string"},
    "long text": {"type": "string", "maxLength": 9},
    "loose pattern": {"type": "string", "maxLength": 9, "pattern": "[a-z]"},
    "clever pattern": {"type": "string", "maxLength": 9, "pattern": "^(a|b)*$"},
    "negated pattern": {"type": "string", "maxLength": 9, "pattern": "^[^a]{3}$"},
    "float": {"type": "number", "minimum": 0, "maximum": 1},
    "no maximum": {"type": "integer", "minimum": 0},
    "no minimum": {"type": "integer", "maximum": 0},
    "endless array": {"type": "array", "items": {"const": 1}},
    "array of anything": {"type": "array", "maxItems": 3},
    "open tail": {"type": "array", "maxItems": 3, "prefixItems": [{"const": 1}]},
    "anything": {},
    "dangling reference": {"$ref": "#/$defs/nowhere"},
}


@pytest.mark.parametrize("name", OPEN)
def test_the_checker_finds_an_open_spot_however_deep(name: str) -> None:
    with pytest.raises(OpenSchemaError):
        capacity(OPEN[name])
    schema = copy.deepcopy(schemas.build("summary-1"))
    schema["$defs"]["Quality"]["properties"]["fps"] = OPEN[name]
    with pytest.raises(OpenSchemaError, match=r"message\.quality\.fps"):
        capacity(schema)


def test_the_capacity_is_the_logarithm_of_the_number_of_messages() -> None:
    schema = {
        **CLOSED,
        "required": ["n", "s", "c", "f", "u", "m"],
        "properties": {
            "n": {"anyOf": [{"type": "integer", "minimum": -1, "maximum": 5}, {"type": "null"}]},
            "s": {"type": "string", "maxLength": 4, "pattern": "^[0-9a-f]{4}$"},
            "c": {"const": 1},
            "f": {"type": "array", "maxItems": 3, "items": {"enum": ["a", "b", "c"]},
                  "uniqueItems": True},
            "u": {"type": "array", "maxItems": 2, "items": {"enum": ["a", "b", "c"]}},
            "m": {"type": "integer", "minimum": -7, "maximum": 10, "multipleOf": 5},
        },
    }  # fmt: skip
    most = capacity(schema)
    sets = sum(comb(3, size) for size in range(4))
    assert most.bits == pytest.approx(log2(8 * 16**4 * 1 * sets * (1 + 3 + 9) * 4))
    longest = '{"n":null,"s":"ffff","c":1,"f":["a","b","c"],"u":["a","b"],"m":10}'
    assert most.bytes == len(longest)
