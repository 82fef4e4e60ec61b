"""Metadata changed at random: without a key, byte by byte; with one, in any value that is signed.
A device answers with a named refusal or with what the fleet released, never with anything else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical

from agent.update.errors import UpdateError
from tests.update.conftest import Device
from tests.update.repository_simulator import RepositorySimulator
from tests.update.sources import FolderSource
from tests.update.test_attacks import EVERY, name_of

FLEET = RepositorySimulator()
"""Never changed: one for all examples."""
FILES = {"root": "metadata/1.root.json", **{role: name_of(FLEET, role) for role in EVERY}}
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.text(max_size=20)
    | st.sampled_from(["app", "models", "root", "sha256", "../x", "2099-01-01T00:00:00Z", "app/*"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture
def looks(tmp_path: Path) -> Any:
    """What a new device makes of these files."""
    stick = tmp_path / "stick"
    stick.mkdir()
    count = 0

    def look(files: dict[str, bytes]) -> str | None:
        nonlocal count
        count += 1
        source = FolderSource(stick)
        source.serve(files)
        place = tmp_path / str(count)
        place.mkdir()
        device = Device(place, FLEET.root_bytes, source)
        try:
            device.installs()
            return None
        except UpdateError as error:
            found = error
        # Whatever was served is not repeated to the log.
        assert len(str(found)) < 400
        assert str(found).isprintable()
        return found.reason

    return look


REFUSED = {"untrusted", "unlisted", "kind", "base", "floor", "too_large", "download", "disk_full"}


@pytest.mark.slow
@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    role=st.sampled_from(["root", *EVERY]),
    at=st.floats(0, 1),
    cut=st.integers(0, 40),
    put=st.binary(max_size=40),
)
def test_bytes_changed_without_a_key(
    looks: Any, role: str, at: float, cut: int, put: bytes
) -> None:
    data = FLEET.served[FILES[role]]
    begin = int(at * len(data))
    changed = data[:begin] + put + data[begin + cut :]
    name = "metadata/2.root.json" if role == "root" else FILES[role]
    assert looks({**FLEET.served, name: changed}) in (
        {"untrusted", None} if changed == data or role != "root" else {"untrusted"}
    )


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    found = [path]
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[path[0]] = replaced(value[path[0]], path[1:], new)
    return changed


@pytest.mark.slow
@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(role=st.sampled_from(["root", *EVERY]), data=st.data(), new=json_values)
def test_values_changed_by_who_has_the_keys(
    looks: Any, role: str, data: st.DataObject, new: Any
) -> None:
    """A stolen key signs anything at all, and all above it follows."""
    signed = json.loads(FLEET.served[FILES[role]])["signed"]
    changed = replaced(signed, data.draw(st.sampled_from(places(signed))), new)
    if role == "root" and isinstance(changed, dict) and changed.get("version") == 1:
        changed["version"] = 2
    try:
        payload = encode_canonical(changed)
        assert payload is not None
        signatures = [
            FLEET.signers[role][n].sign(payload.encode()).to_dict()
            for n in range(len(FLEET.signers[role]))
        ]
    except Exception:  # what cannot be canonical JSON cannot be signed
        signatures = []
    whole = json.dumps({"signatures": signatures, "signed": changed}).encode()
    name = "metadata/2.root.json" if role == "root" else FILES[role]
    found = looks({**FLEET.served, name: whole})
    assert found is None or found in REFUSED, found
