"""Where traces may be kept: one policy, with a key, out of the uplink's sight, and never by wish of
a fleet."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from agent.base.config import AgentConfig, remote_fields
from agent.base.errors import ConfigError
from agent.base.settings_file import parse
from agent.base.vocabulary import PolicyName
from agent.privacy.policy.research import keeps_traces, refuse_unless_admitted
from agent.privacy.policy.rules import PROFILES, resolve

HERE = Path(__file__).resolve()


def settings(
    folder: Path, policy: str = "research-consented", more: dict[str, Any] | None = None,
    **research: Any,
) -> AgentConfig:  # fmt: skip
    place = PROFILES[policy].places[0]  # type: ignore[index]
    return parse(
        {
            "device": {"region": "other", "place": place},
            "privacy": {"policy": policy, "consent": True, "notice_shown": True},
            "store": {"outbox": str(folder / "store" / "outbox.db")},
            "research": {
                "traces": str(folder / "traces"), "key": str(folder / "key"), **research,
            },
            **(more or {}),
        },
        "x",
    )  # fmt: skip


def test_a_consented_study_may_keep_them(tmp_path: Path) -> None:
    config = settings(tmp_path)
    resolve(config)
    assert keeps_traces(config)


@pytest.mark.parametrize("policy", [name for name in PROFILES if name != "research-consented"])
def test_every_other_policy_refuses_to_start(tmp_path: Path, policy: PolicyName) -> None:
    config = settings(tmp_path, policy)
    assert not keeps_traces(config)
    for live in (True, False):
        with pytest.raises(ConfigError, match="admits no such thing"):
            resolve(config, live)
    resolve(settings(tmp_path, policy, traces=None, key=None))


def test_a_key_is_needed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"without research\.key"):
        resolve(settings(tmp_path, key=None))


def test_what_the_site_leaves_out_is_not_kept_by_a_side_door(tmp_path: Path) -> None:
    """Cells as a profile file leaves them."""
    with pytest.raises(ConfigError, match="leaves out valence, arousal, micro"):
        refuse_unless_admitted(settings(tmp_path), ("visits", "expression"))


@pytest.mark.parametrize(
    "place", ["store", "store/traces", ".", "update", "update/a", "jobs", "keys", "link"]
)
def test_no_place_that_the_uplink_or_the_updater_sees(tmp_path: Path, place: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "store")
    more = {
        "update": {"folder": str(tmp_path / "update"), "exchange": str(tmp_path / "jobs")},
        "store": {
            "outbox": str(tmp_path / "store" / "outbox.db"),
            "receipt_key": str(tmp_path / "keys" / "receipt.key"),
        },
    }
    with pytest.raises(ConfigError, match="folder of its own"):
        resolve(settings(tmp_path, more=more, traces=str(tmp_path / place)))


@pytest.mark.parametrize("place", ["/usr/lib/traces", "/etc/traces", "/", sys.prefix,
                                   str(HERE.parents[3] / "agent" / "traces")])  # fmt: skip
def test_no_place_of_the_system_or_the_installation(tmp_path: Path, place: str) -> None:
    with pytest.raises(ConfigError, match="folder of its own"):
        resolve(settings(tmp_path, traces=place))


def test_no_fleet_can_ask_for_them() -> None:
    assert not [path for path in remote_fields() if path.startswith("research")]
