"""The README and the pages beside it agree with the code."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import jsonschema

from agent.base.config import AgentConfig, DeviceConfig
from agent.base.report import Summary
from agent.base.schemas.registry import load
from agent.base.settings_file import parse
from agent.cli import build_parser
from agent.privacy.policy.profile import parse_profile
from agent.privacy.policy.rules import resolve
from agent.uplink.topics import MESSAGE_KINDS, Topics
from tools.bench import __main__ as bench
from tools.common import command
from tools.robustness import __main__ as robustness
from tools.train.__main__ import MODELS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
EVERYTHING = "\n".join([README, *PAGES.values()])


def lines(text: str) -> list[str]:
    """Lines of shell, and code within sentences."""
    code = re.findall(r"```sh(?: run)?\n(.*?)```", text, re.DOTALL)
    plain = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    inline = [re.sub(r"\s+", " ", each) for each in re.findall(r"`([^`]+)`", plain)]
    return [line.partition("  #")[0].strip() for block in code for line in block.splitlines()] + (
        inline
    )


def commands(program: str, text: str) -> list[list[str]]:
    """The words after `program` of every command line that runs it."""
    found = []
    for line in lines(text):
        for part in re.split(r"\s(?:\||&&|\|\||>|2>&1)\s", line):
            words = shlex.split(part.partition(" #")[0]) if part.count("'") % 2 == 0 else []
            head = [Path(words[0]).name, *words[1:]] if words else []
            wanted = program.split()
            if head[: len(wanted)] == wanted and len(head) > len(wanted):
                found.append(head[len(wanted) :])
    return found


def rows(text: str, title: str) -> list[list[str]]:
    """Cells of the first table under a heading."""
    section = text.split(f"## {title}\n")[1].split("\n#")[0].split("<!--")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_every_command_is_known_to_the_parser() -> None:
    parser = build_parser()
    verbs = set(parser._subparsers._group_actions[0].choices)  # type: ignore[union-attr,arg-type]
    for words in commands("fleeting", README):
        parser.parse_args(words)
    assert {words[0] for words in commands("fleeting", README)} == verbs
    for words in commands("fleeting", PAGES["verbs.md"]):
        parser.parse_args(words)
    assert {words[0] for words in commands("fleeting", EVERYTHING)} == verbs


def test_every_tool_is_known() -> None:
    for package, known in (("bench", bench), ("robustness", robustness)):
        found = commands(f"python -m tools.{package}", EVERYTHING)
        assert {words[0] for words in found} == set(known.SUBCOMMANDS)
        for words in found:
            command.parser(package, None, known.SUBCOMMANDS).parse_args(words)
    train = commands("python -m tools.train", EVERYTHING)
    assert [words for words in train if words[0] in MODELS]
    for module in re.findall(r"python -m ((?:tools|agent)(?:\.\w+)+)", EVERYTHING):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


def test_every_script_exists() -> None:
    scripts = re.findall(r"sh (?:/opt/fleeting/)?(tools/[\w./-]+)", EVERYTHING)
    assert {"tools/run-demo", "tools/run-tests", "tools/setup-venv"} <= set(scripts)
    for name in {*scripts}:
        assert (ROOT / name).is_file(), name


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 180


def test_the_summary_shown_is_valid() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGES["integrate.md"], re.DOTALL)
    summary = Summary.model_validate_json(example)
    jsonschema.validate(json.loads(example), load("summary-1"))
    assert summary.visits is not None
    assert summary.visits >= summary.privacy.k


def test_topics_are_those_of_the_uplink() -> None:
    named = DeviceConfig.model_construct(id="{id}", group="{group}")
    topics = Topics(AgentConfig().model_copy(update={"device": named}))
    written = {topics.of(kind) for kind in MESSAGE_KINDS if kind not in ("res", "job")}
    written.add(topics.of("job", "{job}"))
    heard = {topics.desired, topics.defaults, f"{topics.commands}{{name}}", topics.job_next}
    stated = {topic.strip("`") for topic, *_ in rows(PAGES["integrate.md"], "Topics")}
    assert stated == written | heard


def test_the_disclaimers_are_there() -> None:
    assert "this is not legal advice" in README
    assert "Expression is not inner feeling" in README
    for name in ("limits.md", "privacy-officer.md"):
        assert "This is not legal advice" in PAGES[name]
    assert "Expression is not inner feeling" in PAGES["limits.md"]


def test_the_settings_shown_are_settings() -> None:
    shown = re.findall(r"```toml\n(.*?)```", PAGES["school.md"], re.DOTALL)
    assert shown
    for text in shown:
        resolve(parse(tomllib.loads(text), "school.md"))


def test_the_profile_shown_is_valid() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGES["privacy-officer.md"], re.DOTALL)
    profile = parse_profile(example.encode(), Path("privacy-officer.md"))
    assert profile.extends == "retail-eu"
    assert profile.min_k == 20
