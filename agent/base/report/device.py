"""What a device says of itself: birth, health, events, settings, answers, receipts. Closed."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field

from agent.base.report.base import Boot, ClosedModel, Hash16, Hash64, Offset, Seq, Software, Utc
from agent.base.vocabulary import PolicyName, Trust, WindowLength

Version = Annotated[int, Field(ge=0, le=2_147_483_647)]
"""Of the settings that a fleet wishes; 0: none were ever sent. After the last comes 1."""
Elapsed = Annotated[int, Field(ge=0, le=2**40)]
Layer = Literal["systemd", "namespace", "mdwe", "seccomp", "landlock"]
PerceiveOpening = Literal[
    "inet",
    "unix",
    "listen",
    "descriptor",
    "attributes",
    "ipc",
    "exec",
    "dumpable",
    "signal",
    "file",
    "shm",
]
"""What the seeing half tries at its start, and should find refused: internet sockets; a message to
a local server; serving somebody; receiving a file of another process; attributes, owners, modes and
times of files; System V and POSIX message IPC; starting a program; letting itself be traced;
signals to others; files outside its folders; shared memory."""
UplinkOpening = Literal[
    "listen",
    "udp",
    "unix",
    "descriptor",
    "address",
    "port",
    "device",
    "attributes",
    "ipc",
    "exec",
    "dumpable",
    "signal",
    "file",
]
"""The same of the talking half. Address, port: a TCP connection to an address, or a port, that is
not the broker's."""
Perception = Literal["running", "paused", "quiet", "stalled", "hot", "absent"]
EventCode = Literal[
    "cage_open",
    "camera_black",
    "camera_covered",
    "camera_frozen",
    "camera_green",
    "camera_stalled",
    "camera_restarted",
    "microphone_stalled",
    "microphone_restarted",
    "clock_stepped",
    "command_refused",
    "content_refused",
    "cooled",
    "hot",
    "inbound_refused",
    "outbox_altered",
    "outbox_damaged",
    "outbox_trimmed",
    "paused",
    "policy_refused",
    "quota_exceeded",
    "reboot_asked",
    "resumed",
    "row_refused",
    "settings_applied",
    "settings_refused",
    "store_failed",
    "summaries_lost",
    "transcriber_failed",
    "undervolt",
    "update_installed",
    "update_rolled_back",
    "words_refused",
]
RemotePath = Literal[
    "detection.tiles",
    "micro.enabled",
    "mqtt.discovery",
    "privacy.k",
    "privacy.window",
    "tracking.max_faces",
]
"""The settings that a fleet may change. Place, policy, epsilon, consent and addresses are not among
them: they are decided on site."""
Refusal = Literal[
    "unknown_key",
    "not_remote",
    "wrong_value",
    "weaker_than_policy",
    "weaker_than_site",
    "version_jump",
]
Command = Literal["ping", "content", "pause", "resume", "report"]
Answer = Literal[
    "done", "malformed", "out_of_range", "unknown_command", "too_many", "too_many_slots", "failed"
]


def in_order(choices: Any) -> AfterValidator:
    """Each choice of a `Literal` at most once, in declared order: an order says nothing then."""

    def check(given: tuple[Any, ...]) -> tuple[Any, ...]:
        if list(given) != [choice for choice in get_args(choices) if choice in given]:
            raise ValueError("entries stand once each, in declared order")
        return given

    return AfterValidator(check)


Layers = Annotated[
    tuple[Layer, ...],
    Field(max_length=len(get_args(Layer)), json_schema_extra={"uniqueItems": True}),
    in_order(Layer),
]


PerceiveOpenings = Annotated[
    tuple[PerceiveOpening, ...],
    Field(max_length=len(get_args(PerceiveOpening)), json_schema_extra={"uniqueItems": True}),
    in_order(PerceiveOpening),
]
UplinkOpenings = Annotated[
    tuple[UplinkOpening, ...],
    Field(max_length=len(get_args(UplinkOpening)), json_schema_extra={"uniqueItems": True}),
    in_order(UplinkOpening),
]


