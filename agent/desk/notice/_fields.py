"""Fields of a message, from its JSON Schema: meaning, values and information content."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from agent.base.errors import AgentError
from agent.base.schemas.capacity import capacity

Schema = dict[str, Any]

MEANINGS: dict[str, str] = {
    # What several messages have in common, by name alone.
    "*.v": "Version of this form.",
    "*.boot": "Random mark of one start of the program; new at each start.",
    "*.seq": "Counts messages, so that a second copy is recognised and a missing one noticed.",
    # summary
    "*Summary.window": "The stretch of time that is counted. It stands either with or without time "
    "of day.",
    "*Summary.slot": "Which content was on show, as a number; what it stands for stays with the "
    "operator.",
    "*Summary.visits": "Visits that ended in this window. Two visits may be of one person: nobody "
    "is recognised.",
    "*Summary.shown": "For how much of this window that content was on show while the camera "
    "worked, percent in fives. It says nothing about people.",
    "*Summary.passing": "People who passed by: faces in view too briefly for a visit, with noise. "
    "Nothing else is counted of them.",
    "*Summary.expression": "Visits by the expression shown most.",
    "*Summary.valence": "How pleasant the expressions looked.",
    "*Summary.arousal": "How lively the expressions looked.",
    "*Summary.attention": "Visits by seconds spent facing the camera.",
    "*Summary.dwell": "Visits by seconds in view.",
    "*Summary.micro": "Visits with very brief expressions.",
    "*Summary.tone": "Stretches of speech by tone of voice.",
    "HeardSummary.tone": "Visits by the tone of voice heard most, of those that spoke while nobody "
    "else was in view.",
    "*Summary.heard": "What voices and words said, beside the tone.",
    "*Summary.withheld": "Why a part is missing.",
    "*Summary.privacy": "How the counts were protected.",
    "*Summary.quality": "How far the window can be trusted.",
    "*Summary.model": "Which models were in use (first half of their hash).",
    "*Summary.policy": "The policy in force.",
    "*Summary.policy_hash": "First half of the hash of all rules in force.",
    "TimedWindow.start": "When it began: UTC seconds, in tens.",
    "TimedWindow.offset": "Nothing: the time of day is known.",
    "UntimedWindow.start": "Nothing: nobody vouches for the clock.",
    "UntimedWindow.offset": "When it began, seconds since this machine started, in tens.",
    "*Window.length": "Seconds.",
    "*Window.clock": "Who vouches for the clock.",
    "*Window.merged": "Earlier windows that had too few visits and are counted here.",
    "ExpressionCounts.*": "Visits that mostly showed {field}, with noise.",
    "ExpressionCounts.unsure": "Visits whose expression was not clear, with noise.",
    "ClippedSum.sum": "Sum over visits of a mean from -100 to 100 each, with noise.",
    "ClippedSum.clip": "The most that one visit adds.",
    "AttentionCounts.under_1": "Visits that faced the camera for less than a second, with noise.",
    "AttentionCounts.from_1_to_5": "Visits that faced it for 1 to 5 seconds, with noise.",
    "AttentionCounts.from_5_to_15": "Visits that faced it for 5 to 15 seconds, with noise.",
    "AttentionCounts.over_15": "Visits that faced it for more than 15 seconds, with noise.",
    "DwellCounts.under_5": "Visits of less than 5 seconds, with noise.",
    "DwellCounts.from_5_to_15": "Visits of 5 to 15 seconds, with noise.",
    "DwellCounts.from_15_to_30": "Visits of 15 to 30 seconds, with noise.",
    "DwellCounts.from_30_to_60": "Visits of 30 to 60 seconds, with noise.",
    "DwellCounts.over_60": "Visits of more than a minute, with noise.",
    "MicroCounts.*": "Visits with a very brief {field} expression, with noise.",
    "MicroCounts.surprise": "Visits with a very brief expression of surprise, with noise.",
    "MicroCounts.unspecified": "Visits with a very brief expression of no clear kind, with noise.",
    "MicroCounts.analysable_visits": "Visits in which one could be seen at all, with noise.",
    "MicroCounts.analysable_seconds": "Seconds in which one could be seen, with noise.",
    "MicroCounts.expected_false_alarms_tenths": "How many of them are mistakes to be expected, in "
    "tenths.",
    "ToneCounts.*": "Stretches of speech that sounded {field}.",
    "VisitTones.*": "Visits that mostly sounded {field}, with noise.",
    "VisitTones.unsure": "Visits whose tone of voice was not clear, with noise.",
    "Heard.voice": "Whether there are numbers of voices, or why not.",
    "Heard.text": "Whether there are numbers of words, or why not.",
    "Heard.speech": "Visits by seconds of speech.",
    "Heard.voice_valence": "How pleasant the voices sounded.",
    "Heard.voice_arousal": "How lively the voices sounded.",
    "Heard.words": "Visits by the sentiment of what they wrote or said.",
    "Heard.fused": "Visits by what face, voice and words say together.",
    "Heard.channels": "Visits in which each of them took part in that.",
    "Heard.room_tone": "Speech while nobody, or more than one, was in view: stretches of 20 "
    "seconds by tone of voice, each counted once at most.",
    "Heard.room_words": "The same of words, by sentiment.",
    "Heard.flags": "Problems of the sound: numbers that are none, clipping, silence, samples lost.",
    "SpeechCounts.none": "Visits that were not heard, with noise.",
    "SpeechCounts.under_5": "Visits heard for less than 5 seconds, with noise.",
    "SpeechCounts.from_5_to_15": "Visits heard for 5 to 15 seconds, with noise.",
    "SpeechCounts.over_15": "Visits heard for more than 15 seconds, with noise.",
    "SentimentCounts.*": "Of them mostly {field}, with noise.",
    "SentimentCounts.unsure": "Of them not clear, with noise.",
    "ChannelCounts.*": "Visits in which the {field} took part, with noise.",
    "Privacy.unit": "Whose influence is bounded: that of one visit.",
    "Privacy.mechanism": "The kind of noise.",
    "Privacy.epsilon_milli": "Thousandths of epsilon that a visit spends; 0: no noise is added.",
    "Privacy.k": "Counts of fewer visits are withheld.",
    "Quality.fps": "Pictures per second that were analysed.",
    "Quality.usable": "Percent of the pictures that were analysed.",
    "Quality.flags": "What made the window worse.",
    # meta
    "Meta.birth": "What the perceive process says of itself.",
    "Meta.uplink": "How far the uplink process is sandboxed.",
    "Meta.key": "The public key that receipts are signed with.",
    "Meta.receipt": "The receipt that was signed last.",
    "Meta.schemas": "Hash of all message forms.",
    "LastReceipt.number": "Its number.",
    "LastReceipt.sha256": "Its hash.",
    "Birth.software": "Version of the program.",
    "Birth.model": "Hash of the models.",
    "Birth.policy": "The policy in force.",
    "Birth.policy_hash": "Hash of all rules in force.",
    "Birth.epoch": "UTC of this machine's start, in tens of seconds.",
    "Birth.clock": "Who vouches for the clock.",
    "Birth.settings": "Version of the settings in force.",
    "Birth.k": "Counts of fewer visits are withheld.",
    "Birth.window": "Seconds per window.",
    "Birth.cage": "How far the perceive process is sandboxed.",
    "PerceiveCage.network": "Whether it found the network closed when it tried.",
    "UplinkCage.devices": "Whether it found cameras and microphones closed when it tried.",
    "UplinkCage.egress": "Whether the kernel lets it reach the broker only.",
    "*Cage.writes": "Whether the kernel lets it write its own files only.",
    "*Cage.found_open": "What it tried that should be refused, and was not.",
    "*Cage.layers": "What enforces the sandbox.",
    # health
    "Health.perception": "Whether the perceive process works.",
    "Health.fps": "Pictures per second, in fives.",
    "Health.temperature": "Degrees Celsius, in tens.",
    "Health.power": "Whether the power supply is strong enough.",
    "Health.memory": "MiB that the uplink process holds.",
    "Health.disk": "Room on the disk.",
    "Health.waiting": "Messages not yet sent: that many or more.",
    "Health.trimmed": "Messages given up for want of room or for age.",
    "Health.clock": "Who vouches for the clock.",
    # event
    "Event.code": "What happened.",
    "Event.count": "Times since it was last said.",
    "Event.at": "When: UTC seconds, in tens.",
    "Event.offset": "When: seconds since this machine started, in tens.",
    # receipt
    "Receipt.statement": "What is stated of one day.",
    "Receipt.signature": "Ed25519 signature of the statement.",
    "Statement.number": "Counts the receipts of this key.",
    "Statement.previous": "Hash of the receipt before: none can be left out unseen.",
    "Statement.start": "Begin of the day, UTC seconds, in tens.",
    "Statement.end": "Its end, likewise.",
    "Statement.outbox": "Whether the record of releases is the one seen before, or why not.",
    "Statement.summaries": "Summaries released.",
    "Statement.digest": "Hash over all of them.",
    "Statement.messages": "Messages of every kind that the broker took.",
    "Statement.bytes": "Their bytes.",
    "Statement.epsilon_milli": "The most that a visit spent, in thousandths.",
    "Statement.windows_withheld": "Windows with too few visits.",
    "Statement.visits_withheld": "Visits in those, with noise, in tens.",
    "Statement.model": "Hash of the models.",
    "Statement.policy": "Hash of all rules in force.",
    "Statement.units": "Hash of the service files that build the sandbox.",
    "Statement.schemas": "Hash of all message forms.",
    "Statement.key": "The public key that signs.",
    # reported
    "*Reported.version": "The newest wish of the fleet that was looked at.",
    "*Reported.defaults": "The newest wish for the device's group that was looked at.",
    "*Reported.config": "The settings in force, of those that a fleet may change.",
    "*Reported.rejected": "Wishes that were refused.",
    "*Settings.*": "Settings of this part.",
    "Detection.tiles": "Tiles across the picture for faces far away.",
    "Micro.enabled": "Whether micro-expressions are looked for.",
    "Mqtt.discovery": "Whether the device announces itself to Home Assistant.",
    "RemotePrivacy.k": "Counts of fewer visits are withheld.",
    "RemotePrivacy.window": "Seconds per window.",
    "RemotePrivacy.microphone": "Whether tone of voice is read.",
    "RemotePrivacy.words": "Whether the sentiment of words is read.",
    "Tracking.max_faces": "Faces followed at once.",
    "Rejected.path": "Which setting.",
    "Rejected.reason": "Why.",
    # response
    "Response.command": "The command that is answered.",
    "Response.answer": "What came of it.",
    # job
    "JobExecution.job": "The update's number, which the fleet has chosen.",
    "JobExecution.status": "How far it is.",
    "JobExecution.step": "The same in more detail.",
    "JobExecution.reason": "Why it ended otherwise than wished.",
    "JobExecution.number": "Counts the reports of this update.",
    "JobExecution.app": "Version of the program in use.",
    "JobExecution.models": "Version of the models in use.",
}
"""By `Model.field`, else by the longest matching pattern."""


@dataclass(frozen=True, slots=True)
class Field:
    """One row of a message's table."""

    path: str
    meaning: str
    values: str
    """Possible values, as text."""
    bits: float
    """log2 of their number."""


