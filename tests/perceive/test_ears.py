"""What hears and reads is made only where somebody asked for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent.base.config import AgentConfig
from agent.base.errors import ConfigError
from agent.base.settings_file import parse
from agent.perceive.ears import open_ears

_DEAF = """
import sys
from pathlib import Path
from agent.base.settings_file import parse
from agent.perceive.process import Perceiver

folder = Path(sys.argv[1])
privacy = {"policy": "demo", "microphone": sys.argv[2] == "on", "words": sys.argv[2] == "on"}
source = {"kind": "file", "target": sys.argv[3]}
config = parse({"source": source, "privacy": privacy,
                "store": {"outbox": str(folder / "outbox.db")}}, "test")
Perceiver(config).finish()
print(*sorted(sys.modules))
"""


@pytest.mark.slow
def test_nothing_of_it_is_loaded_while_microphone_and_words_are_off(tmp_path: Path) -> None:
    from agent.base.assets import CLIP

    def loaded(switch: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", _DEAF, str(tmp_path), switch, str(CLIP)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return set(done.stdout.split())

    heavy = {"agent.voice.listener", "agent.voice.tone", "agent.kernels.pitch", "av"}
    assert not loaded("off") & {*heavy, "agent.text.sentiment", "pyaudio", "sounddevice"}
    assert heavy <= loaded("on")


def config(tmp_path: Path, **words: str) -> AgentConfig:
    privacy = {"policy": "demo", "microphone": False}
    return parse({"privacy": privacy, "words": {"socket": str(tmp_path / "w.sock"), **words}}, "x")


def test_the_socket_is_bound_only_where_words_are_read(tmp_path: Path) -> None:
    asked = config(tmp_path)
    ears = open_ears(asked)
    assert ears.words is not None
    assert (tmp_path / "w.sock").is_socket()
    ears.close()
    (tmp_path / "w.sock").unlink()
    off = asked.privacy.model_copy(update={"words": False})
    assert open_ears(asked.model_copy(update={"privacy": off})).words is None
    assert not (tmp_path / "w.sock").exists()


def test_speech_to_text_needs_a_microphone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"privacy\.microphone is off"):
        open_ears(config(tmp_path, wyoming="/run/whisper.sock"))
