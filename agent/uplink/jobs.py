"""Jobs of a fleet: what `job/next` asks for goes to the updater, how far it is goes to the fleet.

The uplink decides nothing about an update: it hands the job over in a file, and repeats what the
updater says of it in another. It speaks for itself where there is no updater to do so: a job is
queued, rejected (`off`, `malformed`, `expired`), or was taken back before anybody began it.

All state is on disk: the exchange folder, and what was said last, which the warden keeps. After a
kill at any instant the broker sends the retained job again, and the rest follows from these.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from agent.base.clock import WallClock
from agent.base.config import UpdateConfig
from agent.base.errors import StoreError
from agent.base.report import TERMINAL, EventCode, Job, JobExecution, from_json, to_json
from agent.base.report.base import Hash16
from agent.base.report.job import JobReason
from agent.uplink import strict_json
from agent.uplink.connection import ACK_TIMEOUT
from agent.uplink.exchange import Exchange
from agent.uplink.inbound import TokenBucket
from agent.uplink.strict_json import MalformedError
from agent.uplink.warden.warden import Warden
from agent.wall.outbox import Outbox

log = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds between looks at the updater's progress."""
SETTLE = 30.0
"""Seconds after a subscription to `job/next` without any message of it, after which there is none
retained: the job was taken back while this device was away."""
GRACE = 5.0
"""Seconds that an updater which has just begun a job has to say so, once the job is taken back."""
_BURST, _RATE = 6, 0.1
"""Different jobs taken over at once, and per second on average; of more, the newest waits."""
_LAST_NUMBER = 255
_BEFORE_UPDATING = frozenset({None, "DOWNLOADING", "DOWNLOADED", "VERIFIED"})
_ID: TypeAdapter[str] = TypeAdapter(Hash16)

Publish = Callable[[str, bytes], None]
"""Job and body; raises `PublishError`."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What `job/next` holds."""

    id: str
    job: Job | None
    """None: there is nothing that could be done, for `reason`."""
    reason: JobReason | None = None


