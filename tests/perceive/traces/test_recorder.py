"""From faces to lines: what is kept, what never is, and what goes wrong."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.base.errors import ConfigError
from agent.base.settings_file import parse
from agent.base.types import ACTION_UNITS
from agent.desk.review.unseal import unseal
from agent.perceive.traces import recorder as module
from agent.perceive.traces import sealed
from agent.perceive.traces.recorder import PUBLIC, read_public, recorder_for
from agent.perceive.traces.session import end_session, open_session, parts_of, withdraw
from agent.vision.micro.channels import CHANNEL_NAMES
from tests.perceive.traces.made import Clocks, face, frame, movement, opened, recorder

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def key() -> X25519PrivateKey:
    return X25519PrivateKey.generate()


def lines(path: Path, key: X25519PrivateKey) -> list[dict[str, Any]]:
    part = unseal(path, key)
    text = b"".join(zlib.decompress(chunk) for chunk in part.chunks)
    return [json.loads(line) for line in text.splitlines()]


def only(folder: Path) -> Path:
    (parts,) = parts_of(folder).values()
    (path,) = parts
    return path


def play(of: module.Recorder, clocks: Clocks, seconds: float, **faces: Any) -> None:
    """Thirty frames a second of one face whose expression is new in every fifth."""
    for n in range(round(seconds * 30)):
        clocks.boottime += 1 / 30
        of.add(frame(clocks.boottime, face(7, new=n % 5 == 0), **faces))


def test_without_a_session_nothing_is_written(tmp_path: Path, key: X25519PrivateKey) -> None:
    clocks = Clocks()
    of = recorder(tmp_path, key, clocks)
    play(of, clocks, 2)
    of.close()
    assert parts_of(tmp_path) == {}


def test_a_session_is_kept_with_what_a_face_did(tmp_path: Path, key: X25519PrivateKey) -> None:
    clocks = Clocks(trusted=True)
    _, session = opened(clocks)
    of = recorder(tmp_path, key, clocks)
    open_session(tmp_path, session)
    play(of, clocks, 3)
    of.add(frame(clocks.boottime, face(7), micro=(movement(7, clocks.boottime - 0.5),)))
    of.close()
    path = only(tmp_path)
    assert unseal(path, key).whole
    form, *said = lines(path, key)
    assert form["day"] == "2026-09-21"
    assert form["units"] == list(ACTION_UNITS)
    assert form["channels"] == list(CHANNEL_NAMES)
    faces = [each for each in said if "face" in each]
    assert set(faces[0]) == {"face", "t", "units", "valence", "arousal", "pose"}
    assert faces[0]["face"] == 1  # not the track's number
    assert 0 <= faces[0]["t"] < 0.6
    assert faces[0]["units"][:2] == [10, 17]
    assert (faces[0]["valence"], faces[0]["arousal"]) == (25, -50)
    assert faces[0]["pose"] == [10, -5, 0]
    (found,) = [each for each in said if "movement" in each]
    assert (found["score"], found["units"], found["polarity"]) == (80, ["AU01"], "surprise")
    begin, strip = found["strip"]
    assert begin < found["times"][0]
    assert len(strip[0]) == len(CHANNEL_NAMES)


def test_neither_place_nor_size_nor_shape_nor_time_of_day_is_kept(
    tmp_path: Path, key: X25519PrivateKey
) -> None:
    clocks = Clocks(trusted=True)
    _, session = opened(clocks)
    of = recorder(tmp_path, key, clocks)
    open_session(tmp_path, session)
    play(of, clocks, 2, micro=(movement(7, clocks.boottime + 1),))
    of.close()
    names: set[str] = set()
    for line in lines(only(tmp_path), key):
        names |= line.keys()
        assert not any(isinstance(each, (int, float)) and each > 10_000 for each in line.values())
    assert names <= {
        "form", "day", "version", "units", "channels", "step", "angle",
        "face", "t", "valence", "arousal", "pose",
        "movement", "times", "score", "intensity", "polarity", "strip",
    }  # fmt: skip


def test_what_began_before_the_session_is_left_out(tmp_path: Path, key: X25519PrivateKey) -> None:
    clocks = Clocks()
    of = recorder(tmp_path, key, clocks)
    play(of, clocks, 3)
    open_session(tmp_path, opened(clocks)[1])
    clocks.boottime += 1
    of.add(frame(clocks.boottime, face(7), micro=(movement(7, clocks.boottime - 0.3),)))
    of.close()
    assert not [each for each in lines(only(tmp_path), key) if "movement" in each]


def test_a_session_ends_by_its_time_by_hand_and_by_another_start(
    tmp_path: Path, key: X25519PrivateKey
) -> None:
    clocks = Clocks()
    of = recorder(tmp_path, key, clocks)
    open_session(tmp_path, opened(clocks, seconds=5)[1])
    play(of, clocks, 8)
    path = only(tmp_path)
    assert unseal(path, key).whole
    times = [each["t"] for each in lines(path, key) if "face" in each]
    assert 4 < times[-1] < 6
    open_session(tmp_path, opened(clocks)[1])
    play(of, clocks, 2)
    end_session(tmp_path)
    play(of, clocks, 2)
    assert len(parts_of(tmp_path)) == 2
    assert all(unseal(each[0], key).whole for each in parts_of(tmp_path).values())


def test_what_is_withdrawn_while_it_is_written_is_gone(
    tmp_path: Path, key: X25519PrivateKey
) -> None:
    clocks = Clocks()
    of = recorder(tmp_path, key, clocks)
    _, session = opened(clocks)
    open_session(tmp_path, session)
    play(of, clocks, 2)
    assert withdraw(tmp_path, session.name)
    play(of, clocks, 2)
    open_session(tmp_path, session)  # by somebody who does not know
    play(of, clocks, 2)
    of.close()
    assert parts_of(tmp_path) == {}


def test_a_restart_goes_on_in_another_part(tmp_path: Path, key: X25519PrivateKey) -> None:
    clocks = Clocks()
    open_session(tmp_path, opened(clocks)[1])
    for _ in range(2):
        of = recorder(tmp_path, key, clocks)
        play(of, clocks, 2)
        of.close()
        clocks.boottime += 60
    (parts,) = parts_of(tmp_path).values()
    first, second = ([each["t"] for each in lines(path, key) if "face" in each] for path in parts)
    assert first[-1] < 3
    assert 61 < second[0] < 64


def test_a_full_disk_costs_a_part_and_stops_nothing(
    tmp_path: Path,
    key: X25519PrivateKey,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clocks = Clocks()
    of = recorder(tmp_path, key, clocks)
    open_session(tmp_path, opened(clocks)[1])
    play(of, clocks, 12)
    real = os.fsync

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    play(of, clocks, 150)
    assert caplog.text.count("A trace cannot be written: No space left on device") == 1
    monkeypatch.setattr(os, "fsync", real)
    play(of, clocks, 70)
    of.close()
    (parts,) = parts_of(tmp_path).values()
    assert not unseal(parts[0], key).whole
    assert [each for each in lines(parts[0], key) if "face" in each]
    assert unseal(parts[-1], key).whole


_FILE_SIZE = """
import resource, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from agent.perceive.traces.session import open_session, parts_of
from tests.perceive.traces.made import *
key = X25519PrivateKey.from_private_bytes(bytes.fromhex({key!r}))
clocks, folder = Clocks(), Path({folder!r})
of = recorder(folder, key, clocks)
open_session(folder, opened(clocks)[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
for n in range(30 * 200):
    clocks.boottime += 1 / 30
    of.add(frame(clocks.boottime, *(face(each) for each in range(5))))
of.close()
"""


def test_a_write_that_stops_half_way_is_read_up_to_there(
    tmp_path: Path, key: X25519PrivateKey
) -> None:
    """The kernel takes part of a chunk and refuses the rest, as on a full disk."""
    program = _FILE_SIZE.format(
        root=str(ROOT), key=key.private_bytes_raw().hex(), folder=str(tmp_path)
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          timeout=120, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "File too large" in done.stderr
    (parts,) = parts_of(tmp_path).values()
    assert parts[0].stat().st_size == 20_000
    assert len(unseal(parts[0], key).chunks) > 1
    assert len(lines(parts[0], key)) > 100


_LIMIT = "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
_FOREVER = _FILE_SIZE.replace(_LIMIT, "").replace(
    "range(30 * 200)", "__import__('itertools').count()"
)


def test_a_killed_process_leaves_what_it_had_sealed(tmp_path: Path, key: X25519PrivateKey) -> None:
    program = _FOREVER.format(
        root=str(ROOT), key=key.private_bytes_raw().hex(), folder=str(tmp_path)
    )
    child = subprocess.Popen([sys.executable, "-c", program])
    try:
        while not any(path.stat().st_size > 20_000 for path in tmp_path.glob("*.trace")):
            assert child.poll() is None
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    path = only(tmp_path)
    part = unseal(path, key)
    assert not part.whole
    assert len(part.chunks) > 1
    # no more is lost than the chunk that was not finished
    assert path.stat().st_size - sum(len(each) + 20 for each in part.chunks) < 60_000


def test_there_is_a_most_of_all_traces(
    tmp_path: Path, key: X25519PrivateKey, caplog: pytest.LogCaptureFixture
) -> None:
    clocks = Clocks()
    of = recorder(tmp_path, key, clocks, most=3000)
    open_session(tmp_path, opened(clocks)[1])
    play(of, clocks, 200)
    of.close()
    assert caplog.text.count("research.max_bytes") == 1
    assert sum(path.stat().st_size for path in tmp_path.glob("*.trace")) < 6000


def test_the_public_key_must_be_one_that_nobody_else_may_change(
    tmp_path: Path, key: X25519PrivateKey
) -> None:
    path = tmp_path / "researcher.pub"
    path.write_text(f"{PUBLIC}{sealed.raw(key.public_key()).hex()}\n")
    assert sealed.raw(read_public(path)) == sealed.raw(key.public_key())
    path.chmod(0o666)
    with pytest.raises(ConfigError, match="may be changed by others"):
        read_public(path)
    path.chmod(0o644)
    for text in ("", "-----BEGIN PRIVATE KEY-----", f"{PUBLIC}12", f"{PUBLIC}{'zz' * 32}"):
        path.write_text(text)
        with pytest.raises(ConfigError, match="is no public key"):
            read_public(path)
    path.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        read_public(path)


@pytest.mark.parametrize(
    "policy", ["retail-eu", "retail-us-notice", "classroom", "medical-safety", "demo"]
)
def test_no_other_policy_has_a_recorder(tmp_path: Path, policy: str) -> None:
    """Even where the refusal at the start were missing."""
    config = parse(
        {
            "privacy": {"policy": policy},
            "research": {"traces": str(tmp_path), "key": str(tmp_path / "k")},
        },
        "x",
    )
    assert recorder_for(config, Clocks()) is None
    assert list(tmp_path.iterdir()) == []


def test_off_is_the_default(tmp_path: Path) -> None:
    assert recorder_for(parse({"privacy": {"policy": "research-consented"}}, "x"), Clocks()) is None
