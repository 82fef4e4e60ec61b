"""The attacks that the TUF specification (1.0, section 1.5.2) and its client workflow (section 5)
name, by an attacker who holds the server or some keys: each refused with its reason, and afterwards
the device goes on with honest metadata."""

from __future__ import annotations

import datetime as dt
import json
import time
from urllib.parse import quote

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import DelegatedRole, MetaFile

from agent.update.errors import UpdateError
from tests.update.conftest import Device
from tests.update.repository_simulator import RepositorySimulator, altered, archive_of, day
from tests.update.sources import WebSource

PATH = "app/app-0.2.0.tar.gz"
EVERY = ["timestamp", "snapshot", "targets", "app"]


def name_of(fleet: RepositorySimulator, role: str) -> str:
    """Where the role's newest metadata is served."""
    if role == "timestamp":
        return "metadata/timestamp.json"
    return f"metadata/{fleet.roles[role].version}.{role}.json"


def target_of(fleet: RepositorySimulator, path: str = PATH) -> str:
    kind, _, name = path.partition("/")
    return f"targets/{kind}/{fleet.roles[kind].targets[path].hashes['sha256']}.{name}"


# Arbitrary software installation


@pytest.mark.parametrize("role", EVERY)
def test_metadata_that_somebody_else_signed_is_refused(
    device: Device, fleet: RepositorySimulator, role: str
) -> None:
    forged = fleet.signed(role, [CryptoSigner.generate_ed25519()])
    attack = {**fleet.served, name_of(fleet, role): forged}
    device.refuses_and_recovers("untrusted", attack, fleet.served, words="signatures")


@pytest.mark.parametrize("role", EVERY)
def test_metadata_that_was_altered_is_refused(
    device: Device, fleet: RepositorySimulator, role: str
) -> None:
    name = name_of(fleet, role)
    later = altered(fleet.served[name], expires="2099-01-01T00:00:00Z")
    device.refuses_and_recovers("untrusted", {**fleet.served, name: later}, fleet.served)


@pytest.mark.parametrize("role", EVERY)
@pytest.mark.parametrize("left", [0, 1, 100, -1])
def test_truncated_metadata_is_refused(
    device: Device, fleet: RepositorySimulator, role: str, left: int
) -> None:
    name = name_of(fleet, role)
    attack = {**fleet.served, name: fleet.served[name][:left]}
    device.refuses_and_recovers("untrusted", attack, fleet.served, words="malformed")


def test_a_target_of_another_content_is_refused(device: Device, fleet: RepositorySimulator) -> None:
    data = bytearray(archive_of("app", "0.2.0"))
    data[1000] ^= 1
    attack = {**fleet.served, target_of(fleet): bytes(data)}
    device.refuses_and_recovers("untrusted", attack, fleet.served, words="not the file")


def test_a_shorter_target_is_refused(device: Device, fleet: RepositorySimulator) -> None:
    attack = {**fleet.served, target_of(fleet): archive_of("app", "0.2.0")[:-1]}
    device.refuses_and_recovers("untrusted", attack, fleet.served)


def test_a_longer_target_is_refused(device: Device, fleet: RepositorySimulator) -> None:
    attack = {**fleet.served, target_of(fleet): archive_of("app", "0.2.0") + b"!"}
    device.refuses_and_recovers("too_large", attack, fleet.served)


def test_a_missing_target_is_named(device: Device, fleet: RepositorySimulator) -> None:
    attack = dict(fleet.served)
    del attack[target_of(fleet)]
    device.refuses_and_recovers("download", attack, fleet.served, words="no such file")


# Rollback


def test_an_older_timestamp_is_refused(device: Device, fleet: RepositorySimulator) -> None:
    old = dict(fleet.served)
    honest = fleet.refresh()
    device.source.serve(honest)
    device.installs()
    device.refuses_and_recovers("untrusted", old, honest, words="version")


def test_an_older_snapshot_under_a_new_timestamp_is_refused(
    device: Device, fleet: RepositorySimulator
) -> None:
    """The timestamp's key is stolen."""
    fleet.publish()
    honest = dict(fleet.served)
    device.source.serve(honest)
    device.installs()
    fleet.roles["timestamp"].snapshot_meta = MetaFile(fleet.roles["snapshot"].version - 1)
    attack = fleet.refresh()
    device.refuses_and_recovers("untrusted", attack, honest, words="version")