class Jobs:
    """One job at a time, each with one stream of reports whose numbers rise."""

    def __init__(
        self,
        params: UpdateConfig,
        warden: Warden,
        outbox: Outbox,
        *,
        clock: Callable[[], float] = time.monotonic,
        utc: Callable[[], float | None] | None = None,
    ) -> None:
        """`clock`: monotonic seconds; `utc`: seconds, None while the clock is not trusted."""
        self._on = params.on
        self._exchange = Exchange(params.exchange)
        self._warden = warden
        self._outbox = outbox
        self._clock = clock
        self._utc = utc or WallClock().utc
        self._received: Asked | None = None
        """The newest message of `job/next`; None: empty."""
        self._heard = False
        """Whether there was a message, or none for `SETTLE`, on this connection."""
        self._fresh = False
        """Whether `_received` is still to be taken over."""
        self._taken: Asked | None = None
        """The message that was taken over last."""
        self._asked: Asked | None = None
        """The same, judged."""
        self._known = False
        """Whether `_asked` is what the fleet wants: not before the broker has said so."""
        self._said = _restored(warden)
        """The latest report, stored before it was sent."""
        self._owed: EventCode | None = None
        """An event that is not stored yet."""
        self._gone_since: float | None = None
        self._published: tuple[bytes, float] | None = None
        """The last report over this connection, and when."""
        self._changes = TokenBucket(_BURST, _RATE, clock)
        self._next = 0.0
        self._trouble = ""
        if self._on:
            self._exchange.prepare()

    def receive(self, body: bytes) -> None:
        """Take what `job/next` holds now; an empty `body` takes the job back. Raises
        `MalformedError`; where the job's name at least is sound, it is rejected as well."""
        found: Asked | None = None
        wrong: MalformedError | None = None
        if body:
            parsed = strict_json.parse(body)
            name = _name_of(parsed)
            try:
                found = Asked(name, Job.model_validate(parsed))
            except ValidationError:
                found = Asked(name, None, "malformed")
                wrong = MalformedError("not a job")
        self._received, self._fresh, self._heard = found, True, True
        self._next = 0.0
        if wrong is not None:
            raise wrong

    def connected(self) -> None:
        """Say the latest report again, on a new connection."""
        self._published = None
        self._heard = False

    def missed(self) -> None:
        """The newest message may have been dropped; `job/next` is subscribed to again."""
        self._heard = False

    def step(self, publish: Publish, quota: int, *, subscribed: float | None, idle: bool) -> None:
        """Take over what was received, look at the progress, and publish what is new.

        `quota`: messages that may be sent now. `subscribed`: when the broker last granted the
        subscription to `job/next`, monotonic seconds. `idle`: whether it has acknowledged all.
        Raises `PublishError`, `StoreError`.
        """
        now = self._clock()
        if now >= self._next:
            self._next = now + INTERVAL
            if not self._heard and subscribed is not None and now - subscribed > SETTLE:
                self._received, self._fresh, self._heard = None, True, True
            self._take_over()
            self._report(now, idle)
        if self._said is not None and quota:
            body = to_json(self._said)
            if self._published is None or self._published[0] != body:
                publish(self._said.job, body)
                self._published = body, now

    def _take_over(self) -> None:
        """Let the newest message of `job/next` be what is asked for, and the updater know."""
        same = self._known and self._received == self._taken
        if self._fresh and (same or self._changes.take()):
            self._fresh, self._known = False, True
            if not same:
                self._taken, self._asked = self._received, self._judged(self._received)
        # Where updates are off the folder is not looked at: it may be another configuration's.
        if not self._on or not self._known:
            return
        try:
            self._exchange.keep(self._to_be_done())
            self._trouble = ""
        except StoreError as error:
            if str(error) != self._trouble:
                log.error("%s", error)
            self._trouble = str(error)

    def _to_be_done(self) -> Job | None:
        """The job for the updater: none that has ended without it, and none while another one is
        beyond return, whose end is to be seen before the next one's progress takes its place."""
        asked, said = self._asked, self._said
        if asked is None:
            return None
        if said is not None and said.job == asked.id and said.status in TERMINAL:
            progress = self._progress()
            return asked.job if progress is not None and progress.job == asked.id else None
        if said is not None and said.job != asked.id and _is_switching(said):
            return None
        return asked.job

    def _progress(self) -> JobExecution | None:
        return self._exchange.progress() if self._on else None

    def _judged(self, asked: Asked | None) -> Asked | None:
        """Reject what need not go to the updater. What it may have begun is its own affair."""
        if asked is None or asked.job is None:
            return asked
        if not self._on:
            return Asked(asked.id, None, "off")
        begun = self._said is not None and self._said.job == asked.id
        utc, expires = self._utc(), asked.job.expires
        if not begun and utc is not None and expires is not None and utc >= expires:
            return Asked(asked.id, None, "expired")
        return asked

    def _report(self, now: float, idle: bool) -> None:
        """Find what is to be said next, and store it. Raises `StoreError`."""
        if self._owed is not None:
            self._outbox.events.record(self._owed)
            self._owed = None
        found = self._following(now, idle)
        if found is None:
            return
        body = to_json(found)
        ended = found.status in TERMINAL
        if self._warden.in_force("job", body, last_words=ended) != body:
            return
        self._said = found
        self._owed = _event(found)

    def _following(self, now: float, idle: bool) -> JobExecution | None:
        """The report that follows the last one; None: nothing is new."""
        said, asked = self._said, self._asked if self._known else None
        progress = self._progress()
        if said is None or not self._is_gone(said.job):
            self._gone_since = None
        if said is not None:
            if progress is not None and progress.job == said.job:
                if progress.model_copy(update={"number": said.number}) != said:
                    return _numbered(progress, said)
            elif said.status not in TERMINAL and self._is_gone(said.job):
                return self._given_up(said, now)
            if said.status not in TERMINAL or asked is None or asked.id == said.job:
                return None
            if not self._is_delivered(said, now, idle):
                return None
        if asked is None:
            return None
        if asked.job is None:
            return self._own(asked.id, "REJECTED", asked.reason)
        if self._trouble:
            return None
        if progress is not None and progress.job == asked.id:
            return progress
        return self._own(asked.id, "QUEUED", None)

    def _is_gone(self, job: str) -> bool:
        """Whether the fleet asks for it no longer."""
        asked = self._asked
        return self._known and (asked is None or asked.job is None or asked.id != job)

    def _given_up(self, said: JobExecution, now: float) -> JobExecution | None:
        """The end of a job that was taken back and of which the updater says nothing."""
        if self._gone_since is None:
            self._gone_since = now
        if now - self._gone_since < GRACE:
            return None
        self._gone_since = None
        begun = _is_switching(said)
        end = self._own(
            said.job, "FAILED" if begun else "CANCELED", "internal" if begun else "canceled"
        )
        return _numbered(end.model_copy(update={"step": said.step}), said)

    def _is_delivered(self, said: JobExecution, now: float, idle: bool) -> bool:
        """Whether the broker has the report: how a job ended is not passed over for the next."""
        if self._published is None or self._published[0] != to_json(said):
            return False
        return idle or now - self._published[1] > ACK_TIMEOUT

    def _own(self, job: str, status: Any, why: JobReason | None) -> JobExecution:
        installed = self._exchange.installed()
        return JobExecution(
            job=job, status=status, step=None, reason=why, number=0,
            app=installed.app, models=installed.models,
        )  # fmt: skip


def _is_switching(said: JobExecution) -> bool:
    """Whether it is finished, whatever the fleet wishes by now."""
    return said.status not in TERMINAL and said.step not in _BEFORE_UPDATING


def _name_of(parsed: Any) -> str:
    """Raises `MalformedError`."""
    try:
        return _ID.validate_python(parsed["job"], strict=True)
    except (ValidationError, TypeError, KeyError):
        raise MalformedError("a job without a name") from None


def _restored(warden: Warden) -> JobExecution | None:
    body = warden.last("job")
    return None if body is None else from_json(JobExecution, body)


def _numbered(found: JobExecution, said: JobExecution) -> JobExecution:
    """With a number above that of the same job's last report."""
    number = min(max(found.number, said.number + 1), _LAST_NUMBER)
    return found.model_copy(update={"number": number})


def _event(found: JobExecution) -> EventCode | None:
    if found.status == "SUCCEEDED":
        return "update_installed"
    if found.status in TERMINAL and found.step == "ROLLED_BACK":
        return "update_rolled_back"
    return None
