"""Traces of a study never go near what sends: by imports, by the sandbox, by the units."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from agent.base.assets import CLIP
from agent.base.config import AgentConfig
from agent.base.schemas import registry
from agent.base.settings_file import parse
from agent.desk.audit._expected import FILES, may_appear
from agent.desk.demo import configuration
from agent.privacy.policy.research import keeps_traces
from tests.contracts.test_layers import LAYERS, MODULES, imports, row
from tests.contracts.test_refused import names
from tests.contracts.test_systemd import RENEW, UNITS, UPDATE, settings
from tests.host.sandbox.conftest import Inside, inside

__all__ = ["inside"]
FOLDER = "/var/lib/fleeting-traces"
SENDS = {"wall", "host", "uplink", "update"}


def test_no_room_that_sends_knows_traces_and_traces_know_none() -> None:
    assert not SENDS & LAYERS["perceive.traces"]
    users = {name for name, may in LAYERS.items() if "perceive.traces" in may}
    assert users == {"perceive", "desk"}
    for module, path in MODULES.items():
        found = {name for _, name in imports(path)}
        if row(module) == "perceive.traces":
            assert not {name for name in found if row(name) in SENDS}, module
            assert not {"socket", "sqlite3"} & {name.split(".")[0] for name in found}, module
        if row(module) in SENDS:
            assert not {name for name in found if "traces" in name}, module
            assert "research" not in {
                node.attr for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Attribute)
            }, module  # fmt: skip


def test_no_message_has_a_field_of_them() -> None:
    messages = registry.MESSAGES | registry.HEARING
    said = {name for message in messages for name in names(registry.build(message))}
    found = {name for name in said if "trace" in name or "research" in name}
    assert found == {"research-consented"}  # the policy's name


def test_the_units_show_them_to_one_service_only() -> None:
    def listed(unit: str, key: str) -> list[str]:
        return " ".join(value for name, value in settings(unit) if name == key).split()

    assert f"-{FOLDER}" in listed(UNITS[0], "ReadWritePaths")
    for unit in (UNITS[1], UPDATE, RENEW[0]):
        assert f"-{FOLDER}" in listed(unit, "InaccessiblePaths"), unit
        assert f"-{FOLDER}" not in listed(unit, "ReadWritePaths"), unit


_LOOK = """
folder = Path({folder!r})
from agent.uplink.process import _enter_sandbox
from agent.base.assets import CLIP
from agent.base.settings_file import load
found = _enter_sandbox(load(Path({config!r})), [])
emit(
    layers=found.layers,
    read=code(lambda: (folder / "a.trace").read_bytes()),
    listed=code(lambda: os.listdir(folder)),
    written=code(lambda: (folder / "b.trace").write_bytes(b"")),
    own=code(lambda: os.listdir({outbox!r})),
)
"""


@pytest.fixture
def study(tmp_path: Path) -> tuple[AgentConfig, Path]:
    """A configuration that keeps traces, and its file."""
    for name in ("store", "traces", "warden", "receipts"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "traces" / "a.trace").write_bytes(b"secret")
    said: dict[str, Any] = {
        "device": {"region": "other", "place": "laboratory"},
        "privacy": {"policy": "research-consented", "consent": True},
        "store": {
            "outbox": str(tmp_path / "store" / "outbox.db"),
            "warden": str(tmp_path / "warden" / "warden.json"),
            "receipt_key": str(tmp_path / "receipts" / "receipt.key"),
        },
        "research": {"traces": str(tmp_path / "traces"), "key": str(tmp_path / "key.pub")},
    }
    path = tmp_path / "fleeting.toml"
    path.write_text(
        "".join(
            f"[{section}]\n" + "".join(
                f"{key} = {str(value).lower() if value is True else repr(value)}\n"
                for key, value in each.items()
            )
            for section, each in said.items()
        )
    )  # fmt: skip
    return parse(said, "x"), path


def test_the_uplink_s_own_sandbox_sees_none(
    inside: Inside, study: tuple[AgentConfig, Path]
) -> None:
    config, path = study
    folder = config.research.traces
    found = inside(
        _LOOK.format(folder=str(folder), config=str(path), outbox=str(config.store.outbox.parent))
    )
    if "landlock" not in found["layers"]:
        pytest.skip("this kernel has no Landlock")
    assert (found["read"], found["listed"], found["written"]) == (13, 13, 13)
    assert found["own"] == 0
    assert folder is not None
    assert [each.name for each in folder.iterdir()] == ["a.trace"]


def test_the_audit_keeps_none_and_would_find_one(tmp_path: Path) -> None:
    """Its lists of what an honest build writes know no such file."""
    config = configuration(CLIP, tmp_path / "outbox.db", 1883)
    assert not keeps_traces(config)
    name = "ab" * 16 + "-1.trace"
    for folder in ("outbox", "home", "tmp", "cwd", "traces"):
        assert not may_appear(f"{folder}/{name}")
        assert not [rule for rule in FILES if re.fullmatch(rule.names, f"{folder}/{name}")]
