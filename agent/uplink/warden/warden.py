"""Decides what may leave, by the day's quotas, and remembers it."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.base.clock import WallClock
from agent.base.config import AgentConfig
from agent.base.device_time import MAX_GAP, DeviceTime
from agent.base.files import remove_leftovers
from agent.base.quotas import DAY, EVENTS_RESERVED, JOBS_RESERVED, quotas
from agent.base.report import (
    Event,
    EventCode,
    Receipt,
    Summary,
    from_json,
    summary_form,
    to_json,
)
from agent.privacy.policy.rules import Policy, resolve
from agent.uplink.warden import rules
from agent.uplink.warden.log import SlidingCount
from agent.uplink.warden.state import (
    Counted,
    Run,
    is_exposed,
    load,
    make_folder,
    save,
    state_path,
)
from agent.wall.outbox import Row

log = logging.getLogger(__name__)

Verdict = Literal["admitted", "refused", "exceeded", "wait"]
"""`refused`: no message of an honest device; `exceeded`: over the quota; `wait`: over the quota,
but the clock may still add time in which nobody watched."""
Retained = Literal["meta", "shadow/reported", "discovery", "job"]
"""What is said again on every connection; `job` is not retained by the broker."""

_SAVE_INTERVAL = 900.0
"""Seconds elapsed between writes while nothing is admitted: a restart finds what was not used
before."""
_PATIENCE = 600.0
"""Seconds elapsed after the start in which rows over the quota wait for a synchronised clock."""
_MAX_CLOSED = 256
_STEP = 60
"""Seconds that a regulated clock may drift without having stepped."""
_MAX_STEPS = 16
"""Steps of the wall clock that are remembered."""
_MAX_RULES = 16


class Warden:
    """The quotas and what has been used of them; every method that says yes has stored it first.

    Raises `StoreError` where the state cannot be written; the call may be repeated.
    """

    def __init__(
        self,
        config: AgentConfig,
        key: str,
        count: Callable[[EventCode], object],
        *,
        time: Callable[..., DeviceTime] = DeviceTime,
        utc: Callable[[], float | None] | None = None,
    ) -> None:
        """`config`: the site's own; `key`: public key of our receipts, hex; `count`: counts an
        event; `time`: makes the clock from a stored reading; `utc`: seconds, None while the clock
        is not trusted. Raises `ConfigError`, `StoreError`."""
        policy = resolve(config, live=False)
        self.path = state_path(config.store)
        self.quotas = quotas(policy.window, policy.slots, config.mqtt.health_interval)
        self._key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        self._interval = config.mqtt.health_interval
        self._max_age = config.store.max_age
        self._count = count
        self._utc = utc or WallClock().utc
        make_folder(self.path)
        if is_exposed(self.path, config.store):
            log.warning(
                "%s lies where perceive may write: what left today holds only until the next "
                "start. Set store.warden to a file in a folder of the uplink's own.",
                self.path,
            )
        remove_leftovers(self.path)
        self._state = load(self.path)
        self._time = time(self._state.time)
        self._started = self._time()
        stored = self._state.time
        self._since = self._started if stored is None else float(stored.elapsed)
        """Elapsed time from which rows may date: until then all were judged."""
        self._saved_at = self._started
        self._unsaved = stored is None
        self._told: dict[str, bytes] = {}
        """The last refused retained message by kind."""
        self.permit(policy)

    def permit(self, policy: Policy) -> None:
        """Accept summaries of a policy from now on; it is, or soon will be, in force."""
        now, found = self._time(), rules.rules_of(policy)
        kept = [each for each in self._state.rules if each[0] != found and now - each[1] < MAX_GAP]
        self._unsaved = self._unsaved or found not in [each for each, _ in self._state.rules]
        self._state.rules = [*kept[1 - _MAX_RULES :], (found, int(now))]

    @property
    def elapsed(self) -> float:
        """Seconds of the device's own time, by which the quotas count."""
        return self._time()

    # Rows of the outbox

    def judge(self, row: Row) -> Verdict:
        """Admit a row or refuse it. `save` must follow before it is sent."""
        if row.kind == "summary":
            summary = from_json(summary_form(row.body), row.body)
            verdict = "refused" if summary is None else self._judge_summary(summary)
        elif row.kind == "event":
            event = from_json(Event, row.body)
            kept = 0 if event is None or event.code == "quota_exceeded" else EVENTS_RESERVED
            verdict = self._judge_counted("event", event is not None, self.quotas.event - kept)
        elif row.kind == "receipt":
            verdict = self._judge_counted("receipt", self._is_ours(row.body), self.quotas.receipt)
        else:
            verdict = "refused"
        if verdict == "admitted":
            self._state.admitted[row.id] = _digest(row)
            self._unsaved = True
        elif verdict == "exceeded" and self._is_patient():
            return "wait"
        return verdict

    def remembers(self, row: Row) -> bool:
        """Whether exactly this row was admitted."""
        return self._state.admitted.get(row.id) == _digest(row)

    def forget(self, *ids: int) -> None:
        """Rows that left the outbox. Stored with the next write."""
        for number in ids:
            self._state.admitted.pop(number, None)

    def keep_only(self, ids: set[int]) -> None:
        """Forget all other rows: they are not in the outbox any more."""
        self.forget(*(self._state.admitted.keys() - ids))

    def caught_up(self) -> None:
        """All rows that are in the outbox now were judged. Writes the state now and then."""
        now = self._time()
        self._unsaved = self._unsaved or now - self._saved_at >= _SAVE_INTERVAL
        self.save()
        self._since = now

    def save(self) -> None:
        """Write the state, if it has changed."""
        if self._unsaved:
            self._state.time = self._time.instant()
            save(self.path, self._state)
            self._unsaved, self._saved_at = False, self._time()

    def _judge_summary(self, summary: Summary) -> Verdict:
        state = self._state
        known = [each for each, _ in state.rules]
        if not rules.permitted(summary, known, *self._starts()):
            return "refused"
        run = state.run
        same = run is not None and run.boot == summary.boot
        if summary.boot in state.closed or (run and same and not rules.follows(summary, run)):
            return "refused"
        goes_on = run is not None and same and rules.grows(summary, run)
        if same and not goes_on and summary.window.start is None:
            return "refused"  # its clock knows no steps
        since, now = self._since, self._time()
        counts = self._counts("summary"), self._counts("run")
        at = counts[0].place(self.quotas.summary, since, now)
        begins = counts[1].place(self.quotas.runs, since, now)
        slot = state.slots.place(summary.slot, self.quotas.slots, since, now)
        if at is None or slot is None or (begins is None and not goes_on):
            return "exceeded"
        counts[0].add(at)
        state.slots.add(summary.slot, slot)
        if run is None or not goes_on:
            assert begins is not None
            counts[1].add(begins)
            if run is not None and not same:
                state.closed = [*state.closed[1 - _MAX_CLOSED :], run.boot]
            run = state.run = Run(summary.boot, summary.seq, summary.model)
        rules.advance(summary, run)
        return "admitted"

    def _judge_counted(self, kind: Counted, valid: bool, quota: int) -> Verdict:
        if not valid:
            return "refused"
        taken = self._counts(kind).take(quota, self._since, self._time())
        return "admitted" if taken else "exceeded"

    def _is_ours(self, body: bytes) -> bool:
        """Whether a body is a receipt that this process's key has signed."""
        receipt = from_json(Receipt, body)
        if receipt is None:
            return False
        try:
            self._key.verify(bytes.fromhex(receipt.signature), to_json(receipt.statement))
        except InvalidSignature:
            return False
        return True

    def _starts(self) -> tuple[float, float]:
        """Oldest and newest permitted start of a window, UTC seconds."""
        utc = self._utc()
        if utc is None:
            return -math.inf, math.inf
        elapsed = self._time()
        self._note_offset(int(utc - elapsed), int(elapsed))
        offsets = [offset for offset, _ in self._state.offsets]
        oldest = min(offsets) + elapsed - self._max_age - DAY
        return oldest, max(offsets) + elapsed + rules.FUTURE

    def _note_offset(self, offset: int, elapsed: int) -> None:
        """Remember by how much the wall clock is ahead of the elapsed time, once for each step."""
        lasting = elapsed - self._max_age - DAY
        kept = [each for each in self._state.offsets if each[1] >= lasting]
        others = [each for each in kept if abs(each[0] - offset) > _STEP]
        self._unsaved = self._unsaved or len(others) == len(self._state.offsets)
        self._state.offsets = [*others[1 - _MAX_STEPS :], (offset, elapsed)]

    def _is_patient(self) -> bool:
        return not self._time.complete and self._time() - self._started < _PATIENCE

    # What this process says itself

    def last(self, kind: Retained) -> bytes | None:
        """The last admitted message of a kind, by this process or an earlier one."""
        body = self._state.bodies.get(kind)
        return None if body is None else body.encode()

    def in_force(self, kind: Retained, body: bytes, *, last_words: bool = True) -> bytes | None:
        """The retained message to publish: `body`, or the last admitted one while the quota of
        changes is used up; None: none was. `last_words`: of a job, whether it says how it ended."""
        last = self._state.bodies.get(kind)
        if last is None or last.encode() != body:
            if not self._take(kind, 0 if last_words else JOBS_RESERVED):
                if self._told.get(kind) != body:
                    self._told[kind] = body
                    self._count("quota_exceeded")
                return None if last is None else last.encode()
            self._state.bodies[kind] = body.decode()
        self.save()
        return body

    def may_report_health(self, requested: bool) -> bool:
        """Whether health may be published now: when it is due, or because a fleet asks."""
        now, last = self._time(), self._state.health
        if last is not None and now - last < self._interval and not requested:
            return False
        if not self._take("health"):
            return False
        self._state.health = math.ceil(now)
        self.save()
        return True

    def may_answer(self) -> bool:
        """Whether one more command may be answered."""
        if not self._take("res"):
            self._count("quota_exceeded")
            return False
        self.save()
        return True

    def may_connect(self) -> bool:
        """Whether one more connection may be made; `connected` counts it."""
        now = self._time()
        return self._counts("connection").place(self.quotas.connections, now, now) is not None

    def connected(self) -> None:
        self._take("connection")
        self.save()

    def _take(self, kind: Counted, reserve: int = 0) -> bool:
        now, of = self._time(), self.quotas
        most = {
            "meta": of.meta,
            "shadow/reported": of.reported,
            "discovery": of.discovery,
            "health": of.health,
            "res": of.response,
            "connection": of.connections,
            "job": of.job,
        }[kind]
        taken = self._counts(kind).take(most - reserve, now, now)
        self._unsaved = self._unsaved or taken
        return taken

    def _counts(self, kind: Counted) -> SlidingCount:
        return self._state.counts.setdefault(kind, SlidingCount())


def _digest(row: Row) -> str:
    return hashlib.sha256(row.kind.encode() + b"\0" + row.body).hexdigest()[:32]
