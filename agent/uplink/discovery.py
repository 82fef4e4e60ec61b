"""Home Assistant's device discovery: one retained message says what this device's messages mean.

A function of the device id alone: it can carry nothing that was seen. Keys are those of Home
Assistant's MQTT integration (https://www.home-assistant.io/integrations/mqtt/#discovery-messages).
"""

from __future__ import annotations

import json
from typing import Any

from agent.uplink.topics import Topics

MOST_BYTES = 3500

_HAPPY = (
    "{% set e = value_json.expression %}"
    "{{ (100 * [e.happiness, 0] | max / [e.values() | sum, 1] | max) | round | int"
    " if e else None }}"
)
_ATTENTIVE = (
    "{% set a = value_json.attention %}"
    "{{ a.from_1_to_5 + a.from_5_to_15 + a.over_15 if a else None }}"
)
_SENSORS: tuple[tuple[str, str, str, str, dict[str, Any]], ...] = (
    # key, name, kind of message, template, more
    ("visits", "Visits", "summary", "{{ value_json.visits }}", {"state_class": "measurement"}),
    ("happy", "Happy visits", "summary", _HAPPY, {"unit_of_measurement": "%"}),
    ("attentive", "Attentive visits", "summary", _ATTENTIVE, {"state_class": "measurement"}),
    ("perception", "Perception", "health", "{{ value_json.perception }}", {}),
    (
        "temperature", "Temperature", "health", "{{ value_json.temperature }}",
        {"device_class": "temperature", "unit_of_measurement": "°C"},
    ),
    ("waiting", "Messages waiting", "health", "{{ value_json.waiting }}", {}),
)  # fmt: skip
_BUTTONS = (("pause", "Pause"), ("resume", "Resume"))


def announcement(device: str, topics: Topics) -> bytes:
    """The body of `homeassistant/device/{id}/config`; `device`: the id that `topics` belong to."""
    parts: dict[str, dict[str, Any]] = {}
    for key, name, kind, template, more in _SENSORS:
        parts[key] = {
            "p": "sensor",
            "name": name,
            "unique_id": f"fleeting_{device}_{key}",
            "state_topic": topics.of(kind),
            "value_template": template,
            **({"entity_category": "diagnostic"} if kind == "health" else {}),
            **more,
        }
    for command, name in _BUTTONS:
        parts[command] = {
            "p": "button",
            "name": name,
            "unique_id": f"fleeting_{device}_{command}",
            "command_topic": f"{topics.commands}{command}",
            "payload_press": "{}",
            "entity_category": "config",
        }
    whole = {
        "dev": {"ids": [f"fleeting_{device}"], "name": f"Fleeting {device}"},
        "o": {"name": "fleeting"},
        "availability_topic": topics.of("state"),
        "cmps": parts,
    }
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()
