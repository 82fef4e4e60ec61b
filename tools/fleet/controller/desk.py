"""Requests for certificates, taken in and answered over the controller's connection."""

from __future__ import annotations

import logging
from collections.abc import Set
from pathlib import Path

from tools.common.errors import ToolError
from tools.fleet.controller.intake import Taken
from tools.fleet.controller.wanted import Post
from tools.fleet.enrolment import answers
from tools.fleet.enrolment.intake import SUBSCRIPTIONS, Intake
from tools.fleet.store import Store, StoreUnavailable

log = logging.getLogger(__name__)

TOPICS = SUBSCRIPTIONS
_PREFIX = "fleeting/1/p/"


def concerns(topic: str) -> bool:
    """Whether a message is one of these."""
    return topic.startswith(_PREFIX)


class Desk:
    """Whoever holds the lease also keeps this desk."""

    def __init__(self, store: Store, folder: Path) -> None:
        """Raises `ToolError` where the folder has no authorities."""
        self._store = store
        self._intake = Intake(store, folder)
        self._sent: dict[str, list[answers.Due]] = {}
        """By topic what its message on the way answers; the last of them is in it."""

    def take(self, topic: str, body: bytes, now: int) -> Taken:
        """One message, within a transaction. Raises `StoreUnavailable`."""
        try:
            taken = self._intake.take(topic, body, now)
        except StoreUnavailable:
            raise
        except ToolError as error:  # an authority that cannot be read; devices ask again
            log.error("%s", error)
            return Taken()
        if taken.state:
            log.info("%s asks for a certificate: %s.", taken.device, taken.state)
        return Taken(refused=taken.refused)

    def due(self, on_their_way: Set[str]) -> list[Post]:
        """What is to be published, retained, on topics that have nothing on its way. Raises
        `StoreUnavailable`."""
        due: dict[str, list[answers.Due]] = {}
        for each in answers.due(self._store):
            due.setdefault(each.topic, []).append(each)
        new = {topic: found for topic, found in due.items() if topic not in on_their_way}
        self._sent |= new
        return [Post(topic, found[-1].body) for topic, found in new.items()]

    def told(self, topic: str, now: int) -> None:
        """The broker has taken it. Raises `StoreUnavailable`."""
        for each in self._sent.pop(topic, []):
            answers.done(self._store, each, now)


def has_authority(folder: Path) -> bool:
    """Whether a fleet's folder can tell who may ask."""
    return (folder / "ca" / "bootstrap-ca.pem").is_file()


def open_desk(store: Store, folder: Path) -> Desk | None:
    """Null where it cannot."""
    return Desk(store, folder) if has_authority(folder) else None
