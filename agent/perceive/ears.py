"""What a run hears and reads with beside its microphone.

Imports no NumPy: it is made before the process enters its sandbox, see `start`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from agent.base.config import AgentConfig, SoundConfig
from agent.base.errors import ConfigError
from agent.perceive.local_socket import socket_path
from agent.perceive.transcriber import Transcriber
from agent.perceive.words_socket import NAME, WordsSocket
from agent.privacy.policy.hearing import switched_on

if TYPE_CHECKING:
    from agent.perceive.hearing import Reading


@dataclass(frozen=True, slots=True)
class Ears:
    """Sockets that are open, and who listens in on a file."""

    words: WordsSocket | None = None
    transcriber: Transcriber | None = None
    observer: Callable[[Reading], None] = lambda reading: None
    """Is told of every reading; must not block."""

    def close(self) -> None:
        for each in (self.words, self.transcriber):
            if each is not None:
                each.close()


def open_ears(config: AgentConfig) -> Ears:
    """Bind the socket for words and connect to the transcriber, where words are read.

    Raises `ConfigError` where one cannot be bound, or is no Unix socket.
    """
    if "words" not in switched_on(config):
        return Ears()
    path, speech = socket_path(config.words.socket, NAME), config.words.wyoming
    if speech is not None and "microphone" not in switched_on(config):
        raise ConfigError(
            "words.wyoming turns speech into words, and privacy.microphone is off: switch it on, "
            "or remove words.wyoming."
        )
    return Ears(
        WordsSocket(path) if path is not None else None,
        Transcriber(speech) if speech is not None else None,
    )


def import_sound(config: SoundConfig) -> None:
    """Import what looks for its library with programs that a sandboxed process cannot start."""
    if config.backend == "sounddevice" or (config.backend == "auto" and not find_spec("pyaudio")):
        with contextlib.suppress(ImportError, OSError):
            import sounddevice  # noqa: F401
