"""Sends what is due, each webhook's messages in order, several webhooks at once. A crash between an
answer and its note sends a message twice: receivers know it by its id."""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from agent.base.repeats import Seldom
from tools.common.errors import ToolError
from tools.fleet.alerts.webhooks import outbox
from tools.fleet.alerts.webhooks.outbox import Message
from tools.fleet.alerts.webhooks.request import LIMIT, Outcome, send
from tools.fleet.alerts.webhooks.vault import Vault
from tools.fleet.store import Store, StoreUnavailable

log = logging.getLogger(__name__)

AT_ONCE = 4
PAUSE = 1.0
"""Seconds between looks."""
_CLEAN = 3600.0
_Result = tuple[Message, Outcome]


class Sender:
    """One thread's; tests call `step`."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        clock: Callable[[], float] = time.time,
        limit: float = LIMIT,
        may: Callable[[], bool] = lambda: True,
    ) -> None:
        """`limit`: seconds of one request; `may`: asked before each one, false ends the pass."""
        self._store, self._vault, self._clock = store, vault, clock
        self._limit, self._may = limit, may
        self._cleaned = float("-inf")
        self._faults: dict[str, Seldom] = {}

    def step(self) -> int:
        """Everything that is due now, once; returns how many were taken. Raises
        `StoreUnavailable`."""
        if not self._may():
            return 0
        now = int(self._clock())
        if time.monotonic() - self._cleaned > _CLEAN:
            outbox.clean(self._store, now)
            self._cleaned = time.monotonic()
        waiting = outbox.due(self._store, now)
        if not waiting:
            return 0
        results: queue.SimpleQueue[_Result | None] = queue.SimpleQueue()
        taken = 0
        with ThreadPoolExecutor(min(AT_ONCE, len(waiting))) as pool:
            for hook, messages in sorted(waiting.items()):
                pool.submit(self._work, hook, messages, results)
            left = len(waiting)
            while left:
                result = results.get()
                if result is None:
                    left -= 1
                    continue
                try:
                    taken += self._note(*result)
                except StoreUnavailable:
                    raise
                except ToolError as error:  # that webhook was removed meanwhile
                    log.warning("%s", error)
        return taken

    def _work(
        self, hook: str, messages: Sequence[Message], results: queue.SimpleQueue[_Result | None]
    ) -> None:
        """One webhook's, in a thread of the pool; touches no database."""
        try:
            for message in messages:
                if not self._may():
                    return
                try:
                    kept = self._vault.read(hook)
                    outcome = send(kept, message, int(self._clock()), self._limit)
                except ToolError as error:
                    outcome = Outcome("away", str(error)[:200])
                results.put((message, outcome))
                if outcome.state == "away":
                    return
        except Exception:
            log.exception("Webhook %s cannot be served.", hook)
        finally:
            results.put(None)

    def _note(self, message: Message, outcome: Outcome) -> int:
        now = int(self._clock())
        if outcome.state == "taken":
            outbox.delivered(self._store, message, outcome.said, now)
            self._faults.pop(message.webhook, None)
            return 1
        if self._faults.setdefault(message.webhook, Seldom())():
            log.warning("Webhook %s: %s", message.webhook, outcome.said)
        outbox.failed(
            self._store, message, outcome.said, now, random.random(), outcome.state == "away"
        )
        return 0


def run(sender: Sender, stop: threading.Event) -> None:
    """Until `stop`; a database that is away is tried again."""
    while not stop.is_set():
        try:
            if sender.step():
                continue
        except StoreUnavailable as error:
            log.error("%s", error)
        stop.wait(PAUSE)
