"""Profile files: trust, tightening of policies, hostile content."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from agent.base.config import AgentConfig
from agent.base.errors import ConfigError
from agent.base.settings_file import parse
from agent.privacy.policy import trusted_file as trusted
from agent.privacy.policy.profile import SiteProfile, parse_profile
from agent.privacy.policy.rules import Policy, resolve
from agent.privacy.policy.signing import main as sign
from agent.privacy.policy.signing import make_key, sign_profile

PLAIN = 'extends = "retail-eu"\n'
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def config(profile: Path, key: Path | None, **privacy: Any) -> AgentConfig:
    named = {"profile": str(profile)} | ({"profile_key": str(key)} if key else {})
    duties = {"policy": "retail-eu", "notice_shown": True, "consent": True}
    device = privacy.pop("device", {})
    return parse({"device": device, "privacy": {**duties, **named, **privacy}}, "x")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Path of a profile to be signed, with its key in the same folder."""
    public = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    (tmp_path / "site.pub").write_text(public.hex() + "\n")
    (tmp_path / "site.pub").chmod(0o644)
    return tmp_path / "profile.toml"


def signed(path: Path, text: str) -> Path:
    path.write_text(text)
    path.with_name(path.name + ".sig").write_text(KEY.sign(text.encode()).hex())
    return path


def under(site: Path, text: str, **privacy: Any) -> Policy:
    """The policy with this text as signed profile."""
    return resolve(config(signed(site, text), site.with_name("site.pub"), **privacy))


def refusal(site: Path, text: str, **privacy: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        under(site, text, **privacy)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1500
    return str(refused.value)


def test_a_stricter_profile_is_in_force(site: Path) -> None:
    policy = under(
        site,
        PLAIN
        + 'cells = ["dwell", "expression"]\nmin_k = 20\nmax_epsilon = 0.555\nmin_window = 3600\n'
        + 'quiet_hours = ["22:00-06:00"]\nstaff_zones = [[[0, 0], [0.5, 0], [0, 0.5]]]\n',
        quiet_hours=["12:00-13:00", "22:00-06:00"],
        staff_zones=[[[1, 1], [0.5, 1], [1, 0.5]]],
    )
    assert policy.cells == ("visits", "expression", "dwell"), "visits always, in declared order"
    assert (policy.k, policy.epsilon_milli, policy.window) == (20, 550, 3600)
    assert policy.quiet_hours == ("12:00-13:00", "22:00-06:00"), "both, each once"
    assert policy.zones == (((1, 1), (0.5, 1), (1, 0.5)), ((0, 0), (0.5, 0), (0, 0.5)))
    assert sum(policy.epsilon(cell) for cell in policy.cells) * 1000 == 550


def test_an_empty_profile_changes_only_the_hash(site: Path) -> None:
    bare = resolve(parse({"privacy": {"notice_shown": True}}, "x"))
    policy = under(site, PLAIN)
    assert (policy.k, policy.epsilon_milli, policy.cells) == (
        bare.k, bare.epsilon_milli, bare.cells,
    )  # fmt: skip
    assert policy.hash != bare.hash
    assert under(site, PLAIN + "# another byte\n").hash != policy.hash


def test_settings_of_the_box_are_held_to_the_profile_s_floors(site: Path) -> None:
    strict = PLAIN + "min_k = 20\nmax_epsilon = 0.5\nmin_window = 3600\n"
    for key, value in (("k", 19), ("epsilon", 0.51), ("window", 900)):
        assert f"privacy.{key}" in refusal(site, strict, **{key: value})
    assert under(site, strict, k=21, epsilon=0.2).k == 21


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("min_k = 9", "min_k is 9, the policy's is 10"),
        ("max_epsilon = 1.01", "max_epsilon is 1.01, the policy's is 1"),
        ("min_window = 60", "min_window is 60 s, the policy's is 300 s"),
        ('places = ["retail", "clinic"]', "places adds clinic"),
        ('cells = ["tone"]', "cells adds tone"),
    ],
)
def test_what_would_weaken_the_policy_is_refused(site: Path, line: str, reason: str) -> None:
    message = refusal(site, PLAIN + line)
    assert reason in message
    assert "is weaker than retail-eu" in message