@pytest.mark.parametrize("role", ["targets", "app", "models"])
def test_older_targets_under_a_new_snapshot_are_refused(
    device: Device, fleet: RepositorySimulator, role: str
) -> None:
    """Both online keys are stolen."""
    old = dict(fleet.served)
    device.source.serve(fleet.publish("targets", "app", "models"))
    device.installs()
    fleet.roles[role].version -= 1
    attack = {**old, **fleet.publish_as_they_are()}
    fleet.roles[role].version += 1
    honest = fleet.publish_as_they_are()
    device.refuses_and_recovers("untrusted", attack, honest, words="version")


def test_a_snapshot_that_leaves_a_role_out_is_refused(
    device: Device, fleet: RepositorySimulator
) -> None:
    device.installs()
    honest = fleet.publish()
    del fleet.roles["snapshot"].meta["models.json"]
    fleet.put("snapshot")
    attack = {**fleet.served}
    assert attack != honest
    device.refuses_and_recovers("untrusted", attack, honest)


def test_an_older_release_that_is_still_listed_is_refused_below_the_floor(
    device: Device, fleet: RepositorySimulator
) -> None:
    fleet.add("app", "0.3.0")
    device.source.serve(fleet.publish())
    device.installs(version="0.2.0")
    device.repository().raise_floor("app", "0.3.0")
    device.refuses("floor", version="0.2.0", words=r"0\.3\.0")
    device.installs(version="0.3.0")
    device.installs("models", "0.2.0")
    device.repository().raise_floor("app", "0.2.0")
    device.refuses("floor", version="0.2.0")


# Indefinite freeze


@pytest.mark.parametrize("role", [*EVERY, "root"])
def test_expired_metadata_is_refused(device: Device, fleet: RepositorySimulator, role: str) -> None:
    fleet.roles[role].expires = day(-0.01)
    if role == "root":
        fleet.next_root()
        device.source.serve(fleet.served)
        device.refuses("untrusted", words="expired")
        fleet.next_root(expires=day(365))
        device.source.serve(fleet.served)
        device.installs()
        return
    attack = fleet.publish("targets", "app", "models")
    device.source.serve(attack)
    device.refuses("untrusted", words="expired")
    device.refuses("untrusted", words="expired")
    fleet.roles[role].expires = day(7)
    device.source.serve(fleet.publish("targets", "app", "models"))
    device.installs()


@pytest.mark.slow
def test_old_files_replayed_for_ever_end_with_their_timestamp(
    device: Device, fleet: RepositorySimulator
) -> None:
    """A device that looked before looks again when the timestamp has run out: its own copy does
    not help the attacker."""
    soon = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(seconds=1)
    fleet.roles["timestamp"].expires = soon
    device.source.serve(fleet.refresh())
    device.installs()
    while dt.datetime.now(dt.UTC) <= soon:
        time.sleep(0.05)
    device.refuses("untrusted", words="expired")
    fleet.roles["timestamp"].expires = day(7)
    device.source.serve(fleet.refresh())
    device.installs()


def test_a_server_that_answers_nothing_is_an_error_and_no_silence(device: Device) -> None:
    device.source.serve({"metadata/1.txt": b"", "targets/1.txt": b""})
    device.refuses("download", words="incomplete")


# Mix-and-match


def test_an_older_snapshot_in_place_of_the_new_one_is_refused(
    device: Device, fleet: RepositorySimulator
) -> None:
    old = fleet.served[name_of(fleet, "snapshot")]
    honest = fleet.publish()
    attack = {**honest, name_of(fleet, "snapshot"): old}
    device.refuses_and_recovers("untrusted", attack, honest)


@pytest.mark.parametrize("role", ["targets", "app"])
def test_metadata_of_two_snapshots_is_not_mixed(
    device: Device, fleet: RepositorySimulator, role: str
) -> None:
    old = fleet.served[name_of(fleet, role)]
    fleet.add("app", "0.3.0")
    honest = fleet.publish("targets", "app", "models")
    attack = {**honest, name_of(fleet, role): old}
    device.refuses_and_recovers("untrusted", attack, honest)


