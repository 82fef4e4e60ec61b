"""One process of the agent, started under strace, with all that it says and does recorded."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.desk.audit import _system_calls
from agent.desk.audit._artifacts import Artifact, Evidence, Finding
from agent.desk.audit._rules import Process
from agent.desk.audit._system_calls import Judge, Run, Tracer
from agent.desk.audit._words import MAX_BYTES, Words
from agent.desk.audit._written import WrittenStore

_STOP_TIMEOUT = 20.0
"""Seconds."""
_KILL_TIMEOUT = 10.0
_WORDS_TIMEOUT = 3.0


class Watched:
    """Context manager: the process runs inside, and is killed at the end if it still does."""

    def __init__(
        self,
        name: Process,
        command: Sequence[str],
        environment: Mapping[str, str],
        workspace: Path,
        store: WrittenStore,
        port: int,
    ) -> None:
        """`port`: of the broker as uplink sees it. The process runs in `workspace`/run/cwd."""
        self.name = name
        self.unseen: list[str] = []
        self._workspace, self._port = workspace, port
        self._said = bytearray()
        self._reading, writing = os.pipe()
        pipe = f"pipe:[{os.fstat(writing).st_ino}]"
        fifo = workspace / "trace" / f"{name}.fifo"
        prefix = _system_calls.strace(fifo)
        self._judge = Judge(Run(name, workspace / "run", port, pipe), store)
        self._tracer: Tracer | None = None
        if prefix:
            self._tracer = Tracer(fifo, workspace / "trace" / f"{name}.txt", self._judge)
            self._tracer.__enter__()
        else:
            self.unseen.append(
                f"{name} was not traced: strace is missing or may not trace here; install it with "
                f"{_system_calls.INSTALL}, and run the audit where ptrace(2) is permitted"
            )
        try:
            self.child = subprocess.Popen(
                [*prefix, *command],
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                env=dict(environment),
                cwd=workspace / "run" / "cwd",
                start_new_session=True,  # to signal it together with strace
            )
        finally:
            os.close(writing)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
        self._listener.join(_KILL_TIMEOUT)
        if self._listener.is_alive():
            self.unseen.append(f"{self.name} left a process behind that still holds its stderr")
        if self._tracer is not None:
            self._tracer.__exit__()

    def check_exit(self) -> None:
        """Call when it has ended: an error code means that not all was seen."""
        if self.child.returncode:
            self._listener.join(_WORDS_TIMEOUT)
            self.unseen.append(
                f"{self.name} ended early, with code {self.child.returncode}; its last words: "
                f"{self.last_words()}"
            )

    def stop(self) -> None:
        """Terminate gracefully. strace itself blocks SIGTERM (-I 3, the default with -o)."""
        if self.child.poll() is not None:
            self.check_exit()
            self.unseen.append(f"{self.name} ended before it was asked to")
            return
        os.killpg(self.child.pid, signal.SIGTERM)
        try:
            self.child.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.unseen.append(f"{self.name} did not end within {_STOP_TIMEOUT:.0f} s")
            return
        self.check_exit()

    def last_words(self) -> str:
        """The end of what it said."""
        lines = bytes(self._said).decode("utf-8", "replace").splitlines()
        return " | ".join(lines[-3:])[-600:] or "none"

    def report(self, evidence: Evidence, paths: tuple[str, ...]) -> None:
        """Add what was recorded to the evidence; call after the end. `paths`: those that its words
        may name."""
        said = bytes(self._said)
        (self._workspace / f"{self.name}.log").write_bytes(said)
        where = f"{self.name}'s words (stdout, stderr)"
        evidence.artifacts.append(Artifact(where, "log", said))
        if len(said) >= MAX_BYTES:
            what = f"more than {MAX_BYTES:,} bytes of words"
            evidence.findings.append(Finding("words", where, None, what))
        words = Words(self.name, self._port, paths)
        words.judge(said)
        evidence.findings += words.findings
        self.unseen += [f"{self.name} reports trouble: {each}" for each in words.trouble[:3]]
        verdict = self._judge.verdict
        if self._tracer is not None:
            if self._tracer.failed or not verdict.calls:
                why = self._tracer.failed or "strace recorded nothing"
                self.unseen.append(f"{self.name}'s system calls: {why}")
            if verdict.unread:
                self.unseen.append(
                    f"{verdict.unread} lines of strace about {self.name} could not be understood"
                )
            if verdict.cut:
                self.unseen.append(f"{verdict.cut} writes of {self.name} were recorded in part")
            refused = ", ".join(f"{n} {call}" for call, n in sorted(verdict.refused.items()))
            calls = f"{verdict.calls} recorded{f'; refused: {refused}' if refused else ''}"
            evidence.watched = {**evidence.watched, f"{self.name}'s system calls": calls}
        for what in verdict.findings():
            evidence.findings.append(Finding("call", self.name, None, what))
        evidence.unseen += self.unseen

    def _listen(self) -> None:
        with open(self._reading, "rb", buffering=0) as pipe, contextlib.suppress(OSError):
            while part := pipe.read(65_536):
                self._said += part[: MAX_BYTES - len(self._said)]
