"""From faces to a session's sealed lines; never stops what it watches.

Lines are JSON, some seconds of them a chunk. The first of a part says the form; `face`: what a face
did at an instant; `movement`: a micro-expression with its strip of channels. Times are seconds
since the session began, hundredths; angles steps of five degrees; units and the rest hundredths;
channels ten-thousandths of the inter-ocular distance. Of the clock no more than the day is said,
and nothing at all of where in the picture, how large and what a face is.
"""

from __future__ import annotations

import json
import logging
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

import agent
from agent.base.clock import ClockReading
from agent.base.config import AgentConfig
from agent.base.errors import ConfigError, StoreError, reason
from agent.base.files import refuse_writable
from agent.base.types import ACTION_UNITS, Face, MicroExpression, Perceived
from agent.perceive.traces.keeper import DAY, Keeper
from agent.perceive.traces.sealed import MOST, Sealer
from agent.perceive.traces.session import (
    OpenSession,
    end_session,
    file_name,
    mark_of,
    parts_of,
    read_open,
    read_withdrawn,
)
from agent.perceive.traces.strip import STEP, Channels
from agent.privacy.policy.research import keeps_traces
from agent.vision.micro.channels import CHANNEL_NAMES

log = logging.getLogger(__name__)

FORM = 1
PUBLIC = "fleeting-review-key "
"""What a public key's file begins with; 64 hex digits follow."""
ANGLE = 5
"""Degrees."""
_EVERY = 10.0
"""Seconds of what a power cut may take."""
_FULL = 1 << 16
"""Bytes of lines that are enough for a chunk."""
_POLL = 0.5
"""Seconds between looks for a session."""
_RETRY = 60.0
"""Seconds without a trace after one that could not be written."""
_FILLED = "Traces have reached research.max_bytes: nothing more is kept."


def recorder_for(config: AgentConfig, clock: Callable[[], ClockReading]) -> Recorder | None:
    """The recorder of a configuration; None where no traces are kept. Raises `ConfigError`."""
    folder, key = config.research.traces, config.research.key
    if not keeps_traces(config) or folder is None or key is None:
        return None
    keeper = Keeper(folder, config.research.days, clock)
    return Recorder(folder, read_public(key), keeper, config.research.max_bytes)


def read_public(path: Path) -> X25519PublicKey:
    """The researcher's public key. Raises `ConfigError`, also where others may change it: they
    would read what is written."""
    try:
        refuse_writable(path, "The researcher's key")
        text = path.read_text("ascii").strip()
        if not text.startswith(PUBLIC):
            raise ValueError
        return X25519PublicKey.from_public_bytes(bytes.fromhex(text.removeprefix(PUBLIC)))
    except OSError as error:
        raise ConfigError(
            f"research.key {path} cannot be read: {error.strerror}. Name the public key that "
            "`fleeting review keys` made."
        ) from None
    except ValueError:
        raise ConfigError(
            f"research.key {path} is no public key of a researcher. `fleeting review keys` makes "
            "one; the private half does not belong here."
        ) from None


class Recorder:
    """Writes while a session is open."""

    def __init__(
        self,
        folder: Path,
        key: X25519PublicKey,
        keeper: Keeper,
        most: int,
        boottime: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
    ) -> None:
        """`most`: bytes of all traces."""
        self._folder, self._key, self._keeper, self._most = folder, key, keeper, most
        self._boottime = boottime
        self._session: OpenSession | None = None
        self._part: _Part | None = None
        self._room = 0
        self._next = self._not_before = 0.0
        self._said = ""
        """The last error, which is not repeated within a session."""

    def add(self, perceived: Perceived) -> None:
        """One frame. Never raises."""
        self.poll()
        session = self._session
        if session is None or self._boottime() < self._not_before:
            return
        try:
            if self._part is None:
                if not perceived.faces:
                    return
                self._part = self._begin(session, perceived.time)
            self._part.add(perceived)
            if self._part.size > self._room:
                raise StoreError(_FILLED)
        except StoreError as error:
            self._fail(str(error))
        except OSError as error:
            self._fail(f"A trace cannot be written: {reason(error)}. Perception goes on.")

    def poll(self) -> None:
        """Follow the session and what is due; to be called also where no frame is looked at. Never
        raises."""
        now = self._boottime()
        if now < self._next:
            return
        self._next = now + _POLL
        self._keeper.poll()
        found = read_open(self._folder)
        if found is not None and found.at(now) is None:
            self._remove(found)
            found = None
        if found != self._session:
            self._end()
            self._session, self._said = found, ""
            log.info("A traced session %s.", "began" if found else "ended")

    def close(self) -> None:
        """End the part as a whole one. Never raises."""
        self._end()
        self._session = None

    def _remove(self, session: OpenSession) -> None:
        """What says that a session is open, once it is over: it says when it began, too."""
        try:
            end_session(self._folder, session.name)
        except OSError as error:
            log.error("The session's file cannot be removed: %s.", reason(error))

    def _begin(self, session: OpenSession, frame_time: float) -> _Part:
        self._room = self._most - self._keeper.size()
        if self._room <= 0:
            raise StoreError(_FILLED)
        if mark_of(session.name) in read_withdrawn(self._folder):
            raise StoreError("The open session was withdrawn: nothing of it is kept.")
        number = len(parts_of(self._folder).get(session.name, ())) + 1
        while (self._folder / file_name(session.name, number)).exists():
            number += 1
        path = self._folder / file_name(session.name, number)
        sealer = Sealer(path, self._key, bytes.fromhex(session.name), number)
        self._keeper.sweep()  # its days begin
        now = self._boottime()
        # A session that began before midnight says the day of its first part's beginning.
        return _Part(path, sealer, now - session.began - frame_time, self._keeper.day())

    def _end(self) -> None:
        part, session, self._part = self._part, self._session, None
        if part is None or session is None:
            return
        try:
            part.close()
            if mark_of(session.name) in read_withdrawn(self._folder):
                part.path.unlink(missing_ok=True)
        except (OSError, StoreError) as error:
            log.error("A trace was not ended: %s.", reason(error))

    def _fail(self, what: str) -> None:
        if what != self._said:
            self._said = what
            log.error("%s", what)
        if self._part is not None:
            self._part.abandon()
            self._part = None
        self._not_before = self._boottime() + _RETRY


