"""The README's commands for a Raspberry Pi, as the trial runs them."""

from __future__ import annotations

import pytest

from tools.arm64.readme import as_root, blocks, commands, section
from tools.common.errors import ToolError
from tools.common.files import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_is_understood() -> None:
    found = commands(README)
    assert "python3-venv" in found.packages
    assert found.clone.endswith("/opt/fleeting")
    assert "setup-venv --system-site-packages" in found.setup
    assert found.check.endswith("fleeting check")
    assert "[audio]" in found.microphone[0]
    assert "[sounddevice]" in found.microphone[1]
    assert not found.microphone[1].startswith("#")


def test_a_readme_that_says_something_else_is_refused() -> None:
    with pytest.raises(ToolError, match="four commands"):
        commands(README.replace("/opt/fleeting/.venv/bin/fleeting check\n", "", 1))
    with pytest.raises(ToolError, match="should begin with 'sudo git clone REPOSITORY '"):
        commands(README.replace("sudo git clone REPOSITORY", "sudo git clone -b x REPOSITORY"))
    with pytest.raises(ToolError, match="no section 'Raspberry Pi'"):
        commands(README.replace("### Raspberry Pi\n", "### Boards\n"))
    with pytest.raises(ToolError, match="PyAudio or sounddevice"):
        commands(README.replace("[sounddevice]", "[other]"))


def test_sections_end_at_the_next_heading_of_their_level() -> None:
    text = "# a\n## b\none\n### c\ntwo\n## d\nthree\n"
    assert section(text, "b") == "one\n### c\ntwo\n"
    assert section(text, "d") == "three\n"
    assert blocks("```sh\nls   # here\n\npwd\n```\n```toml\nx = 1\n```\n") == [["ls", "pwd"]]


def test_commands_of_root_ask_nobody() -> None:
    line = "sudo apt install gcc && sudo git clone REPOSITORY /opt/x"
    assert as_root(line, [("REPOSITORY", "/bundle")]) == (
        "apt-get install -y -qq --no-install-recommends gcc && git clone /bundle /opt/x"
    )