def fields(schema: Schema) -> list[Field]:
    """Every field of a message; nested fields follow their object.

    Raises `AgentError` for a field without an entry in `MEANINGS`.
    """
    return list(_Schema(schema).rows(schema, ""))


def meaning(model: str, field: str) -> str:
    """Meaning of a model's field. Raises `AgentError` where `MEANINGS` has no entry."""
    name = f"{model}.{field}"
    found = MEANINGS.get(name)
    if found is None:
        patterns = [each for each in MEANINGS if "*" in each and fnmatchcase(name, each)]
        if not patterns:
            raise AgentError(f"MEANINGS in {__name__} has no entry for {name}. Add it.")
        found = MEANINGS[max(patterns, key=len)]
    return found.replace("{field}", field)


class _Schema:
    """A message's schema with access to its definitions."""

    def __init__(self, schema: Schema) -> None:
        self._definitions: dict[str, Schema] = schema.get("$defs", {})
        self._remote = bool({"RemoteSettings", "HeardSettings"} & self._definitions.keys())

    def rows(self, schema: Schema, prefix: str) -> Iterator[Field]:
        title = str(schema["title"])
        # two models share this name
        title = "RemotePrivacy" if title == "Privacy" and self._remote else title
        for name, raw in schema["properties"].items():
            path = prefix + name
            yield Field(path, meaning(title, name), self._values(raw), self._bits(raw))
            for option in self._options(raw):
                inner = self._resolved(option)
                if inner.get("type") == "array":
                    inner = self._resolved(inner["items"])
                    path += "[]"
                if inner.get("type") == "object" and "title" in inner:
                    yield from self.rows(inner, f"{path}.")

    def _bits(self, schema: Schema) -> float:
        return capacity({**schema, "$defs": self._definitions}).bits

    def _resolved(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self._definitions[schema["$ref"].removeprefix("#/$defs/")]
        return schema

    def _options(self, schema: Schema) -> list[Schema]:
        schema = self._resolved(schema)
        options: list[Schema] = schema.get("anyOf", [schema])
        return options

    def _values(self, schema: Schema) -> str:
        options = [self._resolved(each) for each in self._options(schema)]
        null = any(each.get("type") == "null" for each in options)
        options = [each for each in options if each.get("type") != "null"]
        if len(options) > 1 and all(each.get("type") == "integer" for each in options):
            text = _ranges(options)
        else:
            text = "; ".join(dict.fromkeys(map(self._option, options)))
        return f"{text}, or nothing" if null and text else text or "nothing"

    def _option(self, schema: Schema) -> str:
        if "const" in schema:
            return _value(schema["const"])
        if "enum" in schema:
            return " | ".join(map(_value, schema["enum"]))
        kind = schema["type"]
        if kind == "integer":
            step = schema.get("multipleOf", 1)
            steps = f" in steps of {step}" if step != 1 else ""
            return f"{schema['minimum']} to {schema['maximum']}{steps}"
        if kind == "string":
            return _pattern(schema["pattern"])
        if kind == "array":
            return f"at most {schema['maxItems']} of: {self._values(schema['items'])}"
        if kind == "object" and "title" not in schema:
            parts = (f"{key} {self._values(each)}" for key, each in schema["properties"].items())
            return ", ".join(parts)
        return {"object": "the fields below", "boolean": "true | false"}[kind]


def _ranges(options: list[Schema]) -> str:
    """Integer ranges with a coarser step away from zero."""
    fine = next((each for each in options if each.get("multipleOf", 1) == 1), options[0])
    low = min(each["minimum"] for each in options)
    high = max(each["maximum"] for each in options)
    return f"{low} to {high}: by ones from {fine['minimum']} to {fine['maximum']}, coarser beyond"


def _value(value: Any) -> str:
    return "nothing" if value is None else str(value)


def _pattern(pattern: str) -> str:
    hexadecimal = re.fullmatch(r"\^\[0-9a-f\]\{(\d+)\}\$", pattern)
    if hexadecimal:
        return f"{hexadecimal[1]} hexadecimal digits"
    dotted = pattern.strip("^$").split(r"\.")
    if len(dotted) > 1 and set(dotted) == {"[0-9]{1,4}"}:
        return f"{len(dotted)} numbers of at most 4 digits, with dots between"
    return f"text like {pattern}"
