"""`fleeting audit VIDEO`: record, search, control, verdict."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from agent.desk.audit.canary import Canary, stride_for
from agent.desk.audit.control import blind, plants
from agent.desk.audit.evidence import AuditError, Evidence, Finding, Item
from agent.desk.audit.examine import Examined, examine
from agent.desk.audit.record import Processes, last_words, record
from agent.desk.trace.output import progress_bar
from agent.perceive.capture.video_file import VideoFile

_SHOWN = 25
"""Findings that are printed; --json has all."""
_KINDS = {
    "wire": "uplink to broker",
    "reply": "broker to uplink",
    "log": "words of both processes",
    "database": "outbox, used and free pages",
    "journal": "outbox's journal",
    "index": "outbox's shared index",
    "kernel": "compiled kernels, changed",
    "other": "other bytes written",
}
WEAK = (
    "The video has too little texture: its pixels prove nothing, only the other detectors count. "
    "Take a video with more contrast."
)
BOUND = (
    "Not to be seen by any audit: what is said in numbers that the schemas allow. "
    "`python -m tools.capacity` prints how little that is."
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an audit came to."""

    video: Path
    evidence: Evidence
    examined: Examined
    canary: Canary
    findings: tuple[Finding, ...]
    """Real ones; what the audit planted itself is not among them."""
    blind: tuple[str, ...]
    """What it planted and did not find."""
    planted: int
    recorded: float
    searched: float
    """Seconds."""

    @property
    def passed(self) -> bool:
        return not self.findings and not self.blind


