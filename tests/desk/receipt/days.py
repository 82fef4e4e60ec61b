"""A device that releases summaries and signs daily receipts, with controlled clocks."""

from __future__ import annotations

from pathlib import Path

from agent.base.config import AgentConfig
from agent.base.report import Receipt, Summary, to_json
from agent.base.settings_file import parse
from agent.uplink.receipt.book import ReceiptBook
from agent.wall.outbox import Outbox
from tests.summaries import summary

NOON = 1_800_014_400.0 - 1_800_014_400.0 % 86_400 + 43_200
"""UTC seconds of some noon."""
DAY = 86_400.0
HOUR = 3600.0


class Box:
    """An outbox and a receipt book with controlled clocks."""

    def __init__(self, folder: Path, utc: float | None = NOON, monotonic: float = 1000.0) -> None:
        self.folder, self.utc, self.monotonic = folder, utc, monotonic
        store = {"outbox": str(folder / "outbox.db"), "max_age": 366 * DAY}
        self.config: AgentConfig = parse({"store": store}, "test")
        self.seq = self.starts = 0
        self.start()

    def start(self) -> None:
        """Start the process."""
        self.outbox = Outbox(self.config.store, utc=lambda: self.utc)
        self.book = ReceiptBook(self.config, self.outbox)

    def restart(self) -> None:
        self.outbox.close()
        self.start()

    def reboot(self, off: float = 0.0) -> None:
        """Restart the machine after `off` seconds: the monotonic clock is reset."""
        if self.utc is not None:
            self.utc += off
        self.monotonic = 5.0
        self.starts += 1
        self.outbox.close()
        self.start()
        self.book._machine = f"start {self.starts}"

    def pass_time(self, seconds: float, step: float = HOUR) -> list[Receipt]:
        """Advance both clocks with a tick every `step`; return the receipts signed."""
        signed = []
        end = self.monotonic + seconds
        while self.monotonic < end:
            ahead = min(step, end - self.monotonic)
            self.monotonic += ahead
            if self.utc is not None:
                self.utc += ahead
            signed += self.tick()
        return signed

    def tick(self) -> list[Receipt]:
        receipt = self.book.tick(self.utc, self.monotonic)
        return [] if receipt is None else [receipt]

    def release(self, number: int = 1, visits: int = 0) -> list[Summary]:
        done = [summary(self.seq + n, self.outbox.boot) for n in range(number)]
        self.seq += number
        for each in done:
            self.outbox.add(each, visits)
        return done

    def written(self, kind: str) -> list[bytes]:
        """Pending messages of one kind."""
        return [row.body for row in self.outbox.peek(100_000) if row.kind == kind]


def save(path: Path, bodies: list[bytes]) -> Path:
    """As a subscriber would write them: one message per line."""
    path.write_bytes(b"".join(body + b"\n" for body in bodies))
    return path


def lines(messages: list[Receipt] | list[Summary]) -> list[bytes]:
    return [to_json(message) for message in messages]
