"""The page "What leaves this box": every message, field by field, from the schemas."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

from agent import __version__
from agent.base.config import AgentConfig
from agent.base.report.device import Command, RemotePath
from agent.base.schemas import registry as schemas
from agent.base.schemas.capacity import capacity, per_day
from agent.base.vocabulary import AnyCell, Cell, HeardCell
from agent.desk.notice._document import Document
from agent.desk.notice._fields import Schema, fields
from agent.privacy.policy.research import keeps_traces
from agent.privacy.policy.rules import Policy
from agent.uplink.topics import HEARD_KINDS, MESSAGE_KINDS, MessageKind, Topics

_DAY = 86_400
_NEVER = (
    "Pictures, parts of pictures, or anything drawn from them that could be turned back into one.",
    "Sound, words, text of any kind.",
    "Landmarks, boxes, places or sizes of faces.",
    "Anything about one person: no record per visit, no number that follows somebody, no age, no "
    "sex, no identity. Nobody is recognised, not even from one visit to the next.",
    "Exact times: every time is rounded to ten seconds, and counts are of windows of the length "
    "above or more.",
)


_KEPT = (
    "This device keeps traces of the study's sessions: of single faces their action units, valence "
    "and arousal, head pose in steps of five degrees, micro-expressions and the movements around "
    "them; no picture, no landmark, no name, no time of day. They are encrypted to the researcher, "
    "so that this device cannot read them, deleted after {days} days or with the participant's "
    "withdrawal code, and sent nowhere: neither process that talks can see their folder. The "
    "study's staff fetch them. Who knows somebody's way of moving may recognise it in them."
)


_EXAMPLE_COUNTS: dict[str, dict[str, int]] = {
    "expression": {
        "neutral": 19, "happiness": 11, "surprise": 3, "sadness": 1, "anger": -1, "disgust": 0,
        "fear": 2, "contempt": 0, "unsure": 6,
    },
    "valence": {"sum": 640, "clip": 100},
    "arousal": {"sum": 310, "clip": 100},
    "attention": {"under_1": 9, "from_1_to_5": 14, "from_5_to_15": 11, "over_15": 5},
    "dwell": {
        "under_5": 8, "from_5_to_15": 13, "from_15_to_30": 9, "from_30_to_60": 6, "over_60": 3,
    },
    "tone": {"angry": 1, "happy": 5, "sad": 0, "neutral": 4, "unsure": 2},
    "micro": {
        "positive": 2, "negative": 1, "surprise": 0, "unspecified": 1, "analysable_visits": 24,
        "analysable_seconds": 410, "expected_false_alarms_tenths": 5,
    },
}  # fmt: skip
_EXAMPLE_HEARD: dict[AnyCell, dict[str, int]] = {
    "speech": {"none": 26, "under_5": 6, "from_5_to_15": 4, "over_15": 2},
    "voice_valence": {"sum": 210, "clip": 100},
    "voice_arousal": {"sum": -40, "clip": 100},
    "words": {"negative": 1, "neutral": 5, "positive": 3, "unsure": 2},
    "fused": {"negative": 2, "neutral": 20, "positive": 11, "unsure": 7},
    "channels": {"face": 37, "voice": 12, "words": 8},
    "room_tone": {"angry": 0, "happy": 7, "sad": -2, "neutral": 14, "unsure": 5},
    "room_words": {"negative": 0, "neutral": 3, "positive": 1, "unsure": -1},
}
_ROOM = (
    "Who speaks while others are in view is the room's: there each stretch of 20 seconds counts "
    "once at most. Noise hides what is said in a minute; who talks on for longer among others is "
    "hidden less.",
)
_EXAMPLE_TIME = 1_780_315_200
"""12:00 UTC of a day."""


def document(config: AgentConfig, policy: Policy) -> Document:
    """The page of a configuration. Raises `AgentError` for a schema without bounds."""
    page = Document("What leaves this box")
    page.paragraph(
        f"Device `{config.device.id}`, Fleeting {__version__}, policy `{policy.name}`, rules "
        f"`{policy.hash}`, message forms `{schemas.joint_hash(policy.listens)}`. This page was "
        "made from the configuration and from the forms (JSON Schemas) that every message is "
        "checked against before it is sent. What a form has no field for cannot be said."
    )
    page.heading("In short")
    page.table(("", ""), _in_short(config, policy))
    page.heading("What never leaves")
    page.bullets(_NEVER)
    if keeps_traces(config):
        page.heading("What is kept here")
        page.paragraph(_KEPT.format(days=config.research.days))
    _messages(page, config, policy)
    _protection(page, policy)
    _inbound(page, config, policy)
    _checks(page, config)
    return page


def published(config: AgentConfig, policy: Policy) -> tuple[list[AnyCell], list[AnyCell]]:
    """Cells that a summary can have with this configuration, and the others of its form."""
    cells = [cell for cell in policy.cells if cell != "micro" or config.micro.enabled]
    form = (*get_args(Cell), *(get_args(HeardCell) if policy.listens else ()))
    return cells, [cell for cell in form if cell not in cells]


def _in_short(config: AgentConfig, policy: Policy) -> list[tuple[str, str]]:
    cells, never = published(config, policy)
    broker = f"{config.mqtt.host}, port {config.mqtt.port}"
    return [
        ("Where it stands", f"region {policy.region}, {policy.place}"),
        ("Published per window", ", ".join(cells)),
        ("Never published here", ", ".join(never)),
        ("Expression or emotion", "read" if policy.infers_emotion else "not read, not computed"),
        ("Microphone", "tone of voice is read, sound is not kept" if policy.hears else "off"),
        ("Words", "sentiment is read, words are not kept" if policy.reads else "off"),
        ("Window", f"{policy.window} seconds or more"),
        ("Least number of visits (k)", f"{policy.k}, judged on the noised number"),
        ("Noise (epsilon per visit)", f"{policy.epsilon_milli / 1000:g}" if policy.noised
         else "none: nothing may leave this machine"),
        ("Quiet hours", ", ".join(policy.quiet_hours) or "none"),
        ("Parts of the picture painted over", str(len(policy.zones)) if policy.zones else "none"),
        ("Profile file", policy.profile or "none"),
        ("Sent to", broker + (", encrypted (TLS)" if config.mqtt.tls else ", not encrypted")),
    ]  # fmt: skip


def _messages(page: Document, config: AgentConfig, policy: Policy) -> None:
    topics = Topics(config)
    page.heading("The messages")
    page.paragraph(
        "Longest: bytes of the longest message that the form admits. Free: what of it could be "
        "chosen at will, the most that a tampered device could carry out. Per day: free bytes, "
        "where the message has a pace of its own."
    )
    rows, sections = [], []
    for kind, channel in MESSAGE_KINDS.items():
        if policy.listens:
            channel = HEARD_KINDS.get(kind, channel)
        if kind == "discovery" and not config.mqtt.discovery:
            continue
        name = {"res": "{command}", "job": "{job}"}.get(kind, "")
        topic = f"`{topics.of(kind, name)}`"
        schedule, times = _schedule(kind, config, policy)
        if channel.schema is None:
            content = (
                "the word `online` or `offline`"
                if kind == "state"
                else "names of the values above, fixed by the program"
            )
            rows.append((kind, topic, schedule, content, "0", "0" if times else "–"))
            continue
        schema = schemas.load(channel.schema)
        most = capacity(schema)
        daily = str(per_day(most, times)) if times else "–"
        rows.append((kind, topic, schedule, f"{most.bytes}", f"{most.bits / 8:.1f}", daily))
        sections.append((kind, channel, schema))
    page.table(("Message", "Topic", "When", "Longest", "Free bytes", "Free bytes a day"), rows)
    for kind, channel, schema in sections:
        _message(page, kind, channel, schema, config, policy)


def _schedule(kind: str, config: AgentConfig, policy: Policy) -> tuple[str, float]:
    """When a message is sent, and its greatest number per day; 0 where it is not periodic."""
    windows = _DAY / policy.window
    return {
        "summary": (f"once per window of {policy.window} s and content on show", windows),
        "health": (f"every {config.mqtt.health_interval} s", _DAY / config.mqtt.health_interval),
        "receipt": ("daily", 1.0),
        "state": ("on coming and going", 0.0),
        "event": ("when something happens", 0.0),
        "shadow/reported": ("when settings change, and on connecting", 0.0),
        "res": ("once per command", 0.0),
        "job": ("when an update goes on, and on connecting", 0.0),
    }.get(kind, ("at the start, on changes, and on connecting", 0.0))


def _message(
    page: Document,
    kind: str,
    channel: MessageKind,
    schema: Schema,
    config: AgentConfig,
    policy: Policy,
) -> None:
    assert channel.schema is not None
    page.heading(f"Message: {kind}")
    keeps = "kept by the broker for newcomers" if channel.retain else "not kept for newcomers"
    page.paragraph(f"{schema.get('description', '')} Form `{channel.urn}`; {keeps}. An example, "
                   "its values invented:")  # fmt: skip
    page.code(json.dumps(example(channel.schema, schema, policy), ensure_ascii=False))
    never = set(published(config, policy)[1]) if kind == "summary" else set()
    rows = []
    for each in fields(schema):
        top, _, inner = each.path.removeprefix("heard.").partition(".")
        if top in never:
            if not inner:
                meaning = f"Never here: always nothing. {each.meaning}"
                rows.append((f"`{each.path}`", meaning, "nothing", "0.0"))
            continue
        meaning = each.meaning if policy.noised else each.meaning.replace(", with noise", "")
        rows.append((f"`{each.path}`", meaning, each.values, f"{each.bits:.1f}"))
    page.table(("Field", "Meaning", "Values", "Bits"), rows)


def _protection(page: Document, policy: Policy) -> None:
    page.heading("How the counts are protected")
    if not policy.noised:
        page.paragraph(
            "They are not: this policy is for trying things out. It adds no noise, and runs only "
            "with a broker on this same machine."
        )
        return
    page.bullets((
        "A visit is one stretch of time in view. It is counted in exactly one window, where it "
        "ends, and its influence on every number is bounded. Who is in view too briefly for a "
        "visit is counted as passing by and as nothing else.",
        f"Random noise (discrete Laplace, from the operating system's generator) is added to every "
        f"count, so that whether any one visit took place changes the chance of any message by a "
        f"factor of e^{policy.epsilon_milli / 1000:g} at most (differential privacy, epsilon per "
        "visit).",
        f"A window whose noised number of visits is below {policy.k} is withheld; its visits wait "
        "for the next.",
        "It protects a visit, not a person: who comes every day takes part every day.",
        *(_ROOM if policy.listens else ()),
    ))  # fmt: skip


def _inbound(page: Document, config: AgentConfig, policy: Policy) -> None:
    page.heading("What can come in")
    topics = Topics(config)
    off = "`privacy.microphone` and `privacy.words`, which it may switch off only, "
    page.paragraph(
        f"Settings, on `{topics.desired}`"
        + (f" and `{topics.defaults}`" if topics.defaults else "")
        + f": {', '.join(f'`{path}`' for path in get_args(RemotePath))}, "
        f"{off if policy.listens else ''}never weaker than the "
        f"policy. Commands, on `{topics.commands}{{name}}`: "
        + ", ".join(f"`{name}`" for name in get_args(Command))
        + ". Nothing else is listened to: no code, no address, no policy."
    )


def _checks(page: Document, config: AgentConfig) -> None:
    page.heading("How to check it")
    page.bullets((
        "`fleeting audit VIDEO` plays a video through the real program, records every byte that "
        "reaches the broker and every file written, and searches them for pictures.",
        "`fleeting receipt verify FILE` checks the signed daily receipts without the device.",
        f"`mosquitto_sub -h {config.mqtt.host} -p {config.mqtt.port} -t "
        f"'{Topics(config).base}/#' -v` shows every message as it is sent.",
        "`python -m tools.capacity` in the program's source prints what the forms admit.",
        "This is a technical description, not legal advice.",
    ))  # fmt: skip


def example(name: str, schema: Schema, policy: Policy) -> dict[str, Any]:
    """A valid message of a schema of `schemas.registry.MESSAGES`, with invented values."""
    message: dict[str, Any] = _example_value(schema, schema.get("$defs", {}), "")
    if name.startswith("summary-"):
        message |= _example_summary(policy)
    if name == "summary-2":
        message["heard"] = _example_heard(policy)
    if name == "meta-1":
        message["birth"] |= {"policy": policy.name, "policy_hash": policy.hash,
                             "k": policy.k, "window": policy.window}  # fmt: skip
    return message


def _example_summary(policy: Policy) -> dict[str, Any]:
    cells: dict[str, Any] = {cell: _EXAMPLE_COUNTS.get(cell) for cell in get_args(Cell)}
    cells |= {cell: None for cell in get_args(Cell) if cell not in policy.cells}
    cells["visits"] = 39
    cells["passing"] = 57 if "passing" in policy.cells else None
    withheld = [
        {"cell": cell, "reason": "no_microphone" if cell == "tone" else "policy"}
        for cell, value in cells.items()
        if value is None
    ]
    return cells | {
        "window": {"start": _EXAMPLE_TIME, "offset": None, "length": policy.window, "clock": "ntp",
                   "merged": 0},
        "withheld": withheld,
        "privacy": {
            "unit": "visit",
            "mechanism": "discrete_laplace" if policy.noised else "none",
            "epsilon_milli": policy.epsilon_milli,
            "k": policy.k,
        },
        "quality": {"fps": 30, "usable": 100, "flags": []},
        "policy": policy.name,
        "policy_hash": policy.hash[:8],
    }  # fmt: skip


def _example_heard(policy: Policy) -> dict[str, Any]:
    cells = {cell: _EXAMPLE_HEARD[cell] if cell in policy.cells else None
             for cell in get_args(HeardCell)}  # fmt: skip
    return {
        "voice": "published" if policy.hears else "policy",
        "text": "published" if policy.reads else "policy",
        **cells,
        "flags": [],
    }


def _example_value(schema: Schema, definitions: dict[str, Schema], key: str) -> Any:
    if "$ref" in schema:
        return _example_value(
            definitions[schema["$ref"].removeprefix("#/$defs/")], definitions, key
        )
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return _example_value(schema["anyOf"][0], definitions, key)
    kind = schema["type"]
    if kind == "object":
        return {
            name: _example_value(each, definitions, name)
            for name, each in schema["properties"].items()
        }
    if kind == "integer":
        low, step = schema["minimum"], schema.get("multipleOf", 1)
        wanted = _EXAMPLE_TIME if low > 1_000_000_000 else 7 * step
        return min(max(wanted, low), schema["maximum"])
    return {"array": [], "boolean": True, "null": None}.get(kind, _example_text(schema, key))


def _example_text(schema: Schema, key: str) -> str:
    """A string that matches the pattern, determined by the key."""
    digits = re.fullmatch(r"\^\[0-9a-f\]\{(\d+)\}\$", schema.get("pattern", ""))
    if not digits:
        return __version__
    mark = sum(ord(letter) * (place + 1) for place, letter in enumerate(key))
    return "".join(f"{(mark * (place + 3)) ** 2 % 251:02x}" for place in range(64))[
        : int(digits[1])
    ]
