"""Speech to text by a server of the package `wyoming`, honest and hostile."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from agent.base.errors import ConfigError
from agent.perceive.transcriber import MAX_FAILURES, Transcriber
from agent.perceive.transcription.__main__ import plain
from agent.perceive.transcription.messages import MAX_TEXT

SERVER = Path(__file__).with_name("wyoming_server.py")
pytestmark = pytest.mark.slow


@contextmanager
def server(path: Path, mode: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, str(SERVER), str(path), mode])
    try:
        until(path.exists)
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def talking(tmp_path: Path, mode: str) -> Iterator[Transcriber]:
    path = tmp_path / "wyoming.sock"
    with server(path, mode):
        transcriber = Transcriber(path)
        try:
            yield transcriber
        finally:
            transcriber.close()


def until(happened: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def say(transcriber: Transcriber, seconds: float = 1.0) -> None:
    transcriber.start()
    tone = np.sin(np.arange(int(16_000 * seconds), dtype=np.float32) / 10)
    for part in np.array_split(tone, 10):
        transcriber.send(part)
    transcriber.stop()


def told(transcriber: Transcriber, failures: int) -> bool:
    assert transcriber.poll() == []
    return transcriber.failures.total() >= failures


def texts(transcriber: Transcriber, count: int) -> list[str]:
    found: list[str] = []

    def enough() -> bool:
        found.extend(transcriber.poll())
        return len(found) >= count or transcriber.failed is not None

    until(enough)
    return found


@pytest.mark.parametrize("mode", ["close", "stay"])
def test_each_stretch_gets_its_text(tmp_path: Path, mode: str) -> None:
    with talking(tmp_path, mode) as transcriber:
        for seconds in (1.0, 0.5, 2.0):
            say(transcriber, seconds)
            assert texts(transcriber, 1) == [f"heard {int(16_000 * seconds)} samples"]
        assert transcriber.failed is None
        assert not transcriber.failures
        assert transcriber.lost_samples == 0


def test_samples_that_are_no_numbers_or_too_loud_are_sent_clipped(tmp_path: Path) -> None:
    with talking(tmp_path, "close") as transcriber:
        transcriber.start()
        transcriber.send(np.array([np.nan, np.inf, -np.inf, 7.0], np.float32))
        transcriber.stop()
        assert texts(transcriber, 1) == ["heard 4 samples"]


def test_a_long_text_is_cut_and_loses_its_control_characters(tmp_path: Path) -> None:
    with talking(tmp_path, "long") as transcriber:
        say(transcriber)
        (text,) = texts(transcriber, 1)
        assert text.startswith("heard 16000 samples")
        assert text.isprintable()
        assert MAX_TEXT - 4 < len(text.encode()) <= MAX_TEXT


def test_half_a_letter_is_not_passed_on() -> None:
    assert plain("é" * 600).decode() == "é" * (MAX_TEXT // 2)
    assert plain("a\ud800b\x00c\u202ed") == b"a b c d"


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("endless_header", "too_long"),
        ("huge_data", "too_long"),
        ("huge_payload", "too_long"),
        ("negative", "malformed"),
        ("not_json", "malformed"),
        ("not_object", "malformed"),
        ("deep", "malformed"),
        ("no_text", "malformed"),
        ("chatter", "too_long"),
        ("vanish", "closed"),
    ],
)
def test_a_hostile_server_is_named_and_given_up(tmp_path: Path, mode: str, name: str) -> None:
    with talking(tmp_path, mode) as transcriber:
        for count in range(1, MAX_FAILURES + 1):
            assert transcriber.failed is None
            say(transcriber)
            until(partial(told, transcriber, count))
        assert transcriber.failures == {name: MAX_FAILURES}
        assert transcriber.failed == name
        say(transcriber)
        assert transcriber.poll() == []


def test_a_server_that_hangs_holds_nobody_up(tmp_path: Path) -> None:
    """A minute of speech while it says nothing: what does not fit is lost and counted."""
    with talking(tmp_path, "hang") as transcriber:
        say(transcriber)
        before = time.process_time()
        for _ in range(30):
            say(transcriber, 2.0)
            assert transcriber.poll() == []
        assert time.process_time() - before < 10
        assert transcriber.lost_samples > 0


def test_a_server_that_is_gone_is_named(tmp_path: Path) -> None:
    path = tmp_path / "wyoming.sock"
    with server(path, "close"):
        transcriber = Transcriber(path)
    for _ in range(MAX_FAILURES):
        say(transcriber, 0.1)
    assert texts(transcriber, 1) == []
    assert transcriber.failed == "no_server"
    transcriber.close()


def test_the_other_process_ends_with_this_one_or_is_missed(tmp_path: Path) -> None:
    with talking(tmp_path, "close") as transcriber:
        say(transcriber)
        texts(transcriber, 1)
        os.kill(transcriber._child.pid, signal.SIGKILL)
        until(lambda: transcriber.poll() == [] and transcriber.failed)
        assert transcriber.failed == "ended"
        say(transcriber)


def test_only_a_unix_socket_of_this_machine_will_do(tmp_path: Path) -> None:
    ordinary = tmp_path / "file"
    ordinary.write_text("x")
    for path in (Path("tcp://localhost:10300"), Path("unix:///run/x"), ordinary, tmp_path / "no"):
        with pytest.raises(ConfigError, match=r"words\.wyoming"):
            Transcriber(path)


def test_without_the_package_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "wyoming.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(ConfigError, match=r"\[speech\]"):
            Transcriber(path)


_SEALED = """
import socket, sys
from pathlib import Path
from agent.perceive.transcriber import Transcriber
from agent.host.sandbox.enter import restrict_perceive

server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen(1)
transcriber = Transcriber(Path(sys.argv[1]))
child = transcriber._child.pid
restrict_perceive([])
transcriber.start()
transcriber.stop()
transcriber.close()
print(child)
"""


def test_it_is_closed_from_inside_the_sandbox_and_its_process_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SEALED, str(tmp_path / "server.sock")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    child = int(done.stdout)

    def gone() -> bool:
        state = Path(f"/proc/{child}/stat")
        return not state.exists() or state.read_text().split(")")[1].split()[0] == "Z"

    until(gone)
