"""The controller's loop: take messages, compare, publish. Each step first proves the lease."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable

from agent.uplink.inbound import TokenBucket
from tools.common.errors import ToolError
from tools.fleet.collector import quarantine
from tools.fleet.collector.intake import Incoming as Origin
from tools.fleet.collector.intake import Refusal
from tools.fleet.controller import intake, rollouts, wanted
from tools.fleet.controller.desk import Certificate, Desk
from tools.fleet.controller.lease import Lease, LeaseLostError
from tools.fleet.controller.link import Incoming, Link
from tools.fleet.controller.meters import Meters
from tools.fleet.controller.wanted import Post, Told
from tools.fleet.store import Store, StoreUnavailable

log = logging.getLogger(__name__)

BATCH = 500
"""Messages in one transaction."""
IN_FLIGHT = 50
"""Published messages that the broker has not answered."""
TICK = 5.0
"""Seconds between looks at roll-outs in which nothing seems to happen: deadlines, soaks."""
SOON = 1.0
"""Seconds from a job's news to the next look at its roll-out: news come in crowds."""
COUNT = 5.0
"""Seconds between counts for Prometheus."""
_WAIT = 0.2
_BACKOFF = 10.0
"""Most seconds between attempts while the database is away."""


class Controller:
    """Tests call `step`."""

    def __init__(
        self,
        store: Store,
        lease: Lease,
        link: Callable[[], Link],
        meters: Meters,
        *,
        rate: float = 200.0,
        sweep: float = 60.0,
        clock: Callable[[], float] = time.time,
        desk: Desk | None = None,
    ) -> None:
        """`link`: makes a connection once the lease is held; `desk`: takes requests for
        certificates, null: nobody does here; `rate`: messages published a second; `sweep`: seconds
        between comparisons of the whole fleet; `clock`: Unix seconds."""
        self._store, self._lease, self._make_link, self._meters = store, lease, link, meters
        self._desk, self._sweep, self._clock = desk, sweep, clock
        self._bucket = TokenBucket(max(1, int(rate)), rate, time.monotonic)
        self._link: Link | None = None
        self._said_standby = False
        self._forget()

    def _forget(self) -> None:
        """Everything but the lease: all of it is in the database, or comes again."""
        self._batch: list[Incoming] = []
        self._told: dict[str, Told] = {}
        """What the broker holds, or will when what is on its way has arrived."""
        self._pending: dict[str, Post] = {}
        self._in_flight: dict[int, Post] = {}
        self._dirty: set[str] = set()
        self._births: set[str] = set()
        self._asked = -1
        self._next_beat = self._next_sweep = self._next_rollouts = self._next_count = 0.0

    def step(self) -> None:
        """One round. Raises `StoreUnavailable`; call it again then."""
        try:
            if not self._lease.held and not self._begin():
                return
            self._round()
        except LeaseLostError as error:
            log.warning("%s", error)
            self._end()

    def stop(self) -> None:
        """Give everything back."""
        self._end()
        try:
            self._lease.release()
        except StoreUnavailable as error:
            log.warning("%s", error)

    def _begin(self) -> bool:
        """Take over, if nobody else acts."""
        if not self._lease.acquire():
            if not self._said_standby:
                log.warning("Another controller is at work; this one stands by.")
            self._said_standby = True
            time.sleep(0.5)
            return False
        self._said_standby = False
        log.info("This controller acts from now on.")
        self._forget()
        self._told = {
            row["topic"]: Told(row["sha256"], row["at"])
            for row in self._store.execute("SELECT * FROM told")
        }
        self._link = self._make_link()
        self._link.start()
        self._meters.lease.set(1)
        return True

    def _end(self) -> None:
        if self._link is not None:
            self._link.stop()
            self._link = None
        self._meters.lease.set(0)
        self._meters.connected.set(0)
        self._forget()

    def _round(self) -> None:
        link = self._link
        assert link is not None
        self._batch = [each for each in self._batch if link.current(each)]
        room = BATCH - len(self._batch)
        busy = self._batch or self._dirty or (self._pending and len(self._in_flight) < IN_FLIGHT)
        self._batch += link.take(room, 0.02 if busy else _WAIT)
        if self._batch:
            self._take()
        now = time.monotonic()
        if now >= self._next_beat:
            self._beat(now)
        if link.new_session:
            self._doubt(link)
        if now >= self._next_rollouts:
            self._advance()
        if now >= self._next_sweep:
            self._look_at_all()
        elif self._dirty:
            self._look(sorted(self._dirty))
        self._publish(link)
        if now >= self._next_count:
            self._next_count = now + COUNT
            self._meters.count(self._store)
        self._meters.connected.set(link.connected)
        self._meters.waiting.set(len(self._pending))

    def _take(self) -> None:
        """Store what came, and acknowledge it when it is stored."""
        link, now = self._link, int(self._clock())
        assert link is not None
        taken = []
        with self._store.transaction():
            self._lease.prove()
            for each in self._batch:
                done = self._desk.take(each.topic, each.body, now) if self._desk else None
                if done is None:
                    done = intake.take(self._store, each.topic, each.body, now)
                taken.append(done)
            self._quarantine(taken, now)
        for each, done in zip(self._batch, taken, strict=True):
            link.acknowledge(each)
            self._meters.messages.inc()
            if done.refused:
                self._meters.refused.labels(done.refused).inc()
            elif done.device:
                self._dirty.add(done.device)
                if done.birth:
                    self._births.add(done.device)
        self._batch = []
        self._next_rollouts = min(self._next_rollouts, time.monotonic() + SOON)

    def _quarantine(self, taken: list[intake.Taken], now: int) -> None:
        """Keep what was none beside the collectors' own."""
        refused = [
            Refusal(done.device, done.refused, Origin(each.topic, each.body, now))  # type: ignore[arg-type]  # the controller has reasons of its own
            for each, done in zip(self._batch, taken, strict=True)
            if done.refused
        ]
        if refused:
            quarantine.keep(self._store, refused)
            quarantine.count(self._store, [(each.device, each.reason) for each in refused], now)

    def _beat(self, now: float) -> None:
        """Show that it lives, and see whether an operator has asked for something."""
        with self._store.transaction():
            self._lease.prove()
            asked = self._store.tuples("SELECT number FROM asked WHERE name = 'controller'")[0][0]
        self._next_beat = now + min(1.0, self._lease.expiry / 5)
        if self._desk is not None:
            self._hand_out(self._desk)
        if asked != self._asked:
            self._asked = asked
            self._next_sweep = self._next_rollouts = 0.0

    def _hand_out(self, desk: Desk) -> None:
        """Decisions about certificates, whoever made them; of a device one after the other."""
        busy = {post.topic for post in (*self._pending.values(), *self._in_flight.values())}
        for post in desk.posts():
            if post.topic not in busy:
                self._pending[post.topic] = post
                busy.add(post.topic)

    def _doubt(self, link: Link) -> None:
        """The broker has begun anew: it may hold nothing of what it was told, or something old."""
        link.new_session = False
        for topic, told in self._told.items():
            if told.sha256 != wanted.NOTHING:
                self._told[topic] = Told(wanted.UNKNOWN, 0)
        self._next_sweep = 0.0

    def _advance(self) -> None:
        """Decide on every roll-out that may do something."""
        began, now = time.monotonic(), int(self._clock())
        for name in rollouts.open_rollouts(self._store):
            try:
                with self._store.transaction():
                    self._lease.prove()
                    _, moved = rollouts.advance(self._store, name, now)
                self._dirty |= moved
            except (LeaseLostError, StoreUnavailable):
                raise
            except ToolError as error:
                log.error("%s", error)
        self._next_rollouts = time.monotonic() + max(TICK, 10 * (time.monotonic() - began))

    def _look_at_all(self) -> None:
        with self._meters.sweep.time():
            now = int(self._clock())
            with self._store.transaction():
                self._lease.prove()
                self._store.execute(
                    "UPDATE jobs SET status = 'REMOVED', ended_at = ?"
                    " WHERE status IN ('QUEUED', 'IN_PROGRESS') AND device IN"
                    " (SELECT device FROM devices WHERE revoked_at IS NOT NULL)",
                    (now,),
                )
                posts = wanted.look(self._store, self._told, now, None, frozenset(self._births))
                self._announce(posts, now)
        self._post(posts)
        self._next_sweep = time.monotonic() + self._sweep
        self._dirty.clear()
        self._births.clear()

    def _look(self, names: list[str]) -> None:
        now = int(self._clock())
        with self._store.transaction():
            self._lease.prove()
            posts = wanted.look(self._store, self._told, now, names, frozenset(self._births))
            self._announce(posts, now)
        self._post(posts)
        self._dirty.difference_update(names)
        self._births.clear()

    def _announce(self, posts: Iterable[Post], now: int) -> None:
        """Remember that the broker may hold something else from now on: whoever takes over after a
        crash then publishes what it should hold, or takes it away."""
        self._remember((post.topic, wanted.UNKNOWN, now) for post in posts)

    def _remember(self, told: Iterable[tuple[str, str, int]]) -> None:
        self._store.executemany(
            "INSERT INTO told (topic, sha256, at) VALUES (?, ?, ?) ON CONFLICT (topic)"
            " DO UPDATE SET sha256 = excluded.sha256, at = excluded.at",
            told,
        )

    def _post(self, posts: Iterable[Post]) -> None:
        now = int(self._clock())
        for post in posts:
            self._pending[post.topic] = post
            self._told[post.topic] = Told(post.sha256, now)

    def _publish(self, link: Link) -> None:
        """As much as the rate allows; remember what the broker has taken."""
        now = int(self._clock())
        taken: list[tuple[str, str, int]] = []
        certificates: list[Certificate] = []
        for mid, code in link.answers():
            post = self._in_flight.pop(mid, None)
            if post is None:
                continue
            if code >= 0x80:
                log.error("The broker refuses %s: reason 0x%02x. See its ACL.", post.topic, code)
                self._meters.not_taken.inc()
                self._told.pop(post.topic, None)
                continue
            if isinstance(post, Certificate):
                certificates.append(post)
            else:
                taken.append((post.topic, post.sha256, now))
            self._meters.published.labels(post.topic.rsplit("/", 1)[1]).inc()
        while self._pending and link.connected and len(self._in_flight) < IN_FLIGHT:
            if not self._lease.fresh or not self._bucket.take():
                break
            topic = next(iter(self._pending))
            post = self._pending.pop(topic)
            self._in_flight[link.publish(post)] = post
        if taken or certificates:
            with self._store.transaction():
                self._lease.prove()
                if self._desk is not None:
                    for certificate in certificates:
                        self._desk.told(certificate, now)
                self._remember(taken)


def run(controller: Controller, stop: threading.Event, meters: Meters) -> None:
    """Until `stop`; waits for a database that is away."""
    delay = 0.5
    try:
        while not stop.is_set():
            try:
                controller.step()
                delay = 0.5
            except StoreUnavailable as error:
                meters.store_errors.inc()
                log.error("%s Next attempt in %.0f s.", error, delay)
                stop.wait(delay)
                delay = min(2 * delay, _BACKOFF)
    finally:
        controller.stop()
