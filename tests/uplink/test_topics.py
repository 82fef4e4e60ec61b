"""What a message's kind says of its form."""

from __future__ import annotations

import json

import jsonschema
import pytest

from agent.base.report import to_json
from agent.base.schemas import registry as schemas
from agent.base.settings_file import parse
from agent.uplink.settings import RemoteControl
from agent.uplink.topics import HEARD_KINDS, MESSAGE_KINDS, message_kind
from tests.summaries import LISTENING, POLICY, summary


@pytest.mark.parametrize(("policy", "version"), [(POLICY, 1), (LISTENING, 2)])
def test_a_summary_is_announced_as_the_form_it_has(policy: object, version: int) -> None:
    kind = message_kind("summary", to_json(summary(1, policy=policy)))  # type: ignore[arg-type]
    assert kind.urn == f"urn:fleeting:summary:{version}"
    first = MESSAGE_KINDS["summary"]
    assert (kind.qos, kind.retain, kind.expiry) == (first.qos, first.retain, first.expiry)


def test_reported_settings_likewise() -> None:
    quiet, loud = (
        RemoteControl(parse({"privacy": {"words": words}}, "x"), lambda code: None).reported
        for words in (False, True)
    )
    for made, version in ((quiet, 1), (loud, 2)):
        kind = message_kind("shadow/reported", to_json(made))
        assert (kind.urn, kind.retain) == (f"urn:fleeting:reported:{version}", True)
        jsonschema.validate(json.loads(to_json(made)), schemas.load(str(kind.schema)))


def test_every_other_kind_has_one_form() -> None:
    for name, kind in MESSAGE_KINDS.items():
        assert (message_kind(name, b'{"v":2,') == kind) == (name not in HEARD_KINDS)
        assert message_kind(name, b'{"v":1,') == kind
        assert kind.schema is None or kind.schema in schemas.MESSAGES
    assert {kind.schema for kind in HEARD_KINDS.values()} == set(schemas.HEARING)