def audit(
    video: Path, *, as_json: bool, keep: Path | None, processes: Processes | None = None
) -> int:
    """Play `video` through the real agent and look for it in everything that was sent or written.

    Parameters
    ----------
    keep : Path or None
        An empty or new folder for the evidence.
    processes : Processes or None
        Other commands for the two halves, for tests that leak on purpose.

    Returns the exit code: 0 when nothing was found, 1 otherwise. Raises `AuditError` when the audit
    could not be carried out, `CaptureError` where `video` is none.
    """
    outcome = _run(video, keep, processes or Processes())
    report = as_dict(outcome)
    if keep is not None:
        (keep / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        show(outcome)
    return 0 if outcome.passed else 1


def _run(video: Path, keep: Path | None, processes: Processes) -> Outcome:
    source = VideoFile(video)
    count, fps = source.frame_count, source.fps_nominal
    if count is None:
        count = sum(1 for _ in source)  # a bare stream does not say how long it is
    source.close()
    every = stride_for(count)
    with contextlib.ExitStack() as stack:
        workspace = stack.enter_context(_workspace(keep))
        bar = stack.enter_context(progress_bar())
        started = time.monotonic()
        playing = bar.add_task("Playing the video", total=count / fps)
        evidence = record(
            video, processes, workspace, lambda seconds: bar.update(playing, completed=seconds)
        )
        bar.update(playing, total=1, completed=1)
        recorded = time.monotonic() - started
        canary = Canary(video)
        looking = bar.add_task("Searching for it", total=count // every)
        planted = plants(video, every, evidence.device, evidence.items)
        examined = examine(
            evidence,
            workspace / "run" / "outbox" / "outbox.db",
            canary,
            every,
            planted,
            lambda frames: bar.update(looking, completed=frames),
        )
        bar.update(looking, total=1, completed=1)
        silent = {each.detector for each in examined.findings if not each.planted} == {"delivery"}
        if silent and not evidence.arrived:
            raise AuditError(
                f"The audit failed: none of {evidence.released} released summaries arrived over "
                f"MQTT. uplink's last words: {last_words('uplink', workspace)}"
            )
    return Outcome(
        video,
        evidence,
        examined,
        canary,
        tuple(each for each in examined.findings if not each.planted),
        tuple(blind(planted, examined.findings)),
        len(planted),
        recorded,
        time.monotonic() - started - recorded,
    )


@contextlib.contextmanager
def _workspace(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="fleeting-audit-") as folder:
            yield Path(folder).resolve()
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise AuditError(f"{keep} is not empty. Name a new folder for the evidence.")
    except OSError as error:
        raise AuditError(
            f"The evidence cannot be kept in {keep}: {error.strerror}. Name another folder."
        ) from None
    yield keep.resolve()


def as_dict(outcome: Outcome) -> dict[str, object]:
    """The report as JSON has it."""
    evidence, canary = outcome.evidence, outcome.canary
    return {
        "verdict": "pass" if outcome.passed else "fail",
        "video": str(outcome.video),
        "frames": canary.frames,
        "frames_searched": canary.searched,
        "frames_with_texture": canary.textured,
        "canary": "weak" if canary.weak else "strong",
        "released": evidence.released,
        "arrived": evidence.arrived,
        "messages": outcome.examined.messages,
        "packets": outcome.examined.packets,
        "examined": [
            {"what": what, "items": items, "bytes": size}
            for what, items, size, _ in _rows(evidence.items, ())
        ],
        "watched": dict(evidence.watched),
        "notes": evidence.notes,
        "findings": [
            {
                "detector": each.detector,
                "where": each.where,
                "offset": each.offset,
                "what": each.what,
            }
            for each in outcome.findings
        ],
        "planted": outcome.planted,
        "blind": list(outcome.blind),
        "seconds": {
            "recording": round(outcome.recorded, 1),
            "searching": round(outcome.searched, 1),
        },
    }


def show(outcome: Outcome) -> None:
    """Tables for people, then the verdict."""
    console = Console()
    evidence, canary = outcome.evidence, outcome.canary
    table = _table("What was examined", "items", "bytes", "findings")
    for what, items, size, found in _rows(evidence.items, outcome.findings):
        table.add_row(what, str(items), f"{size:,}", str(found) if found else "-")
    console.print()
    console.print(table)
    console.print()
    messages = ", ".join(f"{n} {kind}" for kind, n in sorted(outcome.examined.messages.items()))
    lines = [
        f"Messages: {messages} in {outcome.examined.packets} packets; {evidence.arrived} of "
        f"{evidence.released} released summaries arrived.",
        *(f"{name[:1].upper()}{name[1:]}: {text}." for name, text in evidence.watched.items()),
        f"Canary: {canary.searched} of {canary.frames} frames searched for, {canary.textured} with "
        f"enough texture, in {outcome.examined.grams:,} places.",
        *([WEAK] if canary.weak else []),
        *(f"Note: {note}." for note in evidence.notes),
        (
            f"Control: BLIND for {'; '.join(outcome.blind)}."
            if outcome.blind
            else f"Control: {outcome.planted} of {outcome.planted} planted pictures found."
        ),
        BOUND,
        f"Time: {outcome.recorded:.1f} s to play, {outcome.searched:.1f} s to search.",
    ]
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if outcome.findings:
        console.print()
        console.print(_findings(outcome.findings))
        rest = len(outcome.findings) - _SHOWN
        if rest > 0:
            console.print(f"… and {rest} more; --json lists all.")
    verdict = "PASS" if outcome.passed else "FAIL"
    colour = "green" if outcome.passed else "red"
    why = (
        "nothing of the video left the device or touched its disk"
        if outcome.passed
        else f"{len(outcome.findings)} findings"
        if outcome.findings
        else "the audit cannot see what it planted itself"
    )
    console.print(f"\n[bold {colour}]{verdict}[/]: {why}.", soft_wrap=True, highlight=False)


def _rows(
    items: Sequence[Item], findings: Sequence[Finding]
) -> Iterator[tuple[str, int, int, int]]:
    """(what, items, bytes, findings) by kind."""
    found = Counter(each.where for each in findings)
    for kind, what in _KINDS.items():
        same = [each for each in items if each.kind == kind]
        if same:
            count = sum(found.pop(name, 0) for name in {each.name for each in same})
            yield what, len(same), sum(len(each.data) for each in same), count
    if found:
        yield "files, calls, tables as such", len(found), 0, sum(found.values())


def _findings(findings: Sequence[Finding]) -> Table:
    table = _table("Findings", "where", "offset", "what")
    for each in findings[:_SHOWN]:
        offset = "-" if each.offset is None else str(each.offset)
        table.add_row(each.detector, each.where, offset, each.what)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
        show_edge=False, pad_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip
    table.add_column("")
    for column in columns:
        table.add_column(column)
    return table
