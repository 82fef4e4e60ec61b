"""Leaks to build in: names, attributes, times and sizes of files, words, and the time before the
sandbox closes."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.robustness.leaks.kinds import Leak

ToJson = Callable[[Any], bytes]


class _Beside(Leak):
    """Does something beside the outbox, and goes on where the sandbox refuses it."""

    def leak(self, summary: Any, to_json: ToJson) -> bytes:
        with contextlib.suppress(OSError):
            self.act(self.outbox.parent)
        return to_json(summary)

    def act(self, folder: Path) -> None:
        """Leak the newest frame below `folder`."""

    def rows(self) -> list[str]:
        """A small picture, a hexadecimal text per row."""
        return [bytes(row).hex() for row in self.thumbnail(32, 24)]


class Names(_Beside):
    """In the names of empty files."""

    def act(self, folder: Path) -> None:
        for number, row in enumerate(self.rows()):
            (folder / f"{number}-{row}").touch()


class Folders(_Beside):
    """In the names of folders, removed at once."""

    def act(self, folder: Path) -> None:
        for row in self.rows():
            (folder / row).mkdir()
            (folder / row).rmdir()


class Links(_Beside):
    """In the targets of symbolic links."""

    def act(self, folder: Path) -> None:
        for number, row in enumerate(self.rows()):
            os.symlink(row, folder / f"link{number}")


class SocketName(_Beside):
    """In the names of local sockets."""

    def act(self, folder: Path) -> None:
        for row in self.rows():
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local:
                local.bind(str(folder / row[:24]))


class Renames(_Beside):
    """In the order in which the settings file gets its name."""

    def act(self, folder: Path) -> None:
        for pixel in self.thumbnail(8, 6).reshape(-1):
            for bit in range(8):
                name = "a" if pixel >> bit & 1 else "b"
                path = folder / f".settings.json.{name * 8}.tmp"
                path.write_bytes(b"")
                path.replace(folder / "settings.json")


class Dictionary(_Beside):
    """In ordinary words on stderr."""

    WORDS = ("sun", "rain", "snow", "wind", "cloud", "fog", "storm", "frost")

    def act(self, folder: Path) -> None:
        for row in self.thumbnail(16, 12):
            print("weather:", " ".join(self.WORDS[pixel >> 5] for pixel in row), file=sys.stderr)


class Template(_Beside):
    """In the order of lines that the agent says anyway."""

    def act(self, folder: Path) -> None:
        log = logging.getLogger("agent.perceive.process")
        for pixel in self.thumbnail(8, 6).reshape(-1):
            for bit in range(8):
                log.info("Now %s.", "running" if pixel >> bit & 1 else "paused")


class Number(_Beside):
    """In the number of a line that the agent says anyway."""

    def act(self, folder: Path) -> None:
        for pixel in self.thumbnail(16, 12).reshape(-1):
            logging.getLogger("agent.perceive.warm_up").info("Warm after %.1f s.", pixel / 10)


class Kernel(_Beside):
    """In a file among the compiled kernels."""

    def act(self, folder: Path) -> None:
        cache = Path(os.environ["NUMBA_CACHE_DIR"])
        (cache / "flow.smooth-41.py311.1.nbc").write_bytes(self.luma.tobytes())


class Times(_Beside):
    """In the outbox's time of modification."""

    def act(self, folder: Path) -> None:
        for pixel in self.thumbnail(16, 12).reshape(-1):
            os.utime(self.outbox, ns=(0, int(pixel) * 1_000_003))


class Modes(_Beside):
    """In the outbox's mode."""

    def act(self, folder: Path) -> None:
        for pixel in self.thumbnail(16, 12).reshape(-1):
            with contextlib.suppress(OSError):
                self.outbox.chmod(0o600 | int(pixel) & 0o77)


class Sizes(_Beside):
    """In the sizes of the lock file."""

    def act(self, folder: Path) -> None:
        for pixel in self.thumbnail(16, 12).reshape(-1):
            os.truncate(f"{self.outbox}.lock", int(pixel) << 4)


class Attributes(_Beside):
    """In an extended attribute of the outbox."""

    def act(self, folder: Path) -> None:
        os.setxattr(self.outbox, "user.note", self.thumbnail(32, 24).tobytes())


class Index(_Beside):
    """In the outbox's shared index, through memory."""

    def act(self, folder: Path) -> None:
        import mmap

        picture = self.thumbnail(80, 60).tobytes()
        with open(f"{self.outbox}-shm", "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
            memory[24_000 : 24_000 + len(picture)] = picture


class ThreadName(_Beside):
    """In the name of the process."""

    def act(self, folder: Path) -> None:
        from agent.host.sandbox import kernel

        for row in self.rows():
            name = row[:15].encode()
            kernel.LIBC.prctl(15, name, 0, 0, 0)  # PR_SET_NAME


class Early(Leak):
    """In a file outside, written before the sandbox closes."""

    def before_sandbox(self, settings: str) -> None:
        super().before_sandbox(settings)
        frames = self.frames(30)
        path = Path(os.environ["HOME"]).parents[1] / "early.raw"
        path.write_bytes(frames)
        path.unlink()

    def frames(self, count: int) -> bytes:
        """The first frames of the video, raw."""
        from tools.common.film import greys

        video = Path(self.settings["source"]["target"])
        return b"".join(each.tobytes() for each in itertools.islice(greys(video), count))


class EarlySocket(Early):
    """Over a datagram socket, before the sandbox closes."""

    def before_sandbox(self, settings: str) -> None:
        Leak.before_sandbox(self, settings)
        frames = self.frames(3)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as away:
            for start in range(0, len(frames), 8_000):
                away.sendto(frames[start : start + 8_000], ("127.0.0.1", 9))


class Child(Early):
    """By a program started before the sandbox closes."""

    def before_sandbox(self, settings: str) -> None:
        Leak.before_sandbox(self, settings)
        import subprocess

        subprocess.run(["cat"], input=self.frames(3), stdout=subprocess.DEVNULL, check=False)


FILE_KINDS: dict[str, tuple[type[Leak], str]] = {
    "names": (Names, "pixels in names of empty files"),
    "folders": (Folders, "pixels in names of folders, removed at once"),
    "links": (Links, "pixels in targets of symbolic links"),
    "socketname": (SocketName, "pixels in names of local sockets"),
    "renames": (Renames, "pixels in the order of names given to one file"),
    "dictionary": (Dictionary, "pixels as ordinary words on stderr"),
    "template": (Template, "pixels in the order of the agent's own log lines"),
    "number": (Number, "pixels in the number of one of the agent's own log lines"),
    "kernel": (Kernel, "a frame in a file among the compiled kernels"),
    "times": (Times, "pixels in the outbox's time of modification"),
    "modes": (Modes, "pixels in the outbox's mode"),
    "sizes": (Sizes, "pixels in the size of the lock file"),
    "xattr": (Attributes, "pixels in an extended attribute"),
    "index": (Index, "pixels in the outbox's shared index"),
    "threadname": (ThreadName, "pixels in the process's name"),
    "early": (Early, "raw frames in a file, before the sandbox closes"),
    "earlysocket": (EarlySocket, "raw frames in datagrams, before the sandbox closes"),
    "child": (Child, "raw frames to a program, before the sandbox closes"),
}
