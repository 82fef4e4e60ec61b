"""Addresses of brokers that speak AMQP. What a cluster does is `python -m tools.fleet.cluster`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.common.errors import ToolError
from tools.fleet.broker.folder import add_operator, make_authorities
from tools.fleet.collector.amqp import AmqpSource
from tools.fleet.settings import BrokerSettings


def source(folder: Path, url: str) -> AmqpSource:
    settings = BrokerSettings(kind="amqp", amqp=url, group="shops")
    return AmqpSource(settings, "reader-1", folder / "operators" / "reader-1")


@pytest.mark.parametrize(
    "url", ["", "broker", "http://broker/", "amqp://127.0.0.1:x/", "amqp://127.0.0.1/,"]
)
def test_what_is_no_address(tmp_path: Path, url: str) -> None:
    with pytest.raises(ToolError, match=r"broker\.amqp cannot be used"):
        source(tmp_path, url)


def test_without_tls_only_nearby(tmp_path: Path) -> None:
    assert source(tmp_path, "amqp://fleet:x@127.0.0.1/").queue == "fleeting.shops"
    with pytest.raises(ToolError, match="without TLS"):
        source(tmp_path, "amqp://fleet:x@127.0.0.1/,amqp://fleet:x@192.0.2.7/")


def test_a_certificate_is_the_login_where_there_is_no_password(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="fleeting-fleet operator reader-1"):
        source(tmp_path, "amqps://rabbit.example/")
    make_authorities(tmp_path)
    add_operator(tmp_path, "reader-1")
    made = source(tmp_path, "amqps://rabbit.example/,amqps://fleet:x@rabbit.example/")
    kinds = [type(each.credentials).__name__ for each in made._nodes]
    assert kinds == ["ExternalCredentials", "PlainCredentials"]


def test_closed_before_it_began(tmp_path: Path) -> None:
    source(tmp_path, "amqp://fleet:x@127.0.0.1/").close()
