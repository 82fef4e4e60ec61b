"""A small study made by the device's own recorder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.perceive.traces.session import name_of, open_session
from tests.perceive.traces.made import Clocks, face, frame, movement, opened, recorder


@dataclass(frozen=True)
class Made:
    """A device's folder, and what belongs to it."""

    folder: Path
    key: X25519PrivateKey
    codes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(str(name_of(code)) for code in self.codes)


def device(folder: Path, key: X25519PrivateKey, sessions: int = 2, movements: int = 3) -> Made:
    """Sessions of one face each, of six seconds, with movements a second apart."""
    folder.mkdir(mode=0o700)
    codes = []
    for _ in range(sessions):
        clocks = Clocks(trusted=True)
        code, session = opened(clocks)
        codes.append(code)
        of = recorder(folder, key, clocks)
        open_session(folder, session)
        for n in range(180):
            clocks.boottime += 1 / 30
            found = [
                movement(7, clocks.boottime - 0.5) for m in range(movements) if n == 60 + 30 * m
            ]
            of.add(frame(clocks.boottime, face(7, new=n % 5 == 0), micro=tuple(found)))
        of.close()
    (folder / "session.json").unlink()
    return Made(folder, key, tuple(codes))