def test_a_profile_may_narrow_where_it_holds(site: Path) -> None:
    narrow = PLAIN + 'regions = ["eu"]\n'
    assert under(site, narrow).region == "eu"
    assert "device.region" in refusal(site, narrow, device={"region": "other"})


def test_a_profile_without_emotion_may_run_in_an_eu_school(site: Path) -> None:
    device = {"region": "eu", "place": "education"}
    text = 'extends = "research-consented"\n'
    message = refusal(site, text, policy="research-consented", device=device)
    assert "Article 5(1)(f)" in message
    counts = text + 'cells = ["attention", "dwell"]\n'
    policy = under(site, counts, policy="research-consented", device=device)
    assert not policy.infers_emotion


def test_it_must_be_of_this_policy(site: Path) -> None:
    assert "extends classroom" in refusal(site, 'extends = "classroom"\n')


def test_no_noise_cannot_be_bounded(site: Path) -> None:
    text = 'extends = "demo"\nmax_epsilon = 1.0\n'
    assert "adds no noise" in refusal(site, text, policy="demo")


@pytest.mark.parametrize(
    ("state", "consent", "runs"),
    [("OR", False, True), ("IL", False, False), ("TX", False, False), ("WA", False, False),
     ("IL", True, True)],
)  # fmt: skip
def test_a_us_store_goes_by_its_state(site: Path, state: str, consent: bool, runs: bool) -> None:
    text = f'extends = "retail-us-notice"\nstate = "{state}"\n'
    asked: dict[str, Any] = {"policy": "retail-us-notice", "consent": consent}
    asked["device"] = {"region": "us"}
    if runs:
        assert under(site, text, **asked).name == "retail-us-notice"
    else:
        assert "asks for consent" in refusal(site, text, **asked)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("min_k = 20", "extends: Field required"),
        (PLAIN + "colour = 1", "colour: unknown key"),
        (PLAIN + "[notice]\ncolour = 1", "notice.colour: unknown key"),
        (PLAIN + 'min_k = "20"', "min_k"),
        (PLAIN + "min_k = true", "min_k"),
        (PLAIN + "max_epsilon = nan", "max_epsilon"),
        (PLAIN + "min_window = 901", "min_window"),
        (PLAIN + "cells = []", "cells"),
        (PLAIN + 'cells = ["dwell", "dwell"]', "each only once"),
        (PLAIN + 'quiet_hours = ["25:00-26:00"]', "quiet_hours.0"),
        (PLAIN + "staff_zones = [[[0, 0], [1, 1], [1.5, 0]]]", "staff_zones.0.2.0"),
        (PLAIN + "staff_zones = [[[0,0],[1,1],[1,0],[0,1]]]", r"staff_zones[0] is no zone"),
        (PLAIN + 'state = "XX"', "two letters"),
        (PLAIN + '[notice]\noperator = "a\\nb"', "notice.operator: only letters"),
        (PLAIN + '[notice]\noperator = "a\\u202eb"', "notice.operator: only letters"),
        (PLAIN + f'[notice]\noperator = "{"x" * 121}"', "notice.operator"),
        (PLAIN + '[notice.purpose]\nxx = "a"', "notice.purpose"),
        (PLAIN + "min_k = " + "9" * 900, "min_k"),
        (PLAIN + "min_k = " + "9" * 30_000, "more than 1000 characters"),
        (PLAIN + ".".join("a" * 2000) + " = 1", "more than 1000 characters"),
        (PLAIN + "a = " + "[\n" * 9000, "nested too deep"),
        (PLAIN * 2, "not valid TOML"),
        (PLAIN + "#" * 40_000, "larger than 32768 bytes"),
    ],
)  # fmt: skip
def test_hostile_content_is_refused_by_name(site: Path, content: str, reason: str) -> None:
    assert reason in refusal(site, content)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_a_profile_or_a_config_error(data: bytes) -> None:
    for head in (b"", PLAIN.encode()):
        try:
            assert isinstance(parse_profile(head + data, Path("p")), SiteProfile)
        except ConfigError as error:
            message = str(error)
        else:
            continue
        assert "p cannot be used" in message or "not valid TOML" in message or "no zone" in message