def test_hashes_in_the_snapshot_hold(device: Device, fleet: RepositorySimulator) -> None:
    """Another file of the same version, signed by the right key: the snapshot names one of them."""
    fleet.roles["app"].version += 1
    right = fleet.signed("app")
    fleet.publish_as_they_are()
    app = fleet.roles["app"].version
    fleet.roles["snapshot"].meta["app.json"] = MetaFile.from_data(app, right, ["sha256"])
    fleet.roles["snapshot"].version += 1
    fleet.put("snapshot")
    fleet.roles["timestamp"].snapshot_meta = MetaFile(fleet.roles["snapshot"].version)
    honest = fleet.refresh()
    fleet.roles["app"].expires = day(80)
    attack = {**honest, name_of(fleet, "app"): fleet.signed("app")}
    device.refuses_and_recovers("untrusted", attack, honest, words="signed for")


# Wrong software installation: delegations


def test_the_key_for_models_lists_no_package(device: Device, fleet: RepositorySimulator) -> None:
    honest = fleet.publish()
    fleet.add("app", "0.9.0", role="models")
    attack = fleet.publish()
    device.source.serve(attack)
    device.refuses("unlisted", version="0.9.0")
    device.source.serve({**attack, **honest})
    device.refuses("untrusted", version="0.9.0")  # it is a rollback now
    device.source.serve(attack)
    device.installs("models")


def test_the_key_for_models_signs_nothing_for_the_package(
    device: Device, fleet: RepositorySimulator
) -> None:
    forged = fleet.signed("app", fleet.signers["models"])
    attack = {**fleet.served, name_of(fleet, "app"): forged}
    device.refuses_and_recovers("untrusted", attack, fleet.served, words="signatures")


def test_a_role_that_is_delegated_nowhere_is_not_asked(
    device: Device, fleet: RepositorySimulator
) -> None:
    fleet.add("app", "0.9.0", role="models", path="models/../app/app-0.9.0.tar.gz")
    device.source.serve(fleet.publish())
    device.refuses("unlisted", version="0.9.0")


def test_a_release_of_another_kind_is_refused(device: Device, fleet: RepositorySimulator) -> None:
    fleet.add("models", "0.3.0", custom={"kind": "app", "version": "0.3.0", "floor": "0.3.0",
                                         "base": "0" * 64})  # fmt: skip
    device.source.serve(fleet.publish())
    device.refuses("kind", "models", "0.3.0")
    device.installs("models", "0.2.0")


@pytest.mark.parametrize("name", ["../../evil", "..", "a/b", "/etc/x", "\n", "x" * 300])
def test_a_delegated_role_of_a_hostile_name_writes_nowhere_else(
    device: Device, fleet: RepositorySimulator, name: str
) -> None:
    """The targets key is stolen, and its thief names a role so that its file would lie outside."""
    before = {path for path in device.state.parent.rglob("*") if "stick" not in path.parts}
    targets = fleet.roles["targets"]
    honest = dict(targets.delegations.roles)
    evil = DelegatedRole(name, [], 1, terminating=True, paths=["app/*"])
    targets.delegations.roles = {name: evil, **targets.delegations.roles}
    targets.add_key(fleet.signers["app"][0].public_key, name)
    version, keys = fleet.roles["models"].version, fleet.signers["app"]
    fleet.roles["snapshot"].meta[f"{name}.json"] = MetaFile(version)
    attack = fleet.publish("targets")
    if isinstance(device.source, WebSource):
        attack[f"metadata/{version}.{quote(name, '')}.json"] = fleet.signed("models", keys)
    device.source.serve(attack)
    with pytest.raises(UpdateError) as caught:
        device.repository().find("app", "0.2.0")
    assert caught.value.reason in ("untrusted", "download", "unlisted")
    after = {path for path in device.state.parent.rglob("*") if "stick" not in path.parts}
    assert all(device.state in path.parents or path == device.state for path in after - before)
    assert name not in str(caught.value)
    targets.delegations.roles = honest
    device.source.serve(fleet.publish("targets"))
    device.installs()


# Key compromise


def test_a_root_below_its_threshold_is_refused(device: Device, fleet: RepositorySimulator) -> None:
    """One of three root keys is stolen."""
    fleet.roles["root"].version += 1
    attack = {
        **fleet.served,
        "metadata/2.root.json": fleet.signed("root", fleet.signers["root"][:1]),
    }
    device.refuses_and_recovers("untrusted", attack, fleet.served, words="signatures")


def test_one_signature_is_not_counted_twice(device: Device, fleet: RepositorySimulator) -> None:
    fleet.roles["root"].version += 1
    data = json.loads(fleet.signed("root", fleet.signers["root"][:1]))
    data["signatures"] *= 2
    attack = {**fleet.served, "metadata/2.root.json": json.dumps(data).encode()}
    device.refuses_and_recovers("untrusted", attack, fleet.served)


