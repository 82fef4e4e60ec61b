"""What the broker should hold for each device, and what of it has to be published (again)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from agent.base.report import Job, Reported, to_json
from agent.uplink.settings import MAX_JUMP
from tools.fleet.controller import rollouts, wishes
from tools.fleet.controller.wishes import Desired
from tools.fleet.store import Row, Store

AGAIN = 10
"""Seconds before the same is published again to a device that comes back and is still behind."""
SILENT = 900
"""Seconds after which a device that is online and behind is told again without having come back.
New settings are reported when a window has begun, which may take that long."""
UNKNOWN = "unknown"
"""In place of a hash: the broker may hold this or that."""
NOTHING = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Post:
    """A retained message; an empty body takes the one before away."""

    topic: str
    body: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True, slots=True)
class Told:
    """What the broker took last on a topic, and when (Unix seconds)."""

    sha256: str
    at: int


def job_topic(device: str) -> str:
    return f"fleeting/1/d/{device}/job/next"


def desired_topic(device: str) -> str:
    return f"fleeting/1/d/{device}/shadow/desired"


def group_topic(group: str) -> str:
    return f"fleeting/1/g/{group}/desired"


def settings_post(
    device: str,
    desired: Desired | None,
    reported: Reported | None,
    told: Told | None,
    age: int | None,
) -> Post | None:
    """`age`: seconds since it was told after which a device that is behind is told again; null: it
    is not online."""
    if desired is None:
        return None
    post = Post(desired_topic(device), desired.body)
    if told is None or told.sha256 != post.sha256:
        return post
    said = reported.version if reported else 0
    behind = 0 < wishes.ahead(desired.version, said) <= MAX_JUMP
    return post if behind and age is not None and age >= 0 else None


def job_post(device: str, job: Row | None, told: Told | None, age: int | None) -> Post | None:
    """`job`: the row of the device's open job. `age` as in `settings_post`."""
    if job is None:
        gone = told is None or told.sha256 == NOTHING
        return None if gone else Post(job_topic(device), b"")
    message = Job(job=job["job"], kind=job["kind"], version=job["version"])
    post = Post(job_topic(device), to_json(message))
    if told is None or told.sha256 != post.sha256:
        return post
    return post if age is not None and age >= 0 else None


def look(
    store: Store,
    told: Mapping[str, Told],
    now: int,
    names: Sequence[str] | None = None,
    births: frozenset[str] = frozenset(),
) -> list[Post]:
    """Compare devices with the database: compose and number their settings, and return what has to
    be published. `names`: only these; `births`: those that have just come back. Within a
    transaction whose caller has proven the lease. Raises `StoreUnavailable`."""
    composed = _Composer(store, names)
    open_jobs = {
        row["device"]: row
        for row in rollouts.chosen(
            store, "SELECT * FROM jobs", names, "status IN ('QUEUED', 'IN_PROGRESS')"
        )
    }
    posts: list[Post] = []
    changed: list[tuple[str, int, str, int]] = []
    for row, subject in rollouts.subjects(store, names):
        device = subject.id
        if row["revoked_at"] is not None:
            continue
        patience = AGAIN if device in births else SILENT
        online = subject.state == "online"

        def due(topic: str, heard: int | None = None, *, online: bool = online,
                patience: int = patience) -> int | None:  # fmt: skip
            last = max(told[topic].at if topic in told else 0, heard or 0)
            return now - last - patience if online else None

        desired, new, reported = composed.desired(device, subject.groups, now)
        if new and desired:
            changed.append((device, desired.version, wishes.to_text(desired.config), now))
        topic = desired_topic(device)
        posts += _some(settings_post(device, desired, reported, told.get(topic), due(topic)))
        topic, job = job_topic(device), open_jobs.get(device)
        heard = job["heard_at"] if job else None
        posts += _some(job_post(device, job, told.get(topic), due(topic, heard)))
    for values in changed:
        store.execute(
            "INSERT INTO desired (device, version, config, changed_at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (device) DO UPDATE SET version = excluded.version,"
            " config = excluded.config, changed_at = excluded.changed_at",
            values,
        )
    if names is None:
        posts += _groups(store, told)
    return posts


def _some(post: Post | None) -> list[Post]:
    return [] if post is None else [post]


def _groups(store: Store, told: Mapping[str, Told]) -> list[Post]:
    """Defaults of groups that devices are configured to be in on site. What the group of a saved
    query is wished to have is part of its devices' own documents."""
    posts = []
    for row in store.execute(
        "SELECT * FROM group_desired WHERE name NOT IN (SELECT name FROM groups) ORDER BY name"
    ):
        desired = Desired(row["version"], wishes.from_text(row["config"]), row["changed_at"])
        post = Post(group_topic(row["name"]), desired.body)
        before = told.get(post.topic)
        if before is None or before.sha256 != post.sha256:
            posts.append(post)
    return posts


class _Composer:
    """Settings of devices: what their saved groups and they themselves are wished to have."""

    def __init__(self, store: Store, names: Sequence[str] | None) -> None:
        saved = {row["name"] for row in store.execute("SELECT name FROM groups")}
        self._groups = {
            row["name"]: wishes.from_text(row["config"])
            for row in store.execute("SELECT name, config FROM group_desired ORDER BY name")
            if row["name"] in saved
        }
        self._own = {
            row["device"]: wishes.from_text(row["config"])
            for row in rollouts.chosen(store, "SELECT device, config FROM wished", names)
        }
        self._current = {
            row["device"]: Desired(
                row["version"], wishes.from_text(row["config"]), row["changed_at"]
            )
            for row in rollouts.chosen(store, "SELECT * FROM desired", names)
        }
        self._reported: dict[str, str | None] = {}
        if self._groups or self._own or self._current:
            self._reported = {
                row["device"]: row["reported"]
                for row in rollouts.chosen(store, "SELECT device, reported FROM devices", names)
            }

    def desired(
        self, device: str, groups: Set[str], now: int
    ) -> tuple[Desired | None, bool, Reported | None]:
        """The document for a device, whether it is a new one, and what the device reports."""
        current = self._current.get(device)
        wanted = wishes.compose(
            [values for name, values in self._groups.items() if name in groups],
            self._own.get(device, {}),
        )
        if current is None and not wanted:
            return None, False, None
        reported = wishes.parse_reported(self._reported.get(device))
        new = wishes.renewed(current, wanted, reported, now)
        return new or current, new is not None, reported
