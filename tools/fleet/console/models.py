"""What the API takes and gives, as models: answers are made of them, and so is its description."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from tools.fleet.console.comparing import Within
from tools.fleet.console.listing import MOST, PAGE, Sort, State


class Model(BaseModel):
    """Unknown keys refused; made of objects as well."""

    model_config = ConfigDict(
        extra="forbid", from_attributes=True, use_attribute_docstrings=True, frozen=True
    )


Name = Annotated[str, Field(max_length=64)]
PageNumber = Annotated[int, Field(ge=1, le=1_000_000)]
Time = int | None
"""Unix seconds (UTC)."""


class Error(Model):
    """Every answer of 400 and above."""

    error: str


class DevicesQuery(Model):
    text: Name = ""
    """Part of the id."""
    group: Name = ""
    tag: Name = ""
    app: Name = ""
    """Version of the package."""
    state: State | None = None
    sort: Sort = "device"
    down: bool = False
    """Highest first."""
    page: PageNumber = 1
    size: Annotated[int, Field(ge=1, le=MOST)] = PAGE


class DeviceRow(Model):
    device: str
    status: State
    heard_at: Time
    app: str | None
    models: str | None
    policy: str | None
    grp: str | None
    """The group that its own configuration names."""
    openings: list[str]
    """Walls that it found open in itself."""
    tags: list[str]


class Devices(Model):
    total: int
    pages: int
    devices: list[DeviceRow]


class SettingsOfDevice(Model):
    device: str
    wished: dict[str, int | bool]
    version: int | None
    reported_version: int | None
    in_force: dict[str, Any]
    rejected: list[dict[str, str]]


class DeviceFacts(Model):
    device: str
    status: State
    heard_at: Time
    first_seen: int
    app: str | None
    models: str | None
    policy: str | None
    k: int | None
    window_length: int | None
    certificate_end: Time
    openings: list[str]
    tags: list[str]
    groups: list[str]
    summaries: int
    """Stored."""
    health: dict[str, Any] | None
    settings: SettingsOfDevice
    events: list[dict[str, Any]]
    jobs: list[dict[str, Any]]
    counts: list[dict[str, Any]]
    """Second copies, and refused messages by reason."""
    gaps: list[dict[str, Any]]


class WindowsQuery(Model):
    figure: Name = "visits"
    slot: Annotated[int, Field(ge=0, le=255)] | None = None
    """Content slot; default: that of the newest window."""


class Point(Model):
    start: float
    """Unix seconds."""
    timed: bool
    """False: the device's clock was not trusted; `start` is when the window came."""
    length: int
    """Seconds."""
    value: float | None
    """Null: withheld."""
    low: float | None
    """With `level` the truth lies between `low` and `high`; null: no bound."""
    high: float | None


class Windows(Model):
    device: str
    figure: str
    unit: str
    level: float
    slot: int | None
    slots: tuple[int, ...]
    figures: tuple[str, ...]
    points: tuple[Point, ...]
    """Oldest first."""


class AlertsQuery(Model):
    kind: Name = ""
    severity: Name = ""
    device: Name = ""
    group: Name = ""
    tag: Name = ""
    version: Name = ""
    past: bool = False
    """Also those of the last week that have ended."""
    page: PageNumber = 1


class AlertRow(Model):
    id: int
    device: str
    """Empty: the fleet as a whole."""
    kind: str
    severity: str
    what: str
    todo: str
    since: int
    last: int
    ended: Time
    detail: dict[str, Any]
    acknowledged_by: str | None
    acknowledged_at: Time
    silenced_until: Time


class Alerts(Model):
    total: int
    alerts: list[AlertRow]
    """The most urgent first, 50 a page."""


class Silence(Model):
    seconds: Annotated[int, Field(ge=0)]
    """No webhook hears of the alert for so long, 90 days at most; 0 ends it."""


class CompareQuery(Model):
    rate: Name
    first: Annotated[int, Field(ge=0, le=255)]
    """Content slot."""
    second: Annotated[int, Field(ge=0, le=255)]
    since: Name = ""
    """Day, 2026-11-28."""
    until: Name = ""
    """Day, included."""
    group: Name = ""
    device: Name = ""
    within: Within = "device,hour"
    """What windows must share to be compared; `device` or nothing where contents took turns."""


class ComparedLine(Model):
    what: str
    question: str
    value: float | None
    low: float | None
    high: float | None
    level: float
    windows: int | None
    visits: float | None


class Compared(Model):
    sentence: str
    told: bool
    """Whether there is a difference, with the level."""
    p: float
    days: int
    left_out: int
    lines: list[ComparedLine]


class SettingsQuery(Model):
    device: Name = ""
    group: Name = ""


class Wish(Model):
    path: Name
    value: int | bool | None
    """Null takes the wish back."""
    device: Name = ""
    group: Name = ""


class Wished(Model):
    path: str
    value: int | bool | None
    devices: list[str]
    """Empty: a group's."""
    group: str


class AnswerRow(Model):
    device: str
    status: State
    state: str
    """refused, waiting, in force, nothing wished."""
    wished: dict[str, int | bool]
    version: int | None
    reported_version: int | None
    refused: dict[str, str]
    """Reason by path."""
    why: dict[str, str]
    """The same as a sentence."""


class Answers(Model):
    counts: dict[str, int]
    devices: list[AnswerRow]
    """At most 200, those that refused first."""


class RolloutRow(Model):
    rollout: str
    kind: str
    version: str
    selection: str
    status: str
    reason: str | None
    wave: int
    waves: int
    created_at: int
    ended_at: Time
    jobs: dict[str, int]
    waiting: str


class Rollouts(Model):
    rollouts: list[RolloutRow]


class WaveRow(Model):
    wave: str
    devices: int
    succeeded: int
    failed: int
    in_progress: int
    queued: int


class RolloutState(RolloutRow):
    devices: int
    already: int
    by_wave: list[WaveRow]


class NewRollout(Model):
    kind: Name
    version: Name
    waves: Annotated[str, Field(max_length=200)] = ""
    select: Annotated[str, Field(max_length=1000)] = ""
    group: Name = ""
    tag: Name = ""
    device: Annotated[str, Field(max_length=1000)] = ""
    """Ids, a blank between."""
    succeeded: Annotated[str, Field(max_length=6)] = ""
    """Percent of a wave that must have succeeded."""
    abort: Annotated[str, Field(max_length=100)] = ""
    """TYPE:PERCENT:LEAST, a blank between."""


class Begun(Model):
    rollout: str
    devices: int
    already: int
    warnings: tuple[str, ...]


class Moved(Model):
    rollout: str
    status: str


class ReceiptRow(Model):
    number: int
    end: str
    summaries: int
    messages: int
    epsilon: float
    verdict: str
    said: str


class Receipts(Model):
    device: str
    verdict: str
    """valid, invalid, incomplete."""
    summaries: int
    problems: list[str]
    notes: list[str]
    receipts: list[ReceiptRow]
