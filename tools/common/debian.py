"""Where this machine gets Debian's packages from, for making system roots."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tools.common.errors import ToolError

APT = 600.0
"""Seconds for apt to answer."""
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def archive() -> str:
    """Address of the Debian archive that this machine's apt uses. Raises `ToolError`."""
    try:
        found = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI)\t$(ORIGIN)\t$(LABEL)",
             "Created-By: Packages"],
            capture_output=True, text=True, check=True, timeout=APT,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolError(f"This needs a Debian machine with apt: {error}.") from None
    for line in found.splitlines():
        address, origin, label = (*line.split("\t"), "", "")[:3]
        if origin == label == "Debian":
            return address
    raise ToolError(
        "apt knows no Debian archive here. On another distribution, name one in apt's sources, or "
        "use a Debian 12 (or newer) machine; then: apt-get update."
    )


def keyring() -> Path:
    """Keys of the Debian archive. Raises `ToolError`."""
    if not _KEYRING.is_file():
        raise ToolError(f"{_KEYRING} is missing: apt-get install debian-archive-keyring.")
    return _KEYRING