class PerceiveCage(ClosedModel):
    """What the seeing half found when it tried its own walls."""

    network: Literal["closed", "open"]
    """Closed: not even a socket could be made."""
    writes: Literal["confined", "open"]
    found_open: PerceiveOpenings
    """What was tried and not refused; empty: all was refused."""
    layers: Layers


class UplinkCage(ClosedModel):
    """What the talking half found when it tried its own walls."""

    devices: Literal["closed", "open"]
    egress: Literal["confined", "open"]
    """Confined: an address and a port that are not the broker's were refused by the kernel."""
    writes: Literal["confined", "open"]
    found_open: UplinkOpenings
    """What was tried and not refused; empty: all was refused."""
    layers: Layers


class Birth(ClosedModel):
    """What the seeing half says of itself. Crosses the wall; `Meta` carries it on."""

    boot: Boot
    software: Software
    model: Hash16
    policy: PolicyName
    policy_hash: Hash16
    epoch: Utc | None
    """UTC of this machine's monotonic zero: places windows that have only an offset. Null until
    the clock is trusted."""
    clock: Trust
    settings: Version
    """The version of the settings in force."""
    k: Annotated[int, Field(ge=1, le=100)]
    window: WindowLength
    cage: PerceiveCage


class LastReceipt(ClosedModel):
    """Which receipt was signed last: what comes after a shorter chain, or another, is missing."""

    number: Annotated[int, Field(ge=1, le=65_535)]
    sha256: Hash64
    """Of its bytes."""


class Meta(ClosedModel):
    """Birth certificate, retained: what this device runs, and how well its walls hold."""

    v: Literal[1] = 1
    birth: Birth
    uplink: UplinkCage
    key: Hash64 | None
    """Ed25519 public key that receipts are signed with."""
    receipt: LastReceipt | None
    """Null: none was signed with this key."""
    schemas: Hash16
    """Over all schemas of this version."""


class Vitals(ClosedModel):
    """How the seeing half is doing. Crosses the wall; `Health` carries it on."""

    perception: Literal["running", "paused", "quiet", "stalled", "hot"]
    fps: Annotated[int, Field(ge=0, le=240, multiple_of=5)]


class SlotUse(ClosedModel):
    """One slot, and when it was last on show, seconds elapsed."""

    slot: Annotated[int, Field(ge=0, le=255)]
    at: Elapsed


class SlotsInUse(ClosedModel):
    """The content slots of the last day, by perceive's own clock. Does not leave the device."""

    elapsed: Elapsed
    """When this was written; see `base.device_time.Instant`."""
    machine: Annotated[str, Field(pattern=r"^[0-9a-f-]{0,36}$", max_length=36)]
    boottime: Elapsed
    utc: Elapsed | None
    open: bool
    used: Annotated[tuple[SlotUse, ...], Field(max_length=256)]


class Health(ClosedModel):
    """How the device is doing, rounded and rarely said: load would betray presence."""

    v: Literal[1] = 1
    boot: Boot | None
    """Of the seeing half; null while there is none."""
    perception: Perception
    fps: Annotated[int, Field(ge=0, le=240, multiple_of=5)]
    temperature: Annotated[int, Field(ge=-40, le=120, multiple_of=10)] | None
    """Degrees Celsius, in tens."""
    power: Literal["good", "undervolt", "throttled", "unknown"]
    memory: Annotated[int, Field(ge=0, le=1024, multiple_of=64)]
    """MiB that the talking half holds."""
    disk: Literal["ample", "low", "full", "unknown"]
    waiting: Literal[0, 1, 10, 100, 1000, 10_000]
    """Messages in the outbox: that many or more."""
    trimmed: Annotated[int, Field(ge=0, le=1023)]
    """Messages dropped for size or age so far; 1023: or more."""
    clock: Trust


