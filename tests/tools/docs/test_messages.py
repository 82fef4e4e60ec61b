"""Lines that are really said are found among the sentences of the source."""

from __future__ import annotations

import ast
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.base.errors import AgentError, ConfigError
from agent.base.settings_file import load, parse
from agent.cli import main
from agent.privacy.policy.rules import resolve
from agent.uplink import reason_codes
from agent.uplink.unreachable import unreachable
from tools.common.files import ROOT
from tools.docs.messages import catalogue, others
from tools.docs.messages.sentence import FIELD
from tools.docs.messages.walk import read, sentences
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


LOG = {"debug", "info", "warning", "error", "exception", "critical"}
SOURCES = sorted(
    path for top in ("agent", "tools/fleet") for path in (ROOT / top).rglob("*.py")
)  # fmt: skip


def said(tree: ast.AST) -> Iterator[ast.expr]:
    """Whatever is raised, logged, or printed where errors are."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield node.exc
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            text = ast.unparse(node.func)
            name = text.rpartition(".")[2]
            logs = name in LOG and "log" in text.removesuffix(name).lower()
            if logs or text.endswith("parser.error") or "file=sys.stderr" in ast.unparse(node):
                yield node


def literals(tree: ast.AST) -> Iterator[str]:
    """Stretches of three words or more, wherever they stand below."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for part in re.split(r"%[-+ #0]*\d*(?:\.\d+)?[sdifgrxc]", node.value):
                if len(re.findall(r"[A-Za-z]{2,}", part)) >= 3 and "SELECT" not in part:
                    yield " ".join(part.split())


def test_nothing_is_raised_logged_or_printed_that_the_page_lacks() -> None:
    """Read in another way than the generator reads: by what stands in the statement."""
    known: dict[str, str] = {}
    for each in sentences():
        plain = re.sub(f"{FIELD}.*?{FIELD}", lambda match: match[0].strip(FIELD), each.text)
        known[each.module] = known.get(each.module, "") + "\n" + " ".join(plain.split())
    missing = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {part}"
        for path in SOURCES
        for node in said(ast.parse(path.read_text(encoding="utf-8")))
        for part in literals(node)
        if part not in known.get(path.relative_to(ROOT).as_posix(), "")
    ]
    assert not missing


def test_a_sentence_is_found_however_it_is_said(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        """
import sys
WHY = "the reason is here"
def go(parser, log, name):
    log.warning("%s is not where it was: %d", name, 3)
    print(f"Nothing of {name} was kept.", file=sys.stderr)
    parser.error("give one of the two")
    if name:
        raise ToolError(f"{name} lacks {log}.")
    raise ToolError(f"{name} was refused: {WHY}. " + ("Try again." if name else "Ask somebody."))
""",
        encoding="utf-8",
    )
    texts = {each.text.replace(FIELD, "~"): each.kind for each in read(module, "agent/module.py")}
    assert texts["~…~ is not where it was: ~…~"] == "warning"
    assert texts["Nothing of ~name~ was kept."] == "error"
    assert texts["give one of the two"] == "error"
    assert texts["~name~ lacks ~log~."] == "error"
    assert any(each.startswith("~name~ was refused: the reason is here. ") for each in texts)


def test_what_scripts_parsers_and_types_say_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    for line in (
        "fleeting: No Python 3.11, 3.12 or 3.13 here. Install one (Debian 12",
        "mqtt.port: Input should be less than or equal to 65535 (got 99999999)",
        "source.kind: Input should be 'picamera2', 'v4l2', 'gstreamer' or 'file' (got 'foo')",
    ):
        anchor(line)
    for words in (["run", "--nothing"], ["replay"], ["nothing"]):
        with pytest.raises(SystemExit):
            main(words)
        anchor(capsys.readouterr().err.splitlines()[-1])
    script = 'x || fail "no $name in $(ls "$dir"): ${it}"\n    say "$*"\n'
    (found,) = others.script("s", script)
    assert found.text.replace(FIELD, "~") == "no ~name~ in ~…~: ~it~"


def test_nearly_all_that_stops_somebody_says_what_to_do() -> None:
    errors = [each for each in catalogue.messages() if each.family == "ConfigError"]
    assert len(errors) > 50
    assert sum(bool(each.remedy) for each in errors) > len(errors) / 2
    assert all(each.room.otherwise for each in catalogue.messages())


def test_no_query_and_no_docstring_is_a_message() -> None:
    for each in sentences():
        assert not each.text.startswith(("SELECT ", "INSERT ", "CREATE ")), each
        assert "Returns the exit code" not in each.text
