"""Retained state, published on every connection and on change: birth certificate, settings in
force, Home Assistant discovery; and periodic health."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from agent.base.report import (
    Birth,
    LastReceipt,
    Meta,
    SlotsInUse,
    UplinkCage,
    from_json,
    to_json,
)
from agent.base.report.device import UplinkOpening
from agent.uplink.health import HealthReporter, is_present
from agent.uplink.settings import RemoteControl
from agent.uplink.topics import Topics
from agent.uplink.warden.warden import Retained, Warden
from agent.wall.outbox import Outbox

POLL_INTERVAL = 1.0
"""Seconds between checks for changes."""
META_INTERVAL = 60.0
"""Minimum seconds between birth certificates on one connection."""
STATE_INTERVAL = 10.0
"""Minimum seconds between republications requested by Home Assistant."""
APPLY_TIMEOUT = 60.0
"""Seconds beyond a window for the perceive process to apply new settings, which it does when a
window begins; after that they are reported anyway."""
APPLY_TIMEOUT_ABSENT = 5.0
"""Seconds while it does not run."""
FIRST_HEALTH_DELAY = 5.0
HEALTH_RETRY = 30.0
"""Seconds until health that was not due is tried again."""
_JITTER = 0.1

_NO_SANDBOX = UplinkCage(
    devices="open", egress="open", writes="open", found_open=get_args(UplinkOpening), layers=()
)

Publish = Callable[[str, bytes], None]
"""Kind of message (`topics.MESSAGE_KINDS`) and body; raises `PublishError`."""


@dataclass(slots=True)
class Identity:
    """The uplink process's part of the birth certificate."""

    key: str | None
    schemas: str
    last_receipt: Callable[[], LastReceipt | None] = lambda: None
    sandbox: UplinkCage = _NO_SANDBOX
    """Set once the process has entered it."""


def has_room(outbox: Outbox, most: int, slot: int) -> bool:
    """Whether the perceive process will take this slot, as far as it has said which ones it showed
    in the last day. Raises `StoreError`."""
    found = outbox.latest.get(SlotsInUse)
    used = {0, *(each.slot for each in found[0].used)} if found else {0}
    return slot in used or len(used) < most


class StatePublisher:
    """Publishes changed state within the connection's send quota."""

    def __init__(
        self,
        topics: Topics,
        identity: Identity,
        outbox: Outbox,
        control: RemoteControl,
        health: HealthReporter,
        warden: Warden,
        health_interval: float,
        *,
        hears: bool = False,
        reads: bool = False,
        updates: bool = False,
    ) -> None:
        """`health_interval`: seconds; `hears`, `reads`, `updates`: see `announcement`."""
        self._topics = topics
        self._identity = identity
        self._outbox = outbox
        self._control = control
        self._health = health
        self._warden = warden
        self._interval = health_interval
        self._announcement = announcement(topics, hears=hears, reads=reads, updates=updates)
        self._published: dict[str, bytes] = {}
        """Last body by kind, over this connection."""
        self._state_requested = False
        self._health_requested = False
        self._next_poll = 0.0
        self._next_meta = 0.0
        self._next_state = 0.0
        self._next_health = 0.0

    @property
    def boot(self) -> str | None:
        """Boot id of the perceive process as published in the birth certificate; None while that is
        absent. Raises `StoreError`."""
        body = self._published.get("meta")
        meta = from_json(Meta, body) if body else None
        return meta.birth.boot if meta and is_present(self._outbox) else None

    def connected(self) -> None:
        """Republish all on a new connection, except health that is not due."""
        self._invalidate()
        soon = time.monotonic() + FIRST_HEALTH_DELAY * random.uniform(0.5, 1.0)
        self._next_health = max(self._next_health, soon)

    def request(self, what: Literal["state", "report"]) -> None:
        """Republish: `report` all and at once, `state` without health, every `STATE_INTERVAL`."""
        if what == "state":
            self._state_requested = True
        else:
            self._invalidate()
            self._health_requested = True

    def step(self, publish: Publish, quota: int) -> None:
        """Publish at most `quota` changed messages, and health if due. Raises `PublishError`,
        `StoreError`."""
        now = time.monotonic()
        if self._state_requested and now >= self._next_state:
            self._state_requested = False
            self._next_state = now + STATE_INTERVAL
            self._invalidate()
        if now < self._next_poll:
            return
        self._next_poll = now + POLL_INTERVAL
        for kind, body in self._changed(now)[:quota]:
            if kind == "discovery" and body:
                self._control.set_announced(True)  # stored first: always cleared later
            publish(kind, body)
            self._published[kind] = body
            if kind == "meta":
                self._next_meta = now + META_INTERVAL
            elif kind == "discovery" and not body:
                self._control.set_announced(False)
        if (now >= self._next_health or self._health_requested) and quota:
            if self._warden.may_report_health(self._health_requested):
                publish("health", to_json(self._health()))
                self._next_health = now + self._interval * random.uniform(1.0, 1.0 + _JITTER)
            else:
                self._next_health = now + HEALTH_RETRY
            self._health_requested = False

    def _invalidate(self) -> None:
        self._published.clear()
        self._next_poll = self._next_meta = 0.0

    def _changed(self, now: float) -> list[tuple[str, bytes]]:
        """Messages that differ from the last published on this connection. Where the quota of
        changes is used up, the last admitted ones stay in force. Raises `StoreError`."""
        found: list[tuple[Retained, bytes]] = []
        birth = self._outbox.latest.get(Birth)
        if birth is not None and now >= self._next_meta:
            own = self._identity
            meta = Meta(
                birth=birth[0],
                uplink=own.sandbox,
                key=own.key,
                receipt=own.last_receipt(),
                schemas=own.schemas,
            )
            found.append(("meta", to_json(meta)))
        if self._settings_applied(birth, now):
            found.append(("shadow/reported", to_json(self._control.reported)))
        if self._control.config.mqtt.discovery:
            found.append(("discovery", self._announcement))
        elif self._control.settings.announced:
            found.append(("discovery", b""))  # an empty message deletes the retained one
        permitted = [(kind, self._warden.in_force(kind, body)) for kind, body in found]
        return [
            (kind, body)
            for kind, body in permitted
            if body is not None and self._published.get(kind) != body
        ]

    def _settings_applied(self, birth: tuple[Birth, float] | None, now: float) -> bool:
        """Whether the perceive process has applied the settings, or the timeout has passed."""
        changed = self._control.changed_at
        if changed is None:
            return True
        since = now - changed
        if birth is None or not is_present(self._outbox):
            return since >= APPLY_TIMEOUT_ABSENT
        message, age = birth
        # Ages are in whole seconds, rounded up.
        caught_up = message.settings == self._control.settings.version and age < since + 1.0
        return caught_up or since >= message.window + APPLY_TIMEOUT


