"""Messages of a fleet, validated against their models, one a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import ValidationError

from agent.base.report import (
    ClosedModel,
    Event,
    Health,
    Job,
    JobExecution,
    Meta,
    Receipt,
    Summary,
    summary_form,
    to_json,
)
from tools.common.errors import ToolError
from tools.fleet.broker import certificates, reach

KINDS: dict[str, type[ClosedModel]] = {
    "meta": Meta,
    "summary": Summary,
    "health": Health,
    "event": Event,
    "receipt": Receipt,
    "job": JobExecution,
}
_MOST = 4096
"""Bytes; a device's broker lets no more through."""


def line(topic: str, body: bytes) -> str:
    """One message for a person: device, kind, `ok` or what is wrong, and its bytes if it is sound.

    What a stranger wrote is shown only once it is known to be what it should be.
    """
    parts = topic.split("/")
    levels = 6 if parts[4:5] == ["job"] else 5
    if (
        len(parts) != levels
        or parts[:3] != ["fleeting", "1", "d"]
        or (parts[4] not in {*KINDS, "state"})
    ):
        return f"{topic!a}: not a topic of ours"
    device, kind = ascii(parts[3])[1:-1], parts[4]
    if kind == "job" and parts[5] == "next":
        kind = "job/next"
    verdict = _verdict(kind, body)
    if kind == "job" and verdict.startswith("ok ") and f'"job":"{parts[5]}"' not in verdict:
        verdict = "REFUSED: of another job than its topic"
    return f"{device:<16} {kind:<8} {verdict}"


def _verdict(kind: str, body: bytes) -> str:
    if len(body) > _MOST:
        return f"REFUSED: {len(body)} bytes"
    if kind == "state":
        said = body in (b"online", b"offline", b"")
        return body.decode() if said else "REFUSED: neither online nor offline"
    if kind == "job/next" and not body:
        return "taken back"
    model = summary_form(body) if kind == "summary" else (KINDS | {"job/next": Job})[kind]
    try:
        if to_json(model.model_validate_json(body)) != body:
            return "REFUSED: not the one byte form of its message"
    except ValidationError as error:
        return f"REFUSED: {error.error_count()} fields are not as they must be"
    return f"ok {body.decode()}"


def watch(folder: Path, operator: str, host: str, port: int, device: str) -> None:
    """Print until interrupted. Raises `ToolError`."""
    place = folder / "operators" / certificates.check_operator(operator)
    if device != "+":
        certificates.check_device(device)
    client = mqtt.Client(CallbackAPIVersion.VERSION2, operator, protocol=mqtt.MQTTv5)
    client.tls_set_context(reach.context(place))
    refusal: list[str] = []

    def on_connect(client: mqtt.Client, data: Any, flags: Any, code: Any, more: Any) -> None:
        if code.is_failure:
            refusal.append(str(code))
            client.disconnect()
        else:
            kinds = ["job/+" if kind == "job" else kind for kind in ("state", *KINDS)]
            client.subscribe([(f"fleeting/1/d/{device}/{kind}", 1) for kind in kinds])

    client.on_connect = on_connect
    client.on_message = lambda _client, _data, message: print(
        line(message.topic, bytes(message.payload)), flush=True
    )
    try:
        client.connect(host, port)
        client.loop_forever()
    except OSError as error:
        raise ToolError(
            f"The broker at {host}:{port} cannot be reached: {error}. Does it run, and is its "
            "certificate made for this name?"
        ) from None
    if refusal:
        raise ToolError(f"The broker at {host}:{port} refuses {operator}: {refusal[0]}.")
