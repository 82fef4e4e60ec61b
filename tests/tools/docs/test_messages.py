"""Lines that are really said are found among the sentences of the source."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from agent.base.config import load, parse
from agent.base.errors import AgentError, ConfigError
from agent.cli import main
from agent.privacy.policy.rules import resolve
from agent.uplink import reason_codes
from agent.uplink.unreachable import unreachable
from tools.docs.messages import catalogue
from tools.docs.messages.walk import sentences
from tools.fleet.cli import main as fleet


def anchor(line: str) -> str:
    found = catalogue.find(line)
    assert found, line
    return found[0].anchor


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["config", "show", "--config", "none.toml"],
        ["config", "show", "--config", "wrong.toml"],
        ["replay", "none.mp4"],
        ["spot", "none.npz"],
        ["convert", "wrong.toml", "out.eaf"],
        ["inspect", "none.png"],
        ["listen", "none.wav"],
        ["plan", "--visits", "0", "--difference", "0.1"],
        ["notice", "--config", "school.toml", "--out", "n"],
    ],
    ids=" ".join,
)
def test_what_a_command_says_is_there(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.toml").write_text("[mqtt]\nhosst = 'x'\n")
    (tmp_path / "school.toml").write_text("[device]\nplace = 'education'\n")
    assert main(arguments) != 0
    out, err = capsys.readouterr()
    anchor((err or out).splitlines()[-1])


@pytest.mark.slow
def test_what_the_fleets_side_says_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (["operator", "x", "fleet"], ["config", "set", "privacy.k=0", "--group", "x"]):
        assert fleet(arguments) != 0
        anchor(capsys.readouterr().err.splitlines()[-1])


@pytest.mark.slow
def test_errors_of_settings_are_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        parse({"mqtt": {"ca_file": "x"}}, "a.toml")
    names = {each.anchor for each in catalogue.find(str(error.value))}
    assert {"m-cannot-be-used", "m-ca-file-cert-file-and-key-file-need-tls"} <= names
    (tmp_path / "zeros.toml").write_bytes(bytes(100))
    with pytest.raises(ConfigError) as error:
        load(tmp_path / "zeros.toml")
    assert anchor(str(error.value)).startswith("m-holds-nothing-but-zeros")
    with pytest.raises(AgentError) as refused:
        resolve(parse({"device": {"place": "education"}}, "a.toml"))
    anchor(str(refused.value))


@pytest.mark.slow
def test_reasons_of_a_broker_are_there_with_what_to_do() -> None:
    for code in range(0x80, 0xA3):
        said = reason_codes.trouble(code)
        assert any(each.what == said.what for each in catalogue.messages()), said
    error = ssl.SSLCertVerificationError()
    error.verify_code = 18
    found = unreachable(error, reached=True, tls=True)
    (here,) = [each for each in catalogue.messages() if each.what == found.what]
    assert here.remedy == found.advice


def test_nearly_all_that_stops_somebody_says_what_to_do() -> None:
    errors = [each for each in catalogue.messages() if each.family == "ConfigError"]
    assert len(errors) > 50
    assert sum(bool(each.remedy) for each in errors) > len(errors) / 2
    assert all(each.room.otherwise for each in catalogue.messages())


def test_no_query_and_no_docstring_is_a_message() -> None:
    for each in sentences():
        assert not each.text.startswith(("SELECT ", "INSERT ", "CREATE ")), each
        assert "Returns the exit code" not in each.text
