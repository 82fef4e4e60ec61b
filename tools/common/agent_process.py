"""A process of the agent that is killed and started again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from agent.host.supervise import child_environment
from tools.common.mosquitto import die_with_parent, terminate


class AgentProcess:
    """`fleeting perceive` or `fleeting uplink`."""

    def __init__(
        self, name: str, config: Path, folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """`environment`: beside this process's own."""
        self.starts = 0
        self.log = folder / f"{name}.log"
        self._command = [
            sys.executable, "-P", "-m", "agent.cli", name, "--config", str(config)
        ]  # fmt: skip
        self._environment = child_environment() | {**(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; its output is appended to its log."""
        self.starts += 1
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self._environment, preexec_fn=die_with_parent,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """Process id; 0 where it does not run."""
        return 0 if self._process is None else self._process.pid

    def ended(self) -> int | None:
        """Its exit code once it has ended by itself."""
        return None if self._process is None else self._process.poll()

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """SIGTERM, as systemd does; returns the exit code. Killed when it takes too long."""
        process, self._process = self._process, None
        return 0 if process is None else terminate(process)
