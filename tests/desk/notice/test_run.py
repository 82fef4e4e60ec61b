"""`fleeting notice` as a whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.base.config import AgentConfig
from agent.base.errors import ConfigError, StoreError
from agent.base.settings_file import parse
from agent.desk import sheet
from agent.desk.notice.run import notice

PROFILE = """extends = "retail-eu"
min_k = 20
[notice]
operator = "Muster & Söhne"
contact = "店@example"
languages = ["es"]
[notice.purpose]
de = "Wir lernen."
"""


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing and packing the picture takes most of the time."""
    monkeypatch.setattr(sheet, "DPI", 50)


def with_profile(folder: Path) -> AgentConfig:
    key = Ed25519PrivateKey.generate()
    path, public = folder / "profile.toml", folder / "key.pub"
    path.write_text(PROFILE)
    path.with_name("profile.toml.sig").write_text(key.sign(PROFILE.encode()).hex())
    public.write_text(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex())
    public.chmod(0o644)
    return parse({"privacy": {"profile": str(path), "profile_key": str(public)}}, "x")


@pytest.mark.slow
def test_without_a_profile_missing_settings_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "kit"
    out.mkdir()
    (out / "what-leaves-this-box.md").write_text("an older one")
    assert notice(AgentConfig(), out) == 0
    printed = capsys.readouterr()
    names = ["sign-en.pdf", "sign-en.png", "what-leaves-this-box.html", "what-leaves-this-box.md"]
    assert printed.out.splitlines() == [str(out / name) for name in names]
    assert sorted(path.name for path in out.iterdir()) == names, "and no half-written file"
    assert "notice.operator and notice.contact" in printed.err
    assert "privacy.profile" in printed.err
    assert "an older one" not in (out / "what-leaves-this-box.md").read_text()
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in out.iterdir())


@pytest.mark.slow
def test_a_sign_that_names_the_microphone_is_to_be_confirmed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loud = {"microphone": True}
    assert notice(parse({"privacy": loud}, "x"), tmp_path / "kit") == 0
    assert 'privacy.notice_names = ["microphone"]' in capsys.readouterr().err
    told = parse({"privacy": {**loud, "notice_names": ["microphone"]}}, "x")
    assert notice(told, tmp_path / "kit") == 0
    assert "notice_names" not in capsys.readouterr().err


@pytest.mark.slow
def test_a_profile_sets_languages_and_gaps_are_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = with_profile(tmp_path)
    (tmp_path / "kept.txt").write_text("mine")
    assert notice(config, tmp_path, as_json=True) == 0
    report = json.loads(capsys.readouterr().out)
    names = {Path(path).name for path in report["files"]}
    assert names >= {"sign-es.pdf", "sign-es.png"}
    assert "sign-en.pdf" not in names
    assert any("lacks 店" in each for each in report["warnings"])
    assert any("notice.purpose has no text in 'es'" in each for each in report["warnings"])
    assert not any("fill in by hand" in each for each in report["warnings"])
    assert (tmp_path / "kept.txt").read_text() == "mine"
    page = (tmp_path / "what-leaves-this-box.md").read_text()
    assert "| 20, judged" in page
    assert "Muster" not in page


def test_what_cannot_be_done_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no sign in the language 'xx'"):
        notice(AgentConfig(), tmp_path / "a", language="xx")
    forbidden = parse({"device": {"place": "workplace"}}, "x")
    with pytest.raises(ConfigError, match=r"Article 5\(1\)\(f\)"):
        notice(forbidden, tmp_path / "a")
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be made"):
        notice(AgentConfig(), tmp_path / "file")
    with pytest.raises(StoreError, match="cannot be made"):
        notice(AgentConfig(), tmp_path / "no" / "folder")
