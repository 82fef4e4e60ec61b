"""From the camera's place to the coder's: the real process in its sandbox, on the bundled clip."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.base.assets import CLIP
from agent.base.errors import ConfigError
from agent.base.settings_file import load
from agent.base.types import Perceived
from agent.base.vocabulary import PolicyName
from agent.cli import main
from agent.desk.review import keys
from agent.desk.review.study import Study
from agent.perceive.process import perceive
from agent.perceive.traces.session import parts_of
from agent.privacy.policy.rules import PROFILES

pytestmark = pytest.mark.slow
WORDS = "a passphrase for tests"


def device(folder: Path, policy: str = "research-consented", *, traces: bool = True) -> Path:
    """A configuration, and the key that it names."""
    place = PROFILES[policy].places[0]  # type: ignore[index]
    (folder / "traces").mkdir(mode=0o700, exist_ok=True)
    public = folder / "keys" / keys.PUBLIC_NAME
    if not public.exists():
        keys.make(folder / "keys", WORDS.encode(), 2**10)
    text = (
        f'[device]\nregion = "other"\nplace = "{place}"\n[source]\nkind = "file"\n'
        f'target = "{CLIP}"\npace = "fast"\n'
        f'[privacy]\npolicy = "{policy}"\nconsent = true\nnotice_shown = true\n'
        f'[store]\noutbox = "{folder / "store" / "outbox.db"}"\n'
    )
    if traces:
        text += f'[research]\ntraces = "{folder / "traces"}"\nkey = "{public}"\n'
    path = folder / f"{policy}-{traces}.toml"
    path.write_text(text)
    return path


Told = Callable[..., Any]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """What an action of `fleeting review` prints as JSON."""

    def run(*words: object) -> Any:
        capsys.readouterr()
        code = main(["review", *map(str, words), "--json"])
        said = capsys.readouterr()
        assert code == 0, said.err
        return json.loads(said.out)

    return run


def started(config: Path, **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "agent.cli", "perceive", "--config", str(config)],
        stderr=subprocess.PIPE, text=True, **more,
    )  # fmt: skip


def look(config: Path) -> None:
    """A second of the clip, in this process, as any configuration does it."""
    stop, seen = threading.Event(), itertools.count()

    def enough(_: Perceived) -> None:
        if next(seen) > 30:
            stop.set()

    perceive(load(config), stop=stop, observer=enough)


def test_a_participant_s_way(tmp_path: Path, told: Told) -> None:
    config = device(tmp_path)
    opened = told("session", "--config", config)
    child = started(config)
    _, log = child.communicate(timeout=600)
    assert child.returncode == 0, log
    assert "Network closed, writing confined" in log
    assert "A traced session began" in log
    assert "Unexpected" not in log
    (path,) = parts_of(tmp_path / "traces")[opened["session"]]
    data = path.read_bytes()
    assert b"AU12" not in data
    assert not any(each.name.endswith(".trace") for each in (tmp_path / "store").iterdir())

    study, passphrase = tmp_path / "study", tmp_path / "pass"
    passphrase.write_text(WORDS)
    passphrase.chmod(0o600)
    key = ("--key", tmp_path / "keys" / keys.PRIVATE_NAME, "--passphrase-file", passphrase)
    assert told("import", tmp_path / "traces", study)["copied"] == 1
    out = tmp_path / "out"
    (table,) = told("export", study, "--format", "openface", "--out", out, *key)["files"]
    rows = Path(table).read_text().splitlines()
    assert len(rows) > 50
    assert "AU12_r" in rows[0]
    (events,) = told("export", study, "--format", "bids", "--out", out, *key)["files"]
    assert len(Path(events).read_text().splitlines()) > 3
    assert told("log", study, "--verify")["lines"] == 3

    code = opened["code"]
    assert told("withdraw", code, "--config", config)["deleted"] == {str(tmp_path / "traces"): 1}
    assert told("withdraw", code, study)["deleted"] == {str(study): 1}
    path.write_bytes(data)  # an old copy turns up
    assert told("import", tmp_path / "traces", study)["refused"] == 1
    look(config)  # deleted at the start
    assert parts_of(tmp_path / "traces") == {}


@pytest.mark.parametrize("policy", [name for name in PROFILES if name != "research-consented"])
def test_no_other_policy_writes_a_trace(tmp_path: Path, told: Told, policy: PolicyName) -> None:
    """Though a session is open and the setting asks for it."""
    told("session", "--config", device(tmp_path))
    before = sorted((tmp_path / "traces").iterdir())
    with pytest.raises(ConfigError, match="admits no such thing"):
        look(device(tmp_path, policy))
    assert main(["review", "session", "--config", str(device(tmp_path, policy))]) == 78
    look(device(tmp_path, policy, traces=False))
    assert sorted((tmp_path / "traces").iterdir()) == before


def test_the_policy_alone_writes_no_trace(tmp_path: Path, told: Told) -> None:
    told("session", "--config", device(tmp_path))
    look(device(tmp_path, traces=False))
    assert parts_of(tmp_path / "traces") == {}
    look(device(tmp_path))
    assert len(parts_of(tmp_path / "traces")) == 1


def test_a_killed_process_loses_at_most_the_last_seconds(tmp_path: Path, told: Told) -> None:
    config = device(tmp_path)
    opened = told("session", "--config", config)
    child = started(config)
    try:
        while not any(each.stat().st_size > 2000 for each in (tmp_path / "traces").glob("*.trace")):
            assert child.poll() is None
            time.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    key = keys.load(tmp_path / "keys" / keys.PRIVATE_NAME, WORDS.encode())
    (session,) = Study(tmp_path / "traces", key).open()
    assert session.name == opened["session"]
    assert "part 1 was cut off" in session.notes
    assert sum(len(face.times) for face in session.faces.values()) > 10


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("review", "nowhere", "--rater", "a"), "no folder"), (("review", "."), "--rater"),
        (("review", ".", "b", "--rater", "a"), "one too many"), (("review", "keys"), "--out"),
        (("review", "withdraw"), "CODE"), (("review", "import", "x"), "FROM FOLDER"),
        (("review", "import", "x", "y"), "no folder x"), (("review", "export", "x"), "--format"),
        (("review", "agreement"), "which study"), (("review", "log"), "which study"),
        (("review", ".", "--rater", "A B"), "names no rater"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(list(words)) == 1
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