def _share(counts: str, of: str) -> str:
    """A template: percent of a class among noised counts."""
    return (
        f"{{% set e = {counts} %}}"
        f"{{{{ (100 * [e.{of}, 0] | max / [e.values() | sum, 1] | max) | round | int"
        " if e else None }}"
    )


_PERCENT = {"unit_of_meas": "%"}
_HAPPY = _share("value_json.expression", "happiness")
_RATE = (
    "{% set v=value_json %}{% set a=v.attention %}"
    "{{ (100 * [v.visits - a.under_1, 0] | max / [v.visits + v.passing, 1] | max) | int"
    " if a and v.passing is not none else None }}"
)
"""A template: percent of all who came into view that looked for a second or longer."""
_SENSORS: tuple[tuple[str, str, str, str, dict[str, Any]], ...] = (
    # key, name, kind of message, template, more
    ("visits", "Visits", "summary", "{{ value_json.visits }}", {"state_class": "measurement"}),
    ("happy", "Happy visits", "summary", _HAPPY, {"unit_of_meas": "%"}),
    ("rate", "Attention", "summary", _RATE, _PERCENT),
    ("perception", "Perception", "health", "{{ value_json.perception }}", {}),
    (
        "temperature", "Temperature", "health", "{{ value_json.temperature }}",
        {"device_class": "temperature", "unit_of_meas": "°C"},
    ),
    ("waiting", "Messages waiting", "health", "{{ value_json.waiting }}", {}),
)  # fmt: skip
_HEARS: tuple[tuple[str, str, str, str, dict[str, Any]], ...] = (
    ("voice", "Happy voices", "summary", _share("value_json.tone", "happy"), _PERCENT),
)
_READS: tuple[tuple[str, str, str, str, dict[str, Any]], ...] = (
    (
        "words",
        "Positive words",
        "summary",
        _share("(value_json.heard or {}).words", "positive"),
        _PERCENT,
    ),
)
_BUTTONS = (("pause", "Pause"), ("resume", "Resume"))
_MOSTLY = "summary"
"""The kind of message that most sensors are read from: named once, which keeps the packet short."""
_WANTED = "{{ value_json.version if value_json is defined and value_json.kind == 'app' else '' }}"
"""A template: the version of the job that waits; where there is none Home Assistant keeps the one
it knows, which is then in force."""


def announcement(
    topics: Topics, *, hears: bool = False, reads: bool = False, updates: bool = False
) -> bytes:
    """Home Assistant's device discovery message: depends on the device id and the site's policy
    only, so it cannot leak observations. `hears`, `reads`, `updates`: microphone, words, updates
    are on. An update is shown, not started: that is the fleet's to decide.

    Keys, with their short forms: https://www.home-assistant.io/integrations/mqtt/#discovery-messages
    """
    device = topics.device
    parts: dict[str, dict[str, Any]] = {}
    heard = (*(_HEARS if hears else ()), *(_READS if reads else ()))
    for key, name, kind, template, more in (*_SENSORS, *heard):
        parts[key] = {
            "p": "sensor",
            "name": name,
            "unique_id": f"fleeting_{device}_{key}",
            **({} if kind == _MOSTLY else {"state_topic": topics.of(kind)}),
            "val_tpl": template,
            **({"ent_cat": "diagnostic"} if kind == "health" else {}),
            **more,
        }
    for command, name in _BUTTONS:
        parts[command] = {
            "p": "button",
            "name": name,
            "unique_id": f"fleeting_{device}_{command}",
            "command_topic": f"{topics.commands}{command}",
            "payload_press": "{}",
            "ent_cat": "config",
        }
    if updates:
        parts["update"] = {
            "p": "update",
            "name": "Software",
            "unique_id": f"fleeting_{device}_update",
            "state_topic": topics.of("meta"),
            "val_tpl": "{{ value_json.birth.software }}",
            "l_ver_t": topics.job_next,
            "l_ver_tpl": _WANTED,
            "ent_cat": "diagnostic",
        }
    whole = {
        "dev": {"ids": [f"fleeting_{device}"], "name": f"Fleeting {device}"},
        "o": {"name": "fleeting"},
        "availability_topic": topics.of("state"),
        "state_topic": topics.of(_MOSTLY),
        "cmps": parts,
    }
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()
