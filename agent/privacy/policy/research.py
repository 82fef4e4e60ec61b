"""Where traces of a study may be kept: under one policy, and out of reach of all that sends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from agent.base.config import AgentConfig
from agent.base.errors import ConfigError
from agent.base.vocabulary import AnyCell

POLICY = "research-consented"
SHOWN: tuple[AnyCell, ...] = ("expression", "valence", "arousal", "micro")
"""What a trace says of a face, as the cells that a summary has of it."""
_SYSTEM = ("/usr", "/lib", "/sys", "/proc", "/dev", "/run", "/etc")
"""Read by every process of ours."""


def keeps_traces(config: AgentConfig) -> bool:
    """Whether traces are asked for, and the policy is the one that admits them."""
    return config.research.traces is not None and config.privacy.policy == POLICY


def refuse_unless_admitted(config: AgentConfig, cells: tuple[AnyCell, ...]) -> None:
    """`cells`: those of the policy, as a profile file has left them. Raises `ConfigError`."""
    asked = config.research
    if asked.traces is None:
        return
    if config.privacy.policy != POLICY:
        raise ConfigError(
            f"research.traces keeps what single faces did, and policy {config.privacy.policy} "
            f'admits no such thing. Remove it, or set privacy.policy = "{POLICY}" and do what that '
            "asks for."
        )
    left_out = [cell for cell in SHOWN if cell not in cells]
    if left_out:
        raise ConfigError(
            f"The profile {config.privacy.profile} leaves out {', '.join(left_out)}, which traces "
            "would hold. Remove research.traces, or correct the profile."
        )
    if asked.key is None:
        raise ConfigError(
            "research.traces is set without research.key: traces are written for the researcher's "
            "eyes only. Make a pair with `fleeting review keys --out FOLDER` on another machine, "
            "and name the public one."
        )
    folder = _real(asked.traces)
    for other in _seen_elsewhere(config):
        if folder == other or folder in other.parents or other in folder.parents:
            raise ConfigError(
                f"research.traces is {asked.traces}, and {other} is a place of what sends or is "
                "read by it. Name a folder of its own, such as /var/lib/fleeting-traces."
            )


def _seen_elsewhere(config: AgentConfig) -> Iterator[Path]:
    """Folders that the uplink or the updater reads."""
    store, update = config.store, config.update
    yield from (_real(each) for each in (store.outbox.parent, update.folder, update.exchange))
    yield from (_real(each.parent) for each in (store.receipt_key, store.warden) if each)
    installed = Path(__file__).resolve().parents[3]
    yield from (_real(each) for each in (*_SYSTEM, sys.prefix, sys.base_prefix, installed))


def _real(path: Path | str) -> Path:
    return Path(os.path.realpath(path))
