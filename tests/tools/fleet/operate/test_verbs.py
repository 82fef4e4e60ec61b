"""What an operator types, against both databases; no broker is needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.base.report import JobExecution, to_json
from tests.summaries import meta
from tests.tools.fleet.repository.conftest import Fleet as Repository
from tools.fleet.cli import main
from tools.fleet.controller import intake, rollouts
from tools.fleet.operate.watch import line, picture, state
from tools.fleet.repository import keys
from tools.fleet.store import Store, open_store

pytestmark = pytest.mark.slow

NOW = 1_790_000_000


class Desk:
    """A fleet's folder, its database, and an operator's hands."""

    def __init__(self, folder: Path, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.store, self._capsys = folder, store, capsys

    def run(self, *words: str) -> str:
        """What a verb that works prints."""
        assert main([*words, "--fleet", str(self.folder)]) == 0, self._capsys.readouterr().err
        return self._capsys.readouterr().out

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))

    def fails(self, *words: str) -> str:
        """What is wrong with a verb that does not."""
        assert main([*words, "--fleet", str(self.folder)]) == 1
        return self._capsys.readouterr().err

    def device(self, name: str, state: str = "online", app: str = "0.1.0") -> None:
        said = meta()
        birth = said.birth.model_copy(update={"software": app})
        body = to_json(said.model_copy(update={"birth": birth}))
        intake.take(self.store, f"fleeting/1/d/{name}/state", state.encode(), NOW)
        intake.take(self.store, f"fleeting/1/d/{name}/meta", body, NOW)

    def advance(self, rollout: str, now: int = NOW) -> str:
        """As the controller would."""
        with self.store.transaction():
            return rollouts.advance(self.store, rollout, now)[0].waiting

    def answer(self, device: str, status: str, now: int = NOW, **more: Any) -> None:
        (job,) = self.store.execute(
            "SELECT * FROM jobs WHERE device = ? AND status IN ('QUEUED', 'IN_PROGRESS')", (device,)
        )
        app = job["version"] if status == "SUCCEEDED" else "0.1.0"
        said = JobExecution.model_validate(
            {"job": job["job"], "status": status, "step": None, "reason": None,
             "number": (job["number"] or 0) + 1, "app": app, "models": "0.1.0"} | more
        )  # fmt: skip
        topic = f"fleeting/1/d/{device}/job/{job['job']}"
        assert not intake.take(self.store, topic, to_json(said), now).refused


@pytest.fixture
def desk(tmp_path: Path, store_url: str, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    (tmp_path / "fleet.toml").write_text(f'[store]\nurl = "{store_url}"\n')
    with open_store(store_url) as store:
        yield Desk(tmp_path, store, capsys)


@pytest.fixture
def five(desk: Desk) -> Desk:
    for number in range(5):
        desk.device(f"box-{number}", "offline" if number == 4 else "online")
    return desk


def test_an_empty_fleet(desk: Desk) -> None:
    assert "0 devices" in desk.run("status")
    assert desk.json("status")["devices"]["all"] == 0
    assert desk.json("devices") == []
    assert desk.json("rollout", "list") == []
    assert desk.json("group", "list") == []
    assert desk.json("config", "show") == {"groups": [], "devices": []}


def test_status_counts(five: Desk) -> None:
    five.store.execute("UPDATE devices SET revoked_at = 1 WHERE device = 'box-3'")
    five.store.execute("INSERT INTO counts VALUES ('box-1', 'fields', 3, ?)", (NOW,))
    five.store.execute("INSERT INTO counts VALUES ('box-1', 'duplicate', 4, ?)", (NOW,))
    found = five.json("status")
    assert (found["devices"]["revoked"], found["devices"]["offline"]) == (1, 1)
    assert found["quarantined"]["messages"] == 3
    assert found["collected"]["duplicates"] == 4
    assert {"kind": "app", "version": "0.1.0", "devices": 4} in found["versions"]
    said = five.run("status")
    assert "5 devices" in said
    assert "1 offline" in said
    assert "3 messages quarantined" in said


def test_devices_are_listed_and_filtered(five: Desk) -> None:
    five.run("tag", "box-0", "box-1", "+floor1", "+old")
    five.run("tag", "box-1", "-old")
    five.run("group", "set", "first", "tag=floor1")
    five.device("box-2", app="0.2.0")

    def names(*words: str) -> list[str]:
        return [each["device"] for each in five.json("devices", *words)]

    assert names() == [f"box-{n}" for n in range(5)]
    assert names("--tag", "floor1") == ["box-0", "box-1"]
    assert names("--tag", "old") == ["box-0"]
    assert names("--group", "first") == ["box-0", "box-1"]
    assert names("--version", "0.2.*") == ["box-2"]
    assert names("--state", "offline") == ["box-4"]
    assert names("--select", "id=box-* and not tag=floor1", "--version", "0.1.0") == [
        "box-3", "box-4",
    ]  # fmt: skip
    assert "box-2" in five.run("devices")
    one = five.json("devices", "show", "box-0")
    assert (one["tags"], one["groups"]) == (["floor1", "old"], ["first"])
    assert one["openings"] == ["uplink.address"]
    assert meta().birth.policy in five.run("devices", "show", "box-0")
    assert "There is no device 'box-9'" in five.fails("devices", "show", "box-9")
    assert "cannot be done" in five.fails("devices", "shw", "box-0")


def test_tags(five: Desk) -> None:
    assert five.run("tag", "id=box-*", "+all") == "5 devices: +all\n"
    assert five.json("tag", "box-1", "+a", "-all")["removed"] == ["all"]
    assert len(five.json("devices", "--tag", "all")) == 4
    for words, why in (
        (("box-1",), "Give devices and tags"),
        (("+a",), "Give devices and tags"),
        (("box-9", "+a"), "There is no device"),
        (("id=x", "+a"), "No device matches"),
        (("box-1", "+a b"), "cannot be a tag"),
        (("color=red", "+a"), "no column"),
    ):
        assert why in five.fails("tag", *words)


def test_groups(five: Desk) -> None:
    assert "5 devices now" in five.run("group", "set", "all-of-them", "id=box-?")
    assert five.json("group", "list") == [
        {"name": "all-of-them", "query": "id=box-?", "devices": 5}
    ]
    assert "all-of-them" in five.run("group", "list")
    assert "cannot ask for groups" in five.fails("group", "set", "x", "group=all-of-them")
    assert "cannot be a group" in five.fails("group", "set", "x y", "all")
    assert "cannot be used" in five.fails("group", "set", "x", "tag=")
    five.run("config", "set", "privacy.k=9", "--group", "all-of-them")
    five.run("group", "remove", "all-of-them")
    assert five.json("config", "show")["groups"] == []
    assert "There is no group" in five.fails("group", "remove", "all-of-them")


def test_settings(five: Desk) -> None:
    assert "2 devices: privacy.k = 9" in five.run(
        "config", "set", "privacy.k=9", "--device", "box-1", "--device", "box-2"
    )
    five.run("config", "set", "micro.enabled=false", "--device", "box-1")
    five.run("config", "set", "privacy.k=", "--device", "box-1")
    wished = {
        row["device"]: json.loads(row["config"])
        for row in five.store.execute("SELECT * FROM wished")
    }
    assert wished == {"box-1": {"micro.enabled": False}, "box-2": {"privacy.k": 9}}
    said = five.run("config", "set", "privacy.k=7", "--group", "shops")
    assert "whose own configuration names this group" in said
    five.run("config", "set", "privacy.k=8", "--group", "shops")
    (group,) = five.json("config", "show", "--group", "shops")["groups"]
    assert (group["version"], group["config"]) == (2, {"privacy.k": 8})
    assert "shops" in five.run("config", "show")
    for text, why in (
        ("privacy.epsilon=1", "no setting that a fleet may change"),
        ("privacy.k=1000", "cannot be the value"),
        ("privacy.k", "sets nothing"),
    ):
        assert why in five.fails("config", "set", text, "--device", "box-1")
    with pytest.raises(SystemExit):
        main(["config", "set", "privacy.k=1"])


def test_every_change_has_the_controller_look(five: Desk) -> None:
    def asked() -> int:
        return int(five.store.tuples("SELECT number FROM asked")[0][0])

    before = asked()
    for words in (
        ("tag", "box-0", "+x"),
        ("group", "set", "g", "tag=x"),
        ("config", "set", "privacy.k=9", "--device", "box-0"),
        ("rollout", "start", "app", "0.2.0"),
        ("rollout", "pause", "last"),
        ("rollout", "resume", "last"),
        ("rollout", "abort", "last"),
    ):
        five.run(*words)
        assert asked() == (before := before + 1), words


def test_a_rollout_from_start_to_end(five: Desk) -> None:
    made = five.json(
        "rollout", "start", "app", "0.2.0", "--select", "id=box-*", "--waves", "1,100%",
        "--gate", "soak=60", "--abort", "ROLLED_BACK:50:2", "--abort", "ALL:90:3",
    )  # fmt: skip
    assert (made["devices"], made["already"]) == (5, 0)
    name = made["rollout"]
    assert five.advance(name) == "1 device, 0 at work"
    (first,) = five.store.execute("SELECT device FROM jobs")
    five.answer(first["device"], "IN_PROGRESS", step="DOWNLOADING")
    five.answer(first["device"], "SUCCEEDED", step="SOAKING")
    assert five.advance(name) == "soak, 60 s left"
    now = state(five.store, name, NOW)
    assert line(now) == "app 0.2.0 RUNNING: 1: 1/1  100%: 0/4; soak, 60 s left"
    assert picture(now).renderables
    (listed,) = five.json("rollout", "list")
    assert (listed["wave"], listed["jobs"]) == (0, {"SUCCEEDED": 1})
    five.advance(name, NOW + 60)
    for row in five.store.execute("SELECT device FROM jobs WHERE status = 'QUEUED'"):
        five.answer(row["device"], "FAILED", step="ROLLED_BACK", reason="crashed")
    five.advance(name, NOW + 61)
    said = five.run("rollout", "list")
    assert "HALTED" in said
    assert five.json("status")["rollouts"][0]["reason"].startswith("ROLLED_BACK: 3 of 4")
    assert main(["rollout", "watch", name, "--fleet", str(five.folder)]) == 1, "it did not succeed"
    assert "(3 failed)" in line(state(five.store, name, NOW + 61))
    assert "works on one that is" in five.fails("rollout", "resume", name)
    jobs = five.json("devices", "show", first["device"])["jobs"]
    assert jobs[0]["status"] == "SUCCEEDED"


def test_moves(five: Desk) -> None:
    name = five.json("rollout", "start", "models", "0.2.0", "--tag", "none")["rollout"]
    assert five.json("rollout", "pause", name[:4])["status"] == "PAUSED"
    assert "is PAUSED" in five.fails("rollout", "pause", name)
    five.run("rollout", "resume", name)
    five.run("rollout", "abort", name)
    for act in ("pause", "resume", "abort"):
        assert "is CANCELED" in five.fails("rollout", act, name)
    assert "There is no roll-out" in five.fails("rollout", "pause", "zzz")
    assert main(["rollout", "watch", "last", "--json", "--fleet", str(five.folder)]) == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("app", "1.2"), "version"),
        (("app", "0.2.0", "--waves", "50%,10%"), "waves must rise"),
        (("app", "0.2.0", "--waves", "x"), "no wave"),
        (("app", "0.2.0", "--abort", "ALL"), "no abort rule"),
        (("app", "0.2.0", "--gate", "soak"), "no gate"),
        (("app", "0.2.0", "--gate", "SOME=5"), "gates.failed"),
        (("app", "0.2.0", "--gate", "loud=5"), "gates.loud"),
        (("app", "0.2.0", "--timeout", "1"), "timeout"),
        (("app", "0.2.0", "--select", "color=red"), "no column"),
        (("app", "0.2.0", "--device", "a b"), "left over"),
    ],
)
def test_what_cannot_be_rolled_out(desk: Desk, words: tuple[str, ...], why: str) -> None:
    assert why in desk.fails("rollout", "start", *words)
    assert not desk.store.execute("SELECT * FROM rollouts")


def test_only_what_is_published_is_rolled_out(
    five: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "COST", 2**8)  # else seconds for each key that is opened
    repository = Repository(tmp_path)
    repository.folder.mkdir()
    url = (five.folder / "fleet.toml").read_text()
    (repository.folder / "fleet.toml").write_text(url)
    five.folder = repository.folder
    repository.run("keys", "init")
    repository.run("repo", "init")
    assert "no device could get it" in five.fails("rollout", "start", "app", "0.3.0")
    repository.release("app", "0.3.0")
    five.run("rollout", "start", "app", "0.3.0")
    assert "no device could get it" in five.fails("rollout", "start", "models", "0.3.0")
    five.run("rollout", "start", "models", "0.3.0", "--force")
    (repository.folder / "repository" / "metadata" / "timestamp.json").write_text("{}")
    assert "timestamp.json" in five.fails("rollout", "start", "app", "0.3.0")


def test_selections_join(five: Desk) -> None:
    five.run("tag", "box-0", "box-1", "+x")
    made = five.json("rollout", "start", "app", "0.2.0", "--tag", "x", "--device", "box-1",
                     "--device", "box-2")  # fmt: skip
    assert made["devices"] == 1
    (row,) = five.store.execute("SELECT selection FROM rollouts")
    assert row["selection"] == "(tag=x) and (id=box-1 or id=box-2)"


def test_health_after_the_update_is_compared_with_health_before(five: Desk) -> None:
    def health(device: str, at: int, perception: str) -> None:
        five.store.execute(
            "INSERT INTO health (device, received, perception, fps, power, memory, disk, waiting,"
            " trimmed, clock) VALUES (?, ?, ?, 30, 'good', 64, 'ample', 0, 0, 'none')",
            (device, at, perception),
        )

    made = five.json("rollout", "start", "app", "0.2.0", "--waves", "4,100%",
                     "--gate", "soak=60", "--gate", "within=300")  # fmt: skip
    name = made["rollout"]
    for device, earlier, later in (
        ("box-0", "running", "stalled"),
        ("box-1", "absent", "absent"),
        ("box-2", "running", "quiet"),
        ("box-3", "stalled", "running"),
    ):
        health(device, NOW - 100, earlier)
        health(device, NOW + 100, later)
    five.advance(name)
    for number in range(4):
        five.answer(f"box-{number}", "SUCCEEDED")
    assert five.advance(name, NOW + 200) == (
        "3 of 4 updated devices are well, 90% wanted, 100 s left"
    )
    health("box-0", NOW + 250, "running")
    assert five.advance(name, NOW + 260) == "1 device to come online"


def test_a_device_that_gives_every_job_back_is_given_up(five: Desk) -> None:
    name = five.json("rollout", "start", "app", "0.2.0", "--device", "box-0", "--waves", "100%")[
        "rollout"
    ]
    for _ in range(rollouts.MAX_TRIES):
        assert five.advance(name) == "1 device, 0 at work"
        five.answer("box-0", "CANCELED", reason="canceled")
    five.advance(name)
    assert five.json("rollout", "list")[0]["status"] == "HALTED"
    assert len(five.store.execute("SELECT * FROM jobs")) == rollouts.MAX_TRIES


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    for verb in ("control", "status", "devices", "tag", "group", "config", "rollout"):
        assert verb in said
    with pytest.raises(SystemExit):
        main(["rollout", "start", "--help"])
    assert "1%,10%,50%,100%" in capsys.readouterr().out