# Signatures


def test_one_changed_byte_is_noticed(site: Path) -> None:
    asked = config(signed(site, PLAIN + "min_k = 20\n"), site.with_name("site.pub"))
    assert resolve(asked).k == 20
    site.write_text(PLAIN + "min_k = 10\n")
    with pytest.raises(ConfigError, match="is no signature of these bytes"):
        resolve(asked)


def test_a_missing_signature_names_the_command(site: Path) -> None:
    site.write_text(PLAIN)
    with pytest.raises(ConfigError, match=r"policy\.signing PRIVATE_KEY .*profile\.toml"):
        resolve(config(site, site.with_name("site.pub")))


@pytest.mark.parametrize("signature", ["", "00" * 64, "00" * 63, "!" * 88, "é" * 64, "A" * 5000])
def test_other_signatures_are_refused(site: Path, signature: str) -> None:
    asked = config(signed(site, PLAIN), site.with_name("site.pub"))
    site.with_name("profile.toml.sig").write_text(signature)
    with pytest.raises(ConfigError):
        resolve(asked)


def test_base64_and_pem_are_read_too(site: Path) -> None:
    asked = config(signed(site, PLAIN), site.with_name("site.pub"))
    text = base64.b64encode(KEY.sign(PLAIN.encode())).decode()
    site.with_name("profile.toml.sig").write_text(text + "\n")
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    site.with_name("site.pub").write_bytes(pem)
    assert resolve(asked).profile is not None


