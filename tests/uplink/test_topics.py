"""What a message's kind says of its form."""

from __future__ import annotations

import pytest

from agent.base.report import to_json
from agent.base.schemas import registry as schemas
from agent.uplink.topics import MESSAGE_KINDS, message_kind
from tests.summaries import LISTENING, POLICY, summary


@pytest.mark.parametrize(("policy", "version"), [(POLICY, 1), (LISTENING, 2)])
def test_a_summary_is_announced_as_the_form_it_has(policy: object, version: int) -> None:
    kind = message_kind("summary", to_json(summary(1, policy=policy)))  # type: ignore[arg-type]
    assert kind.urn == f"urn:fleeting:summary:{version}"
    first = MESSAGE_KINDS["summary"]
    assert (kind.qos, kind.retain, kind.expiry) == (first.qos, first.retain, first.expiry)


def test_every_other_kind_has_one_form() -> None:
    for name, kind in MESSAGE_KINDS.items():
        assert message_kind(name, b'{"v":2,') == kind or name == "summary"
        assert kind.schema is None or kind.schema in schemas.MESSAGES
