"""The README agrees with the code."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema

from agent.base.config import AgentConfig, DeviceConfig
from agent.base.report import Summary
from agent.base.schemas.registry import load
from agent.cli import build_parser
from agent.privacy.policy.profile import parse_profile
from agent.uplink.topics import MESSAGE_KINDS, Topics
from tools.bench import __main__ as bench
from tools.common import command
from tools.robustness import __main__ as robustness
from tools.train.__main__ import MODELS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
INLINE = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", README, flags=re.DOTALL))
LINES = [line.partition("  #")[0].strip() for block in CODE for line in block.splitlines()] + INLINE


def commands(program: str) -> list[list[str]]:
    """The words after `program` of every command line that runs it."""
    found = []
    for line in LINES:
        for part in re.split(r"\s(?:\||&&)\s", line):
            words = shlex.split(part.partition(" #")[0]) if part.count("'") % 2 == 0 else []
            head = [Path(words[0]).name, *words[1:]] if words else []
            wanted = program.split()
            if head[: len(wanted)] == wanted and len(head) > len(wanted):
                found.append(head[len(wanted) :])
    return found


def rows(title: str) -> list[list[str]]:
    """Cells of the table under a heading."""
    section = README.split(f"### {title}\n")[1].split("\n#")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_every_command_is_known_to_the_parser() -> None:
    parser = build_parser()
    found = commands("fleeting")
    for words in found:
        parser.parse_args(words)
    verbs = {words[0] for words in found}
    assert verbs == set(parser._subparsers._group_actions[0].choices)  # type: ignore[union-attr,arg-type]


def test_every_tool_is_known() -> None:
    for package, known in (("bench", bench), ("robustness", robustness)):
        found = commands(f"python -m tools.{package}")
        assert {words[0] for words in found} == set(known.SUBCOMMANDS)
        for words in found:
            command.parser(package, None, known.SUBCOMMANDS).parse_args(words)
    assert [words for words in commands("python -m tools.train") if words[0] in MODELS]
    for module in re.findall(r"python -m ((?:tools|agent)(?:\.\w+)+)", README):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


def test_every_script_and_link_exists() -> None:
    scripts = re.findall(r"sh (?:/opt/fleeting/)?(tools/[\w./-]+)", README)
    assert {"tools/run-demo", "tools/run-tests", "tools/setup-venv"} <= set(scripts)
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert "tools/demo/timeline.png" in links
    for name in {*scripts, *links}:
        assert (ROOT / name).is_file(), name


def test_every_key_has_the_default_that_is_stated() -> None:
    table = rows("Configuration")
    assert len(table) > 10
    for key, default, *_ in table:
        value: Any = AgentConfig()
        for part in key.strip("`").split("."):
            value = getattr(value, part)
        stated = None if default == "unset" else json.loads(default.strip("`"))
        shown = str(value) if isinstance(value, Path) else value
        assert stated == (list(shown) if isinstance(shown, tuple) else shown), key


def test_the_summary_shown_is_valid() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
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
    stated = {topic.strip("`") for topic, *_ in rows("Topics")}
    assert stated == written | heard


def test_the_disclaimers_are_there() -> None:
    assert "This is not legal advice" in README
    assert "Expression is not inner feeling" in README


def test_the_profile_shown_is_valid() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    profile = parse_profile(example.encode(), Path("README.md"))
    assert profile.extends == "retail-eu"
    assert profile.min_k == 20