def test_unusable_keys_are_refused(site: Path) -> None:
    key = site.with_name("site.pub")
    asked = config(signed(site, PLAIN), key)
    key.chmod(0o666)
    with pytest.raises(ConfigError, match="others than its owner may write"):
        resolve(asked)
    key.chmod(0o644)
    for content in ("", "00", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"):
        key.write_text(content)
        with pytest.raises(ConfigError, match="no Ed25519 public key"):
            resolve(asked)
    key.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        resolve(asked)
    with pytest.raises(ConfigError, match=r"no privacy\.profile"):
        resolve(parse({"privacy": {"profile_key": str(key), "notice_shown": True}}, "x"))


def test_a_pair_is_made_and_signs_what_the_agent_accepts(tmp_path: Path) -> None:
    profile = tmp_path / "profile.toml"
    profile.write_text(PLAIN)
    public = make_key(tmp_path / "site.key")
    assert (tmp_path / "site.key").stat().st_mode & 0o777 == 0o600
    sign_profile(tmp_path / "site.key", profile)
    assert resolve(config(profile, public)).profile is not None
    with pytest.raises(ConfigError, match="already there"):
        make_key(tmp_path / "site.key")
    with pytest.raises(ConfigError, match="no private Ed25519 key"):
        sign_profile(public, profile)
    profile.write_text(PLAIN + "min_q = 1\n")
    with pytest.raises(ConfigError, match="min_q: unknown key"):
        sign_profile(tmp_path / "site.key", profile)
    (tmp_path / "site.key").chmod(0o640)
    with pytest.raises(ConfigError, match=r"others \(mode 0640\)\. Run: chmod 600"):
        sign_profile(tmp_path / "site.key", profile)


def test_the_command_signs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = tmp_path / "profile.toml"
    profile.write_text(PLAIN)
    assert sign([str(tmp_path / "k"), str(profile), "--new"]) == 0
    assert (tmp_path / "profile.toml.sig").is_file()
    assert sign([str(tmp_path / "none"), str(profile)]) == 78
    assert "none cannot be read" in capsys.readouterr().err


# Root's files


def test_without_a_key_a_file_of_somebody_else_is_refused(site: Path) -> None:
    site.write_text(PLAIN)
    if os.geteuid() == 0:
        os.chown(site.parent, 12_345, -1)
    with pytest.raises(ConfigError, match=r"is not trusted.*sudo install -D -o root -g root"):
        resolve(config(site, None))


@pytest.fixture
def roots_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that only root can write, as are all above it. Where the tests are not run by root,
    their user counts as root."""
    monkeypatch.setattr(trusted, "_TRUSTED_OWNERS", {0, os.geteuid()})
    for base in (Path.home(), Path("/root"), Path("/etc"), Path("/var/lib")):
        try:
            with tempfile.TemporaryDirectory(dir=base, prefix="fleeting-test-") as folder:
                Path(folder).chmod(0o755)
                (Path(folder) / "probe").touch(0o644)
                trusted.read_owned_by_root(Path(folder) / "probe")
                yield Path(folder)
                return
        except (OSError, ConfigError):
            continue
    pytest.skip("no folder is root's alone")


def test_root_s_own_file_is_trusted(roots_folder: Path) -> None:
    path = roots_folder / "profile.toml"
    path.write_text(PLAIN + "min_k = 30\n")
    path.chmod(0o644)
    assert resolve(config(path, None)).k == 30


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_may_write_is_refused(roots_folder: Path, mode: int) -> None:
    path = roots_folder / "profile.toml"
    path.write_text(PLAIN)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=r"sudo chown root:root .* && sudo chmod 644"):
        resolve(config(path, None))
    path.chmod(0o644)
    if os.geteuid() == 0:  # others cannot give a file away
        os.chown(path, 12_345, -1)
        with pytest.raises(ConfigError, match="user 12345 owns it"):
            resolve(config(path, None))


def test_a_folder_that_others_may_write_is_refused(roots_folder: Path) -> None:
    path = roots_folder / "open" / "sub" / "profile.toml"
    path.parent.mkdir(parents=True)
    path.write_text(PLAIN)
    path.chmod(0o644)
    path.parent.parent.chmod(0o777)
    with pytest.raises(ConfigError, match="another file in its place"):
        resolve(config(path, None))


def test_links_are_refused_and_the_place_behind_is_named(roots_folder: Path) -> None:
    real = roots_folder / "real"
    real.mkdir()
    (real / "profile.toml").write_text(PLAIN)
    (real / "profile.toml").chmod(0o644)
    (roots_folder / "link.toml").symlink_to(real / "profile.toml")
    (roots_folder / "folder").symlink_to(real)
    for path in (roots_folder / "link.toml", roots_folder / "folder" / "profile.toml"):
        with pytest.raises(ConfigError, match=r'is a link.*"/.*/real/profile\.toml"'):
            resolve(config(path, None))


def test_what_is_no_file_is_refused_without_waiting(roots_folder: Path) -> None:
    os.mkfifo(roots_folder / "pipe", 0o644)
    for name, reason in (("pipe", "no ordinary file"), ("none", "cannot be read"),
                         ("", "no ordinary file")):  # fmt: skip
        with pytest.raises(ConfigError, match=reason):
            resolve(config(roots_folder / name, None))


def test_where_root_is_unknown_only_a_signature_counts(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = tmp_path / "uid_map"
    users.write_text("      1000       1000          1\n")
    monkeypatch.setattr(trusted, "_UID_MAP", users)
    asked = config(signed(site, PLAIN), None)
    with pytest.raises(ConfigError, match=r"user namespace.*sign the profile"):
        resolve(asked)
    assert resolve(config(site, site.with_name("site.pub"))).profile is not None
    users.write_text("         0       1000          1\n")
    with pytest.raises(ConfigError, match="is not trusted"):
        resolve(asked)


def test_the_uplink_process_loads_no_cryptography_without_a_key() -> None:
    program = (
        "import sys; from agent.privacy.policy.rules import resolve;"
        "from agent.base.settings_file import parse;"
        "resolve(parse({}, 'x'), live=False); print('cryptography' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
