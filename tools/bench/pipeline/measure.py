"""Ours and the peer over the same frames, in alternating chunks, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from tools.bench.pipeline.frames import Decoded, decode
from tools.bench.pipeline.peer_python import peer_python
from tools.common.errors import ToolError
from tools.common.files import ROOT
from tools.common.machine import machine
from tools.common.progress import along

OURS = "tools.bench.pipeline.ours"
"""Module of the process that is measured."""


@dataclass(slots=True)
class Totals:
    """Sums over the chunks of one subject."""

    what: str
    frames: int = 0
    cpu: float = 0.0
    """Seconds of process CPU time, all threads."""
    wall: float = 0.0
    """Seconds inside the calls."""
    faces: int = 0
    stages: dict[str, float] = field(default_factory=dict)
    chunk_cpu: list[float] = field(default_factory=list)
    """CPU seconds per frame, chunk by chunk."""
    peak_rss_mib: float = 0.0

    def add(self, frames: int, answer: Mapping[str, Any]) -> None:
        """One chunk's answer."""
        self.frames += frames
        self.cpu += answer["cpu"]
        self.wall += answer["wall"]
        self.faces += answer["faces"]
        self.chunk_cpu.append(answer["cpu"] / frames)
        for name, seconds in answer["stages"].items():
            self.stages[name] = self.stages.get(name, 0.0) + seconds

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of CPU time per frame."""
        return 1e3 * self.cpu / self.frames


class Subject:
    """A child process that serves one subject (see `worker.serve`)."""

    def __init__(
        self, python: Path | str, module: str, decoded: Decoded, rgb: bool, options: dict[str, Any]
    ) -> None:
        self._name = module.rpartition(".")[2]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed in __exit__)
        self._process = subprocess.Popen(
            [str(python), "-m", module],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        shape = [decoded.height, decoded.width, *([3] if rgb else [])]
        answer = self._ask(
            do="open",
            file=str(decoded.rgb if rgb else decoded.grey),
            shape=shape,
            stored=decoded.count,
            fps=decoded.fps,
            options=options,
        )
        self.totals = Totals(answer["what"])

    def __enter__(self) -> Subject:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        if self._process.stdout:
            self._process.stdout.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def run(self, first: int, last: int, counted: bool = True) -> None:
        """Feed it frames `first` to `last`; add them up unless they are a warm-up."""
        answer = self._ask(do="run", first=first, last=last)
        if counted:
            self.totals.add(last - first, answer)

    def finish(self) -> Totals:
        """The sums, with the peak memory."""
        self.totals.peak_rss_mib = self._ask(do="memory")["peak_rss_mib"]
        return self.totals

    def _ask(self, **request: Any) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
            line = stdout.readline()
        except OSError:
            line = ""
        if not line:
            self._process.wait()
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip().splitlines()
            raise ToolError(
                f"{self._name} stopped with exit code {self._process.returncode}: "
                f"{said[-1] if said else 'it said nothing'}. Nothing was measured."
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ToolError(f"{self._name} failed: {answer['error']}. Nothing was measured.")
        return answer


@dataclass(frozen=True, slots=True)
class Options:
    """What to compare, and over what."""

    video: Path
    frames: int = 300
    chunk: int = 30
    size: tuple[int, int] | None = None
    fps: float | None = None
    peer: bool = False
    python: Path | None = None
    task: Path | None = None
    networks: Path | None = None
    """Folder with the task's three networks as single files."""


def measure(options: Options) -> dict[str, Any]:
    """Run it; the report as plain data. Raises `ToolError` and whatever the pipeline raises."""
    for path in (options.video, options.task, options.networks):
        if path is not None and not path.exists():
            raise ToolError(f"{path} does not exist. Check the path.")
    python = peer_python(options.python) if options.peer else None
    before = machine()
    with tempfile.TemporaryDirectory(prefix="fleeting-bench-") as temporary:
        decoded = decode(options.video, Path(temporary), options.frames, options.size, options.fps)
        # Once before, so that compiling kernels is in neither the time nor the memory. All of it:
        # the first face may come late, and most kernels with it.
        with Subject(sys.executable, OURS, decoded, False, {}) as warming:
            warming.run(0, options.frames, counted=False)
        with Subject(sys.executable, OURS, decoded, False, {}) as ours:
            theirs: Totals | None = None
            if python is None:
                _alternate([ours], options)
                totals = ours.finish()
            else:
                asked = {
                    "task": str(options.task.resolve()) if options.task else "",
                    "networks": str(options.networks.resolve()) if options.networks else "",
                }
                with Subject(python, "tools.bench.pipeline.peer", decoded, True, asked) as peer:
                    _alternate([ours, peer], options)
                    totals, theirs = ours.finish(), peer.finish()
        # in a process of its own, since the clocks are dear
        with Subject(sys.executable, OURS, decoded, False, {"stages": True}) as staged:
            _alternate([staged], options)
            return _report(options, decoded, before, totals, theirs, staged.finish())


def _alternate(subjects: Sequence[Subject], options: Options) -> None:
    """Every frame twice; the first time, while libraries load what they need, does not count."""
    for subject in subjects:
        subject.run(0, options.frames, counted=False)
    chunks = range(options.frames, 2 * options.frames, options.chunk)
    for first in along(chunks, f"chunks of {options.chunk} frames"):
        for subject in subjects:
            subject.run(first, min(first + options.chunk, 2 * options.frames))


def _report(
    options: Options,
    decoded: Decoded,
    before: Any,
    ours: Totals,
    peer: Totals | None,
    staged: Totals,
) -> dict[str, Any]:
    inside = sum(s for name, s in staged.stages.items() if name.startswith("model."))
    return {
        "machine": before,
        "video": options.video.name,
        "size": [decoded.width, decoded.height],
        "frames": ours.frames,
        "ours": ours.what,
        "peer": peer.what if peer else None,
        "fps": round(ours.frames / ours.wall, 1),
        "peer_fps": round(peer.frames / peer.wall, 1) if peer else None,
        "cpu_ms_per_frame": round(ours.cpu_ms, 4),
        "peer_cpu_ms_per_frame": round(peer.cpu_ms, 4) if peer else None,
        "cpu_ratio": round(ours.cpu_ms / peer.cpu_ms, 4) if peer else None,
        "cpu_ms_quietest_chunk": round(1e3 * min(ours.chunk_cpu), 4),
        "peer_cpu_ms_quietest_chunk": round(1e3 * min(peer.chunk_cpu), 4) if peer else None,
        "outside_model_share": round(1.0 - inside / staged.stages["all"], 4),
        "stage_ms": {name: round(1e3 * s / staged.frames, 4) for name, s in staged.stages.items()},
        "faces_per_frame": round(ours.faces / ours.frames, 3),
        "peer_faces_per_frame": round(peer.faces / peer.frames, 3) if peer else None,
        "peak_rss_mib": round(ours.peak_rss_mib, 1),
        "peer_peak_rss_mib": round(peer.peak_rss_mib, 1) if peer else None,
    }