def test_a_threshold_of_a_delegated_role_is_kept(
    device: Device, fleet: RepositorySimulator
) -> None:
    second = CryptoSigner.generate_ed25519()
    fleet.roles["targets"].add_key(second.public_key, "app")
    fleet.roles["targets"].delegations.roles["app"].threshold = 2
    attack = fleet.publish("targets", "app")
    fleet.signers["app"].append(second)
    honest = fleet.publish("targets", "app")
    device.refuses_and_recovers("untrusted", attack, honest, words="signatures")


def test_a_stolen_key_of_a_delegated_role_is_worth_nothing_once_replaced(
    device: Device, fleet: RepositorySimulator
) -> None:
    device.installs()
    stolen = fleet.rotate_delegated("app")
    honest = fleet.publish("targets", "app")
    device.source.serve(honest)
    device.installs()
    fleet.add("app", "0.9.0")
    fleet.roles["app"].version += 1
    forged = fleet.signed("app", [stolen])
    fleet.publish_as_they_are()
    attack = {**fleet.served, name_of(fleet, "app"): forged}
    device.source.serve(attack)
    device.refuses("untrusted", version="0.9.0", words="signatures")
    device.source.serve(fleet.served)
    device.installs(version="0.9.0")


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_a_stolen_key_of_a_top_role_is_worth_nothing_once_the_root_replaced_it(
    device: Device, fleet: RepositorySimulator, role: str
) -> None:
    device.installs()
    stolen = fleet.rotate(role)
    honest = fleet.publish("targets", "app")
    device.source.serve(honest)
    device.installs()
    forged = fleet.signed(role, [stolen])
    fleet.publish("targets", "app")
    if role != "timestamp":
        forged = fleet.signed(role, [stolen])
    attack = {**fleet.served, name_of(fleet, role): forged}
    device.refuses_and_recovers("untrusted", attack, fleet.served)


def test_a_device_follows_a_long_chain_of_roots(device: Device, fleet: RepositorySimulator) -> None:
    """All three root keys replaced one after the other, then all again, and the online keys."""
    for _ in range(2):
        for number in range(3):
            fleet.rotate("root", number)
    for role in ("targets", "snapshot", "timestamp"):
        fleet.rotate(role)
    device.source.serve(fleet.publish("targets", "app", "models"))
    device.installs()
    assert fleet.roles["root"].version == 10


def test_a_gap_in_the_chain_of_roots_ends_it(device: Device, fleet: RepositorySimulator) -> None:
    for number in range(3):
        fleet.rotate("root", number)
    fleet.rotate("timestamp")
    honest = fleet.publish("targets", "app", "models")
    attack = dict(honest)
    del attack["metadata/3.root.json"]
    device.refuses_and_recovers("untrusted", attack, honest)


def test_a_root_that_its_forerunner_did_not_sign_is_refused(
    device: Device, fleet: RepositorySimulator
) -> None:
    other = RepositorySimulator()
    other.next_root()
    attack = {**fleet.served, "metadata/2.root.json": other.served["metadata/2.root.json"]}
    device.refuses_and_recovers("untrusted", attack, fleet.served, words="signatures")
    device.refuses_and_recovers("untrusted", other.served, fleet.served)


def test_a_root_of_another_version_is_refused(device: Device, fleet: RepositorySimulator) -> None:
    honest = dict(fleet.served)
    fleet.roles["root"].version = 4
    jump = fleet.next_root()
    attack = {**honest, "metadata/2.root.json": jump}
    device.refuses_and_recovers("untrusted", attack, honest, words="version")


# Fast-forward


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "app"])
def test_a_fleet_recovers_from_versions_driven_up(
    device: Device, fleet: RepositorySimulator, role: str
) -> None:
    """The thief of the online keys (and, for `app`, of the delegated one) signs a huge version, so
    that whatever the fleet publishes is older. New online keys in a new root undo it."""
    kept = {name: each.version for name, each in fleet.roles.items()}
    fleet.roles[role].version = 2**62
    device.source.serve(fleet.publish(*(["app"] if role == "app" else [])))
    device.installs()

    for name, version in kept.items():
        fleet.roles[name].version = version
    fleet.publish()
    device.source.serve(fleet.publish())
    device.refuses("untrusted", words="version")  # as it has to: it looks like a rollback

    for name in ("timestamp", "snapshot"):
        fleet.rotate(name)
    device.source.serve(fleet.publish())
    device.installs()
    device.installs()
