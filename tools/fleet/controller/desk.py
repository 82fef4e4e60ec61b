"""Requests for certificates, where the controller's machine holds the fleet's authorities."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from tools.common.errors import ToolError
from tools.fleet.controller.intake import Taken
from tools.fleet.controller.wanted import Post
from tools.fleet.enrolment import answers
from tools.fleet.enrolment import intake as enrolment
from tools.fleet.store import Store, StoreUnavailable

log = logging.getLogger(__name__)

SUBSCRIPTIONS = enrolment.SUBSCRIPTIONS


@dataclass(frozen=True, slots=True)
class Certificate(Post):
    """An answer to a request; told by the table `enrolments`, not by `told`."""

    due: answers.Due


class Desk:
    """Takes requests in, and knows what is still to be said."""

    def __init__(self, store: Store, folder: Path) -> None:
        """Raises `ToolError` where the folder has no authorities."""
        self._store = store
        self._intake = enrolment.Intake(store, folder)

    def take(self, topic: str, body: bytes, now: int) -> Taken | None:
        """One message, within a transaction; None: it is none for here. Raises
        `StoreUnavailable`."""
        if not topic.startswith("fleeting/1/p/"):
            return None
        try:
            taken = self._intake.take(topic, body, now)
        except StoreUnavailable:
            raise
        except ToolError as error:  # a revocation list is gone: nothing is certified without it
            log.error("%s", error)
            return Taken(refused="authority")
        return Taken(refused=taken.refused)

    def posts(self) -> list[Certificate]:
        """Raises `StoreUnavailable`."""
        return [Certificate(each.topic, each.body, each) for each in answers.due(self._store)]

    def told(self, post: Certificate, now: int) -> None:
        """The broker has it. Raises `StoreUnavailable`."""
        answers.done(self._store, post.due, now)


def open_desk(store: Store, folder: Path) -> Desk | None:
    """None, with a line in the log, where the authorities are elsewhere."""
    try:
        return Desk(store, folder)
    except ToolError as error:
        log.warning("No requests for certificates are taken in here. %s", error)
        return None
