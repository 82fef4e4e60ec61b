"""The line of `fleeting check` about traces."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.base.config import AgentConfig
from agent.base.errors import ConfigError
from agent.base.settings_file import parse
from agent.desk.check_traces import traces
from agent.perceive.traces.recorder import PUBLIC
from agent.perceive.traces.sealed import fingerprint, raw
from tests.desk.review.made import device


@pytest.fixture
def key() -> X25519PrivateKey:
    return X25519PrivateKey.generate()


def config(folder: Path, policy: str = "research-consented", most: int = 10**6) -> AgentConfig:
    return parse(
        {
            "device": {"region": "other", "place": "laboratory"},
            "privacy": {"policy": policy},
            "store": {"outbox": str(folder / "store" / "outbox.db")},
            "research": {
                "traces": str(folder / "traces"), "key": str(folder / "r.pub"), "max_bytes": most,
            },
        },
        "x",
    )  # fmt: skip


def test_what_is_kept_is_said(tmp_path: Path, key: X25519PrivateKey) -> None:
    assert traces(parse({}, "x")) == (True, "none are kept (research.traces)", "")
    ok, detail, _ = traces(config(tmp_path))
    assert (ok, "cannot be read" in detail) == (False, True)
    (tmp_path / "r.pub").write_text(PUBLIC + raw(key.public_key()).hex() + "\n")
    ok, detail, advice = traces(config(tmp_path))
    assert (ok, "is not there" in detail, "install -d -m 0700" in advice) == (False, True, True)
    device(tmp_path / "traces", key)
    ok, detail, _ = traces(config(tmp_path))
    assert ok
    assert "2 sessions" in detail
    assert fingerprint(key.public_key()).hex() in detail
    (tmp_path / "traces" / f"{'ab' * 16}-1.trace").write_bytes(bytes(10**6))
    ok, _, advice = traces(config(tmp_path))
    assert (ok, "Nothing more is kept" in advice) == (False, True)
    (tmp_path / "traces").chmod(0o750)
    ok, _, advice = traces(config(tmp_path))
    assert (ok, advice.startswith("chmod 700")) == (False, True)


def test_where_the_policy_refuses_them_so_does_the_check(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="admits no such thing"):
        traces(config(tmp_path, "medical-safety"))
