"""The updater: started when there is something to do, carries it out, and ends."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import logging
import os
import secrets
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from agent.base.clock import WallClock
from agent.base.config import AgentConfig, UpdateConfig
from agent.base.errors import ConfigError, StoreError
from agent.base.report import to_json
from agent.base.report.job import Job
from agent.host import heartbeat
from agent.host.sandbox.enter import enter_updater
from agent.update.errors import UpdateError
from agent.update.exchange import Exchange
from agent.update.machine import Machine
from agent.update.media import newest
from agent.update.slots import Slots
from agent.update.soak import Stopped, Timing, Wait
from agent.update.state import load
from agent.update.steps import Source
from agent.update.tester import SelfTest

log = logging.getLogger(__name__)

BASE = Path(__file__).resolve().parents[2]
"""Root of the package that runs this: with `agent/`, and `requirements.txt` beside it."""
_LOCK = "lock"
_TEMPORARY = "tmp"
_DNS = 53


def base_root() -> Path:
    """Of the base installation: what `launch.py` there said, else the package that runs."""
    named = os.environ.get("FLEETING_BASE", "")
    return Path(named) if named.startswith("/") else BASE


def run_updater(
    config: AgentConfig,
    stop: threading.Event,
    *,
    media: Path | None = None,
    timing: Timing | None = None,
    clock: WallClock | None = None,
) -> int:
    """Finish what was begun, do what `job.json` asks for, install what a stick holds; then end.
    `media`: a stick to install from now, whatever was tried before. `timing`, `clock`: only for
    tests.

    Returns 0; 1 where it has to be started again. Raises `AgentError`, also where another updater
    is at work.
    """
    folder = _folder(config.update)
    with _alone(folder):
        present = _repository_on(media or config.update.media)
        if media is not None and present is None:
            raise StoreError(f"{media} holds no update repository: there is no metadata/ in it.")
        slots = Slots(folder, base_root())
        self_test = SelfTest(folder, config.mqtt.port)
        try:
            _seal(config, folder, present)
            machine = Machine(
                slots,
                Exchange(config.update.exchange),
                source=functools.partial(_source, config.update, folder, present, clock),
                self_test=self_test,
                heartbeat=heartbeat.place(config.update.folder),
                timing=timing or Timing(soak=config.update.soak),
                wait=_waiter(stop),
                enabled=config.update.on,
            )
            machine.run(_media_jobs(machine, slots, present, again=media is not None))
        except Stopped:
            log.info("Stopped; the update goes on at the next start.")
        except UpdateError as error:
            log.error("%s It is tried again at the next start.", error)
            return 1
        finally:
            self_test.close()
    return 0


def _source(
    config: UpdateConfig,
    folder: Path,
    media: Path | None,
    clock: WallClock | None,
    from_media: bool,
) -> Source:
    """The repository, opened when it is needed: TUF's libraries are large."""
    from agent.update.repository import Repository

    path = base_root() / "requirements.txt"
    try:
        base = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        base = None  # the repository says what that means
    stick = media if from_media or not config.url else None
    return Repository(config, folder / "trust", stick, clock, base=base)


def _repository_on(media: Path | None) -> Path | None:
    """The repository's folder on a stick, where there is one."""
    folders = [] if media is None else [media, media / "repository"]
    return next((each for each in folders if (each / "metadata").is_dir()), None)


def _media_jobs(
    machine: Machine, slots: Slots, media: Path | None, *, again: bool
) -> functools.partial[Job | None]:
    begun: set[str] = set()
    return functools.partial(_next_on_media, machine, slots, media, begun if again else None)


def _next_on_media(
    machine: Machine, slots: Slots, media: Path | None, begun: set[str] | None
) -> Job | None:
    """`begun`: what was begun in this run, where what ended before is to be tried again."""
    if media is None:
        return None
    ended = frozenset(each.job for each in machine.record.ended) if begun is None else begun
    found = newest(media, *slots.versions(slots.current), frozenset(ended))
    if found is None or begun is None:
        return found
    begun.add(found.job)
    return found.model_copy(update={"job": secrets.token_hex(8)})


def status(config: AgentConfig, *, as_json: bool) -> int:
    """Print what is in force, what waits to prove itself, and how the last job ended."""
    slots = Slots(config.update.folder, base_root())
    record = load(slots.folder)
    app, models = slots.versions(slots.current)
    update = record.update if record is not None else None
    last = record.ended[-1] if record is not None and record.ended else None
    if as_json:
        found = {
            "slot": slots.current,
            "confirmed": slots.confirmed,
            "app": app,
            "models": models,
            "phase": update.phase if update else None,
            "job": json.loads(to_json(update.job)) if update else None,
            "last": json.loads(to_json(last)) if last else None,
        }
        print(json.dumps(found))
        return 0
    print(f"in force: package {app}, models {models} ({_place(slots.current)})")
    if slots.current != slots.confirmed:
        print(f"has yet to prove itself; before it: {_place(slots.confirmed)}")
    if record is None:
        print("The updater's record cannot be read: run as its user, or see the journal.")
    if update is not None:
        print(f"going on: {update.job.kind} {update.job.version}, {update.phase}")
    if last is not None:
        print(f"last: {last.status}" + (f" ({last.reason})" if last.reason else ""))
    return 0


def _place(slot: str) -> str:
    return "base installation" if slot == "base" else f"slot {slot}"


def _folder(config: UpdateConfig) -> Path:
    """`update.folder` and what is made in it. Raises `AgentError`."""
    folder = config.folder
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.geteuid():
            raise ConfigError(
                f"{folder} belongs to another user: its files would become yours. Run this as its "
                f"owner, for instance: sudo -u fleeting-update fleeting update run"
            )
        for name in (_TEMPORARY, "trust"):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        config.exchange.mkdir(mode=0o770, parents=True, exist_ok=True)
        for name in os.listdir(folder / _TEMPORARY):
            with contextlib.suppress(OSError):
                os.unlink(folder / _TEMPORARY / name)
    except OSError as error:
        raise StoreError(
            f"The updater's folders ({folder}, {config.exchange}) cannot be used: "
            f"{error.strerror}. Make them writable for this user."
        ) from None
    tempfile.tempdir = str(folder / _TEMPORARY)
    return folder


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Raises `UpdateError` where another updater works in the same folder."""
    number = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UpdateError(
                "busy", "Another updater is at work here. Wait until it has ended."
            ) from None
        yield
    finally:
        os.close(number)


def _seal(config: AgentConfig, folder: Path, media: Path | None) -> None:
    """Enter the sandbox; outside the main thread none is entered."""
    if threading.current_thread() is not threading.main_thread():
        log.warning("Not the main thread of a process: it enters no sandbox.")
        return
    url = urlsplit(config.update.url)
    try:
        port = url.port
    except ValueError:
        port = None
    ports = {port or (443 if url.scheme == "https" else 80), _DNS} if url.netloc else set()
    named = (config.update.root, base_root(), BASE, heartbeat.place(config.update.folder), media)
    layers = enter_updater(
        readable=[each for each in named if each is not None],
        writable=[folder, config.update.exchange],
        ports=ports,
    )
    log.info("Sandbox: %s.", ", ".join(layers) or "none")


def _waiter(stop: threading.Event) -> Wait:
    def wait(seconds: float, /) -> bool:
        return stop.wait(seconds) if seconds > 0 else stop.is_set()

    return wait
