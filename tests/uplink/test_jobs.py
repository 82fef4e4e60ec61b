"""Jobs: what the uplink takes from the fleet, hands to the updater, and says of it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from agent import __version__
from agent.base.config import AgentConfig
from agent.base.files import write_atomically
from agent.base.quotas import JOBS_RESERVED
from agent.base.report import Installed, Job, JobExecution, from_json, to_json
from agent.base.settings_file import parse
from agent.uplink import jobs as module
from agent.uplink.inbound import EventCounter
from agent.uplink.jobs import Jobs
from agent.uplink.strict_json import MalformedError
from agent.uplink.warden.warden import Warden
from agent.wall.outbox import Outbox

A, B, C = "a" * 16, "b" * 16, "c" * 16
KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
"""An Ed25519 public key (RFC 8032, section 7.1, test 1)."""
NOW = 1_800_000_000


def job(name: str, **more: Any) -> bytes:
    return to_json(Job.model_validate({"job": name, "kind": "app", "version": "9.1.0", **more}))


def word(name: str, status: str, step: str | None = None, number: int = 0, **more: Any) -> bytes:
    """What an updater says."""
    values = {"job": name, "status": status, "step": step, "reason": None, "number": number,
              "app": "1.0.0", "models": "1.0.0", **more}  # fmt: skip
    return to_json(JobExecution.model_validate(values))


class Site:
    """A device's folders, its broker, and its updater; the uplink's part can be started anew."""

    def __init__(self, folder: Path, outbox: Outbox, config: AgentConfig) -> None:
        self.config, self.outbox = config, outbox
        self.exchange = config.update.exchange
        self.now = 100.0
        self.utc: float | None = NOW
        self.published: list[JobExecution] = []
        self.quota, self.idle, self.retained = 20, True, b""
        self.events: Counter[str] = Counter()
        self.start()

    def start(self) -> None:
        """As after a kill: from what is on the disk, and what the broker has retained."""
        self.warden = Warden(self.config, KEY, EventCounter())
        self.jobs = Jobs(
            self.config.update, self.warden, self.outbox,
            clock=lambda: self.now, utc=lambda: self.utc,
        )  # fmt: skip
        self.connect()

    def connect(self) -> None:
        self.subscribed = self.now
        self.jobs.connected()
        if self.retained:
            self._deliver(self.retained)

    def ask(self, body: bytes) -> bool:
        """Let the fleet publish on `job/next`; whether it was taken."""
        self.retained = body
        return self._deliver(body)

    def _deliver(self, body: bytes) -> bool:
        try:
            self.jobs.receive(body)
        except MalformedError:
            return False
        return True

    def tell(self, body: bytes) -> None:
        """Let the updater write its progress, atomically."""
        temporary = self.exchange / ".progress.tmp"
        temporary.write_bytes(body)
        os.replace(temporary, self.exchange / "progress.json")

    def run(self, seconds: float = 2.0) -> list[JobExecution]:
        """Let time pass; what was published meanwhile."""
        before = len(self.published)
        end = self.now + seconds
        while self.now <= end:
            self.jobs.step(self._publish, self.quota, subscribed=self.subscribed, idle=self.idle)
            self.now += 0.25
        return self.published[before:]

    def _publish(self, name: str, body: bytes) -> None:
        said = from_json(JobExecution, body)
        assert said is not None
        assert said.job == name, "its topic is its job's"
        self.published.append(said)

    @property
    def handed_over(self) -> str | None:
        """The job for the updater."""
        try:
            found = from_json(Job, (self.exchange / "job.json").read_bytes())
        except FileNotFoundError:
            return None
        assert found is not None
        return found.job

    def codes(self) -> list[str]:
        return [json.loads(row.body)["code"] for row in self.outbox.peek(100)]


def brief(said: list[JobExecution]) -> list[tuple[str, str, str | None, str | None]]:
    return [(each.job[0], each.status, each.step, each.reason) for each in said]


def configuration(folder: Path, **update: Any) -> AgentConfig:
    return parse(
        {
            "device": {"id": "box-7"},
            "store": {"outbox": str(folder / "shared" / "outbox.db")},
            "update": {"url": "https://updates.example/", "exchange": str(folder / "jobs"),
                       **update},
        },
        "test",
    )  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    config = configuration(tmp_path)
    with Outbox(config.store) as outbox:
        yield Site(tmp_path, outbox, config)


QUEUED = ("a", "QUEUED", None, None)


def test_a_job_is_handed_over_and_followed_to_its_end(site: Site) -> None:
    assert site.ask(job(A))
    assert brief(site.run()) == [QUEUED]
    assert (site.exchange / "job.json").read_bytes() == job(A)
    for number, (status, step) in enumerate((
        ("IN_PROGRESS", "DOWNLOADING"), ("IN_PROGRESS", "VERIFIED"), ("IN_PROGRESS", "UPDATING"),
        ("IN_PROGRESS", "SOAKING"), ("SUCCEEDED", "SOAKING"),
    )):  # fmt: skip
        site.tell(word(A, status, step, number, app="9.1.0"))
        (said,) = site.run()
        assert (said.status, said.step, said.app) == (status, step, "9.1.0")
    numbers = [each.number for each in site.published]
    assert numbers == sorted(set(numbers)), "they rise, also where the updater's begin at 0"
    assert site.codes() == ["update_installed"]
    assert site.run(60) == [], "nothing is said twice on one connection"


def test_the_file_is_written_only_when_it_changes(site: Site) -> None:
    site.ask(job(A))
    site.run()
    before = (site.exchange / "job.json").stat()
    for _ in range(3):
        site.ask(job(A))
        site.connect()
        site.run()
    after = (site.exchange / "job.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    (site.exchange / "job.json").unlink()
    site.run()
    assert site.handed_over == A, "put back where somebody removed it"


def test_the_latest_word_is_repeated_on_each_connection_until_another_job(site: Site) -> None:
    site.ask(job(A))
    site.run()
    site.tell(word(A, "SUCCEEDED", "SOAKING", 6))
    site.run()
    site.ask(b"")
    for _ in range(2):
        site.connect()
        assert brief(site.run(60)) == [("a", "SUCCEEDED", "SOAKING", None)]
    assert site.handed_over is None
    site.ask(job(B))
    assert brief(site.run()) == [("b", "QUEUED", None, None)]
    site.connect()
    assert brief(site.run()) == [("b", "QUEUED", None, None)]


def test_a_job_that_has_ended_answers_with_its_end_and_is_not_begun_again(site: Site) -> None:
    site.ask(job(A))
    site.run()
    site.tell(word(A, "FAILED", "ROLLED_BACK", 7, reason="unhealthy"))
    site.run()
    site.ask(b"")
    site.run()
    (site.exchange / "progress.json").unlink()
    site.ask(job(A))
    assert site.run() == [], "said on this connection before"
    assert site.handed_over is None
    site.start()
    assert brief(site.run()) == [("a", "FAILED", "ROLLED_BACK", "unhealthy")]
    assert site.handed_over is None
    assert site.codes() == ["update_rolled_back"], "once"


@pytest.mark.parametrize("end", [("FAILED", "download"), ("REJECTED", "floor")])
def test_a_job_that_changed_nothing_is_no_event(site: Site, end: tuple[str, str]) -> None:
    site.ask(job(A))
    site.run()
    site.tell(word(A, end[0], "DOWNLOADING", 3, reason=end[1]))
    assert brief(site.run()) == [("a", end[0], "DOWNLOADING", end[1])]
    assert site.codes() == []


# What the uplink answers by itself


def test_where_updates_are_off_a_job_is_rejected(tmp_path: Path) -> None:
    config = configuration(tmp_path, url="")
    with Outbox(config.store) as outbox:
        site = Site(tmp_path, outbox, config)
        assert not site.exchange.exists(), "nothing is made for what is off"
        site.ask(job(A))
        assert brief(site.run()) == [("a", "REJECTED", None, "off")]
        assert not site.exchange.exists()
        site.exchange.mkdir()
        (site.exchange / "job.json").write_bytes(job(B))  # of a device on the same machine
        site.tell(word(A, "IN_PROGRESS", "DOWNLOADING", 1))
        site.start()
        assert brief(site.run(60)) == [("a", "REJECTED", None, "off")]
        site.ask(b"")
        site.run(60)
        assert site.handed_over == B


def test_a_stick_alone_is_enough_for_updates_to_be_on(tmp_path: Path) -> None:
    config = configuration(tmp_path, url="", media=str(tmp_path / "stick"))
    with Outbox(config.store) as outbox:
        site = Site(tmp_path, outbox, config)
        site.ask(job(A))
        assert brief(site.run()) == [QUEUED]


def test_an_expired_job_is_rejected_where_the_clock_is_trusted(site: Site) -> None:
    site.ask(job(A, expires=NOW))
    assert brief(site.run()) == [("a", "REJECTED", None, "expired")]
    assert site.handed_over is None
    site.utc = None
    site.ask(job(B, expires=NOW))
    assert brief(site.run()) == [("b", "QUEUED", None, None)], "the updater decides"
    site.utc = NOW + 10
    site.start()
    assert brief(site.run()) == [("b", "QUEUED", None, None)], "it may have been begun in time"
    assert site.handed_over == B


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "system"}, {"version": "1.0"}, {"version": "1.0.0-rc1"}, {"version": 1}, {"v": 2},
        {"expires": 12}, {"expires": "soon"}, {"url": "https://elsewhere.example"}, {"kind": None},
        {"kind": ["app"]}, {"expires": {"a": 1}}, {"v": "1"},
    ],
)  # fmt: skip
def test_of_a_malformed_job_the_name_is_enough_to_reject_it(
    site: Site, change: dict[str, Any]
) -> None:
    body = json.dumps(json.loads(job(A)) | change).encode()
    assert not site.ask(body), "counted as refused"
    assert brief(site.run()) == [("a", "REJECTED", None, "malformed")]
    assert site.handed_over is None


@pytest.mark.parametrize(
    "body",
    [
        b"{}", b"[]", b"null", b"7", b'"a"', b"\xff", b"{" * 900, b'{"job":1}', b" ",
        b'{"job":"' + b"A" * 16 + b'"}', b'{"job":"../../../../etc"}', b'{"job":"next"}',
        b'{"job":"' + A.encode() + b'\\n"}', b'{"job":"' + A.encode() + b'","job":"' + A.encode(),
        job(A)[:-1], job(A) + b"x", job(A) + b" " * 5000, b'{"job":null}', b'{"job":["a"]}',
    ],
)  # fmt: skip
def test_what_is_no_job_at_all_changes_nothing(site: Site, body: bytes) -> None:
    site.ask(job(B))
    site.run()
    assert not site.ask(body)
    assert site.run(30) == []
    assert site.handed_over == B


def test_the_versions_in_force_are_the_updaters_or_this_packages(site: Site) -> None:
    site.ask(job(A))
    (said,) = site.run()
    assert (said.app, said.models) == (__version__, __version__)
    (site.exchange / "installed.json").write_bytes(to_json(Installed(app="3.0.0", models="4.1.2")))
    site.ask(job(B))
    site.run(10)
    assert (site.published[-1].app, site.published[-1].models) == ("3.0.0", "4.1.2")
    (site.exchange / "installed.json").write_bytes(b'{"app":"3.0.0","models":"<script>"}')
    site.ask(job(C, kind="models"))
    site.run(10)
    assert site.published[-1].job == C
    assert site.published[-1].models == __version__


# Two jobs, and jobs that are taken back


def test_a_job_taken_back_before_anybody_began_it_is_canceled(site: Site) -> None:
    site.ask(job(A))
    site.run()
    site.ask(b"")
    assert site.run(1) == []
    assert site.handed_over is None
    assert brief(site.run(10)) == [("a", "CANCELED", None, "canceled")]
    assert site.published[-1].number > site.published[0].number


def test_an_updater_that_had_begun_says_itself_that_it_was_canceled(site: Site) -> None:
    site.ask(job(A))
    site.run()
    site.ask(b"")
    site.run(1)
    site.tell(word(A, "IN_PROGRESS", "DOWNLOADING", 1))
    assert brief(site.run(60)) == [("a", "IN_PROGRESS", "DOWNLOADING", None)]
    site.tell(word(A, "CANCELED", "DOWNLOADING", 2, reason="canceled"))
    assert brief(site.run()) == [("a", "CANCELED", "DOWNLOADING", "canceled")]


def test_another_job_ends_the_one_before_it(site: Site) -> None:
    site.ask(job(A))
    site.run()
    site.tell(word(A, "IN_PROGRESS", "DOWNLOADED", 2))
    site.run()
    site.ask(job(B))
    site.run(1)
    assert site.handed_over == B
    site.tell(word(A, "CANCELED", "DOWNLOADED", 3, reason="canceled"))
    site.tell(word(B, "IN_PROGRESS", "DOWNLOADING", 0))  # before anybody looked
    said = site.run(20)
    assert brief(said) == [
        ("a", "CANCELED", "DOWNLOADED", "canceled"),
        ("b", "IN_PROGRESS", "DOWNLOADING", None),
    ]


def test_from_updating_on_a_job_is_finished_first(site: Site) -> None:
    site.ask(job(A))
    site.run()
    site.tell(word(A, "IN_PROGRESS", "UPDATING", 4))
    site.run()
    site.ask(job(B))
    assert site.run(600) == []
    assert site.handed_over is None, "the next one waits, so that the end of this one is seen"
    site.start()
    assert brief(site.run(60)) == [("a", "IN_PROGRESS", "UPDATING", None)], "also after a kill"
    assert site.handed_over is None
    site.tell(word(A, "SUCCEEDED", "SOAKING", 7))
    assert brief(site.run()) == [
        ("a", "SUCCEEDED", "SOAKING", None),
        ("b", "QUEUED", None, None),
    ]
    assert site.handed_over == B


def test_a_job_that_passes_the_point_of_no_return_meanwhile(site: Site) -> None:
    """The updater looked just before the other job came."""
    site.ask(job(A))
    site.run()
    site.tell(word(A, "IN_PROGRESS", "VERIFIED", 3))
    site.run()
    site.ask(job(B))
    site.run(0)
    assert site.handed_over == B
    site.tell(word(A, "IN_PROGRESS", "UPDATING", 4))
    site.run()
    assert site.handed_over is None
    site.tell(word(A, "FAILED", "ROLLED_BACK", 5, reason="crashed"))
    assert brief(site.run()) == [
        ("a", "FAILED", "ROLLED_BACK", "crashed"),
        ("b", "QUEUED", None, None),
    ]
    assert site.handed_over == B


def test_an_end_is_delivered_before_the_next_job_is_spoken_of(site: Site) -> None:
    site.ask(job(A))
    site.run()
    site.tell(word(A, "SUCCEEDED", "SOAKING", 7))
    site.idle = False
    site.run()
    site.ask(job(B))
    assert site.run(10) == [], "not acknowledged"
    site.connect()  # that connection was lost
    assert brief(site.run(5)) == [("a", "SUCCEEDED", "SOAKING", None)]
    site.idle = True
    assert brief(site.run(5)) == [("b", "QUEUED", None, None)]


def test_a_job_taken_back_while_nobody_listened(site: Site) -> None:
    """The broker then has nothing to send; what it has, it sends at once."""
    site.ask(job(A))
    site.run()
    site.retained = b""
    site.start()
    assert brief(site.run(module.SETTLE - 5)) == [QUEUED]
    assert site.handed_over == A
    assert brief(site.run(20)) == [("a", "CANCELED", None, "canceled")]
    assert site.handed_over is None


def test_without_a_subscription_no_job_is_thought_of_as_taken_back(site: Site) -> None:
    site.ask(job(A))
    site.run()
    site.retained = b""
    site.start()
    site.subscribed = cast(float, None)
    site.run(10 * module.SETTLE)
    assert site.handed_over == A


def test_an_update_whose_updater_is_lost_has_failed(site: Site) -> None:
    site.ask(job(A))
    site.run()
    site.tell(word(A, "IN_PROGRESS", "SOAKING", 5))
    site.run()
    (site.exchange / "progress.json").unlink()
    site.ask(b"")
    assert brief(site.run(20)) == [("a", "FAILED", "SOAKING", "internal")]


def test_a_flood_of_jobs_wears_out_nothing_and_the_newest_wins(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []

    def write(path: Path, data: bytes) -> None:
        written.append(data)
        write_atomically(path, data)

    monkeypatch.setattr("agent.uplink.exchange.write_atomically", write)
    for number in range(2000):
        site.ask(job(f"{number:016x}"))
        site.jobs.step(site._publish, 20, subscribed=0.0, idle=True)
        site.now += 0.01
    last = f"{1999:016x}"
    said = site.run(60)
    assert len(written) <= 6 + (20 + 60) * 0.1
    assert site.handed_over == last
    assert said[-1].job == last
    assert said[-1].status == "QUEUED"


# The updater is a stranger


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"\xff" * 100, b"[" * 1000, b"x" * 2_000_000, word(A, "SUCCEEDED")[:-2],
        b" " + word(A, "SUCCEEDED"), word(A, "SUCCEEDED") + b"\n",
        word(A, "SUCCEEDED").replace(b'"SUCCEEDED"', b'"DONE"'),
        word(A, "SUCCEEDED").replace(b'"number":0', b'"number":256'),
        word(A, "SUCCEEDED").replace(b'"number":0', b'"number":0.0'),
        word(A, "SUCCEEDED").replace(b'"reason":null', b'"reason":"see http://x"'),
        word(A, "SUCCEEDED").replace(b'"v":1', b'"v":1,"note":"hello"'),
        word(A, "SUCCEEDED").replace(b'"app":"1.0.0"', b'"app":"1.0.0; rm"'),
        word(B, "SUCCEEDED", "SOAKING", 9), word(C, "IN_PROGRESS", "UPDATING", 200),
    ],
)  # fmt: skip
def test_what_no_updater_writes_of_this_job_is_not_said(site: Site, body: bytes) -> None:
    site.ask(job(A))
    site.run()
    site.tell(body)
    assert site.run(30) == []
    assert site.codes() == []
    site.tell(word(A, "IN_PROGRESS", "DOWNLOADING", 1))
    assert brief(site.run()) == [("a", "IN_PROGRESS", "DOWNLOADING", None)]


@pytest.mark.parametrize("what", ["link", "pipe", "folder", "unreadable"])
def test_a_progress_that_is_no_file_is_not_followed(site: Site, what: str, tmp_path: Path) -> None:
    site.ask(job(A))
    site.run()
    path, secret = site.exchange / "progress.json", tmp_path / "secret"
    secret.write_bytes(word(A, "SUCCEEDED", "SOAKING", 9))
    if what == "link":
        path.symlink_to(secret)
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        os.symlink("progress.json", path)  # of itself
    assert site.run(5) == []


def test_what_is_in_jobs_place_is_replaced_or_left_and_hurts_nobody(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (site.exchange / "job.json").symlink_to(precious)
    site.ask(job(A))
    site.run()
    assert precious.read_text() == "kept"
    assert site.handed_over == A
    (site.exchange / "job.json").unlink()
    (site.exchange / "job.json").mkdir()
    (site.exchange / "job.json" / "x").touch()
    site.ask(job(B))
    assert brief(site.run(60)) == [("a", "CANCELED", None, "canceled")], "b cannot be handed over"
    assert len([each for each in caplog.records if "cannot be changed" in each.message]) == 1
    (site.exchange / "job.json" / "x").unlink()
    (site.exchange / "job.json").rmdir()
    assert brief(site.run()) == [("b", "QUEUED", None, None)]


def test_without_a_folder_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = configuration(tmp_path, exchange=str(tmp_path / "file" / "jobs"))
    with Outbox(config.store) as outbox:
        site = Site(tmp_path, outbox, config)
        site.ask(job(A))
        assert site.run(30) == []
        site.ask(b"")
        assert site.run(30) == []


def test_a_talkative_updater_ends_at_the_days_quota_and_the_end_is_still_said(site: Site) -> None:
    site.ask(job(A))
    site.run()
    for number in range(200):
        step = ("DOWNLOADING", "DOWNLOADED")[number % 2]
        site.tell(word(A, "IN_PROGRESS", step, number))
        site.run(1.25)
    most = site.warden.quotas.job
    assert len(site.published) == most - JOBS_RESERVED
    site.tell(word(A, "FAILED", "DOWNLOADED", 201, reason="download"))
    assert brief(site.run()) == [("a", "FAILED", "DOWNLOADED", "download")]


def test_half_written_files_of_a_kill_are_removed(site: Site) -> None:
    litter = site.exchange / ".job.json.0badcafe.tmp"
    litter.write_bytes(b"{")
    other = site.exchange / ".progress.json.0badcafe.tmp"
    other.write_bytes(b"{")
    site.start()
    assert not litter.exists()
    assert other.exists(), "the updater's own"


def test_every_instant_of_a_kill(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before or after each write that matters, and started again: one stream whose numbers
    rise, and the same end."""
    steps = [word(A, "IN_PROGRESS", "DOWNLOADING", 1), word(A, "IN_PROGRESS", "UPDATING", 4),
             word(A, "SUCCEEDED", "SOAKING", 6)]  # fmt: skip

    class KilledError(BaseException):
        pass

    def killing(real: Any, at: int, before: bool) -> Any:
        calls = Counter[str]()

        def call(*args: Any, **kwargs: Any) -> Any:
            calls["n"] += 1
            if before and calls["n"] == at:
                raise KilledError
            found = real(*args, **kwargs)
            if calls["n"] == at:
                raise KilledError
            return found

        return call

    places = ("agent.uplink.exchange.write_atomically", "agent.uplink.warden.warden.save")
    real = {place: __import__(place.rpartition(".")[0], fromlist=["x"]) for place in places}
    for place in places:
        function = getattr(real[place], place.rpartition(".")[2])
        for at in range(1, 6):
            for before in (True, False):
                name = f"{hash((place, at, before)) & (2**64 - 1):016x}"
                site.published.clear()
                with monkeypatch.context() as patched:
                    patched.setattr(place, killing(function, at, before))
                    for body in [None, *steps]:
                        try:
                            if body is None:
                                site.ask(job(name))
                            else:
                                site.tell(body.replace(A.encode(), name.encode()))
                            site.run(30)
                        except KilledError:
                            site.start()
                            site.run(30)
                site.run(30)
                said = [each for each in site.published if each.job == name]
                numbers = [each.number for each in said]
                assert numbers == sorted(numbers)
                assert said[-1].status == "SUCCEEDED"
                assert [each.status for each in said].count("SUCCEEDED") <= 2
                assert site.handed_over == name
                site.warden._state.counts.clear()  # another day