class _Part:
    """One file: a stretch of a session without an interruption of this process."""

    def __init__(self, path: Path, sealer: Sealer, shift: float, day: int | None) -> None:
        """`shift`: session's time less the frames'; `day`: since 1970."""
        self.path = path
        self._sealer, self._shift = sealer, shift
        self._faces: dict[int, tuple[int, Channels]] = {}
        """By track: number in this part, and channels."""
        self._numbers = 0
        self._lines: list[str] = []
        self._length = 0
        self._first = self._flushed = -1.0
        today = None if day is None else time.strftime("%Y-%m-%d", time.gmtime(day * DAY))
        self._say(
            form=FORM, day=today, version=agent.__version__, units=ACTION_UNITS,
            channels=CHANNEL_NAMES, step=round(STEP, 5), angle=ANGLE,
        )  # fmt: skip
        self._flush()

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return self._sealer.size

    def add(self, perceived: Perceived) -> None:
        """One frame. Raises `OSError`."""
        if self._first < 0:
            self._first = self._flushed = perceived.time
        for face in perceived.faces:
            self._add_face(perceived.time, face)
        for found in perceived.micro:
            # What began before the session did is none of its.
            if found.onset >= self._first and found.track_id in self._faces:
                self._add_movement(found)
        now = perceived.time
        if self._length and (self._length >= _FULL or now - self._flushed >= _EVERY):
            self._flush()
            self._flushed = now
            self._faces = {t: f for t, f in self._faces.items() if f[1].latest > now - _EVERY}

    def close(self) -> None:
        """Raises `OSError`."""
        self._flush(last=True)

    def abandon(self) -> None:
        self._sealer.abandon()

    def _add_face(self, now: float, face: Face) -> None:
        if face.track_id not in self._faces:
            self._numbers += 1
            self._faces[face.track_id] = self._numbers, Channels()
        number, channels = self._faces[face.track_id]
        channels.add(now, face.landmarks.points)
        if face.expression is None or not face.expression_is_new:
            return
        pose = face.pose
        self._say(
            face=number,
            t=self._time(now),
            units=_hundredths(face.expression.action_units),
            valence=round(100 * face.expression.valence),
            arousal=round(100 * face.expression.arousal),
            pose=[ANGLE * round(each / ANGLE) for each in (pose.yaw, pose.pitch, pose.roll)],
        )

    def _add_movement(self, found: MicroExpression) -> None:
        number, channels = self._faces[found.track_id]
        strip = channels.strip(found)
        said: dict[str, Any] = {}
        if strip is not None:
            begin, values = strip
            said = {"strip": [self._time(begin), np.rint(1e4 * values).astype(int).tolist()]}
        self._say(
            movement=number,
            times=[self._time(each) for each in (found.onset, found.apex, found.offset)],
            score=round(100 * found.score),
            intensity=round(1e4 * found.intensity),
            units=found.action_units,
            polarity=found.polarity,
            **said,
        )

    def _time(self, frame_time: float) -> float:
        return round(frame_time + self._shift, 2)

    def _say(self, **said: Any) -> None:
        line = json.dumps(said, separators=(",", ":"))
        self._lines.append(line)
        self._length += len(line) + 1

    def _flush(self, *, last: bool = False) -> None:
        data = zlib.compress("".join(f"{line}\n" for line in self._lines).encode())
        self._lines, self._length = [], 0
        assert len(data) <= MOST
        self._sealer.add(data, last=last)


def _hundredths(values: Any) -> list[int | None]:
    return [None if np.isnan(each) else round(100 * float(each)) for each in values]