class Event(ClosedModel):
    """Something that whoever looks after the device should know."""

    v: Literal[1] = 1
    boot: Boot
    seq: Seq
    code: EventCode
    count: Annotated[int, Field(ge=1, le=1023)]
    """Times since it was last said; 1023: or more."""
    at: Utc | None
    offset: Offset


class RemoteSettings(ClosedModel):
    """What a fleet may change, as it is in force."""

    class Detection(ClosedModel):
        tiles: Annotated[int, Field(ge=0, le=4)] | None

    class Micro(ClosedModel):
        enabled: bool

    class Mqtt(ClosedModel):
        discovery: bool

    class Privacy(ClosedModel):
        k: Annotated[int, Field(ge=1, le=100)]
        window: WindowLength

    class Tracking(ClosedModel):
        max_faces: Annotated[int, Field(ge=1, le=200)]

    detection: Detection
    micro: Micro
    mqtt: Mqtt
    privacy: Privacy
    tracking: Tracking


class Rejected(ClosedModel):
    """A wish that was refused. Unknown keys are not repeated: they could say anything."""

    path: RemotePath | Literal["other"]
    reason: Refusal


class Reported(ClosedModel):
    """The settings in force, retained: the other half of the shadow."""

    v: Literal[1] = 1
    version: Version
    """The newest wish for this device alone that was looked at."""
    defaults: Version
    """The same of its group's defaults, which are counted apart."""
    config: RemoteSettings
    rejected: Annotated[
        tuple[Rejected, ...],
        Field(max_length=len(get_args(RemotePath)) + 1, json_schema_extra={"uniqueItems": True}),
    ]


class Response(ClosedModel):
    """The answer to a command."""

    v: Literal[1] = 1
    command: Command | Literal["other"]
    answer: Answer
    boot: Boot | None
    """Of the seeing half; null while there is none."""


OutboxState = Literal["same", "new", "damaged", "reset", "altered"]


class Statement(ClosedModel):
    """What a receipt states of one day; its bytes are what is signed."""

    v: Literal[1] = 1
    number: Annotated[int, Field(ge=1, le=65_535)]
    """Of this key's receipts, counting from 1."""
    previous: Hash64
    """SHA-256 of the receipt before, byte for byte; zeros for the first."""
    start: Utc | None
    """Null while the clock was not trusted."""
    end: Utc | None
    outbox: OutboxState
    """Whether the outbox still has the ledger that was seen before. `new`: none was, as in a first
    receipt; `damaged`: it was damaged and begun anew; `reset`: removed or replaced; `altered`:
    lines went missing or changed. Unless it is `same`, summaries may be missing here."""
    summaries: Annotated[int, Field(ge=0, le=100_000)]
    """Released in this time."""
    digest: Hash64
    """SHA-256 over the SHA-256 of every summary's bytes, in the order of their release."""
    messages: Annotated[int, Field(ge=0, le=1_000_000)]
    """Of every kind, taken by the broker."""
    bytes: Annotated[int, Field(ge=0, le=1_000_000_000)]
    """Of their payloads."""
    epsilon_milli: Annotated[int, Field(ge=0, le=10_000, multiple_of=10)]
    """The most that a visit of this time spent, in thousandths."""
    windows_withheld: Annotated[int, Field(ge=0, le=100_000)]
    visits_withheld: Annotated[int, Field(ge=0, le=100_000, multiple_of=10)]
    """In those windows, noised, in tens; later windows may count them. 0 where noise alone could
    make so many."""
    model: Hash16 | None
    policy: Hash16 | None
    """Null where the seeing half never ran."""
    units: Hash16 | None
    """Over the systemd units in force; null where there are none."""
    schemas: Hash16
    key: Hash64


class Receipt(ClosedModel):
    """A signed statement. Each names the hash of the one before: none can be left out unseen."""

    statement: Statement
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$", max_length=128)]
    """Ed25519 (RFC 8032) over the statement's bytes."""
