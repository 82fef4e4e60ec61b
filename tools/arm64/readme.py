"""The README's commands for a Raspberry Pi, as somebody would type them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tools.common.errors import ToolError

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Commands:
    """Of the section on a Raspberry Pi, line by line, and of the one on a microphone."""

    packages: tuple[str, ...]
    """What `apt install` names."""
    clone: str
    setup: str
    check: str
    microphone: tuple[str, str]
    """With PyAudio, and with sounddevice."""


def section(text: str, title: str) -> str:
    """What stands under a heading of any level, to the next one of its level. Raises
    `ToolError`."""
    match = re.search(
        rf"^(#+) {re.escape(title)}\n(.*?)(?=^\1 |\Z)", text, re.MULTILINE | re.DOTALL
    )
    if match is None:
        raise ToolError(f"README.md has no section {title!r}; name the new one in {__name__}.")
    return match[2]


def blocks(text: str) -> list[list[str]]:
    """Shell commands by block, without comments."""
    return [
        [line.partition(" #")[0].rstrip() for line in each.splitlines() if line.strip()]
        for each in _BLOCK.findall(text)
    ]


def commands(text: str) -> Commands:
    """Read them from the README. Raises `ToolError` where a line is not as it was."""
    lines = blocks(section(text, "Raspberry Pi"))[:1]
    if len(lines) != 1 or len(lines[0]) != 4:
        raise ToolError("README.md does not name four commands for a Raspberry Pi.")
    install, clone, setup, check = lines[0]
    for line, begin in (
        (install, "sudo apt install "),
        (clone, "sudo git clone REPOSITORY "),
        (setup, "sudo sh "),
    ):
        if not line.startswith(begin):
            raise ToolError(f"README.md: {line!r} should begin with {begin!r}.")
    sound = "\n".join(line for block in blocks(section(text, "A microphone")) for line in block)
    pyaudio = re.search(r"^sudo apt install .*\[audio\].*$", sound, re.MULTILINE)
    other = re.search(r"sudo apt install .*\[sounddevice\].*$", text, re.MULTILINE)
    if pyaudio is None or other is None:
        raise ToolError("README.md does not say how PyAudio or sounddevice is installed.")
    return Commands(
        packages=tuple(install.split()[3:]),
        clone=clone,
        setup=setup,
        check=check,
        microphone=(pyaudio[0], other[0]),
    )


def as_root(line: str, replaced: Sequence[tuple[str, str]] = ()) -> str:
    """The line for a shell that is root's and asks nobody: without sudo, `apt` as `apt-get -y`."""
    line = re.sub(r"\bsudo ", "", line)
    line = re.sub(r"\bapt install ", "apt-get install -y -qq --no-install-recommends ", line)
    for old, new in replaced:
        line = line.replace(old, new)
    return line
