"""`fleeting audit VIDEO`: recording, search and report."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agent.base.errors import CaptureError
from agent.base.names import as_utf8, one_line
from agent.desk.audit._artifacts import Artifact, AuditError, Evidence, Finding
from agent.desk.audit._detect import Detected, detect
from agent.desk.audit._reference import Frames, Reference, read_frames, stride_for
from agent.desk.audit._sound import MIN_SCORE as MIN_SOUND
from agent.desk.audit._spectrum import MIN_SCORE as MIN_SPECTRUM
from agent.desk.audit.recording import Processes, record
from agent.desk.trace.output import progress_bar
from agent.perceive.capture.video_file import VideoFile

_MAX_PRINTED = 25
"""Findings printed; --json has all."""
_EXIT_CODES = {"pass": 0, "fail": 1, "incomplete": 2}
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
_WEAK = (
    "The video has too little texture: its pixels prove nothing, only the other detectors count. "
    "Take a video with more contrast."
)
_LIMITATION = (
    "No audit can see data encoded in the numbers that the schemas allow, nor recognise a voice "
    "that was encrypted, or words that were translated: such bytes are found where none belong. "
    "`python -m tools.capacity` prints the capacity of the numbers."
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of an audit."""

    video: Path
    evidence: Evidence
    detected: Detected
    reference: Reference
    recorded: float
    searched: float
    """Seconds."""

    @property
    def unseen(self) -> list[str]:
        """Why the audit did not look at everything."""
        missed = self.detected.missed
        blind = f"it did not find what it planted itself: {'; '.join(missed)}" if missed else ""
        return [*self.evidence.unseen, *self.detected.unseen, *filter(None, [blind])]

    @property
    def verdict(self) -> Literal["pass", "fail", "incomplete"]:
        """A finding weighs more than what was not looked at."""
        if self.detected.findings:
            return "fail"
        return "incomplete" if self.unseen else "pass"


def audit(
    video: Path, *, as_json: bool, keep: Path | None, processes: Processes | None = None
) -> int:
    """Play `video` through the real agent and search for it in everything sent or written.

    Parameters
    ----------
    keep : Path or None
        An empty or new folder for the evidence.
    processes : Processes or None
        Other commands for the two processes, for tests with deliberate leaks.

    Returns 0 when nothing was found and everything was looked at, 1 where something was found, 2
    where nothing was found but not everything could be looked at. Raises `AuditError` where the
    audit cannot begin, also when `video` is not readable.
    """
    try:
        outcome = _run(video, keep, processes or Processes())
    except CaptureError as error:
        raise AuditError(str(error)) from None
    report = as_dict(outcome)
    if keep is not None:
        (keep / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        show(outcome)
    return _EXIT_CODES[outcome.verdict]


def _run(video: Path, keep: Path | None, processes: Processes) -> Outcome:
    with contextlib.closing(VideoFile(video)) as source:
        seconds = (source.frame_count or 1) / source.fps_nominal
    frames = read_frames(video)
    count = frames.count
    reference = Reference(video, stride_for(count))
    with _workspace(keep) as workspace, progress_bar() as bar:
        started = time.monotonic()
        playing = bar.add_task("Playing the video", total=seconds)
        evidence = record(
            video,
            frames,
            processes,
            workspace,
            lambda seconds: bar.update(playing, completed=seconds),
        )
        bar.update(playing, total=1, completed=1)
        reference.path = evidence.played
        recorded = time.monotonic() - started
        searching = bar.add_task("Searching for it", total=count // reference.every)
        detected = detect(
            evidence,
            workspace / "run" / "outbox" / "outbox.db",
            reference,
            lambda frames: bar.update(searching, completed=frames),
        )
        bar.update(searching, total=1, completed=1)
        if evidence.played != video:
            evidence.played.unlink()
    evidence.unseen += doubtful(reference, frames)
    undelivered = {each.detector for each in detected.findings} == {"delivery"}
    if undelivered and not evidence.arrived:  # nobody sent anything: no leak, but no proof either
        evidence.unseen.append(f"none of {evidence.released} summaries arrived over MQTT")
        detected = replace(detected, findings=[])
    searched = time.monotonic() - started - recorded
    return Outcome(video, evidence, detected, reference, recorded, searched)


def doubtful(reference: Reference, frames: Frames) -> list[str]:
    """Why what was searched for may not be what the agent saw. `frames`: those of the video, when
    it was read before it was played."""
    if reference.read == frames:
        return []
    return [
        "the video gives other pictures each time it is read, so that nobody knows what the agent "
        "saw; convert it to H.264 in MKV"
    ]


@contextlib.contextmanager
def _workspace(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="fleeting-audit-") as folder:
            yield Path(folder).resolve()
        return
    if as_utf8(keep.absolute()) != str(keep.absolute()):
        raise AuditError(
            f"{keep} has bytes that are no UTF-8, and the settings of an audit must name it. Name "
            "another folder for the evidence."
        )
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
    """The report as JSON data."""
    evidence, detected, reference = outcome.evidence, outcome.detected, outcome.reference
    return {
        "verdict": outcome.verdict,
        "video": as_utf8(outcome.video),
        "frames": reference.frames,
        "frames_searched": reference.searched,
        "frames_with_texture": reference.textured,
        "canary": "weak" if reference.weak else "strong",
        "released": evidence.released,
        "arrived": evidence.arrived,
        "messages": detected.messages,
        "packets": detected.packets,
        "examined": [
            {"what": what, "items": items, "bytes": size}
            for what, items, size, _ in _rows(evidence.artifacts, ())
        ],
        "watched": dict(evidence.watched),
        "notes": evidence.notes,
        "unseen": outcome.unseen,
        "findings": [
            {name: getattr(each, name) for name in ("detector", "where", "offset", "what")}
            for each in detected.findings
        ],
        "voice": _voice(outcome),
        "planted": detected.controls,
        "blind": detected.missed,
        "seconds": {
            "recording": round(outcome.recorded, 1),
            "searching": round(outcome.searched, 1),
        },
    }


def _voice(outcome: Outcome) -> dict[str, object] | None:
    """What was said to the agent, and how it was looked for; None: nothing was."""
    evidence, heard = outcome.evidence, outcome.detected.heard
    if evidence.canary is None:
        return None
    return {
        "planted": evidence.played != outcome.video,
        "words": list(evidence.canary.words),
        "lines": evidence.lines,
        "bytes_searched": heard.get("bytes", 0),
        "stretches_compared": heard.get("stretches", 0),
        "arrays_compared": heard.get("arrays", 0),
        "least_score": {"sound": MIN_SOUND, "spectrum": MIN_SPECTRUM},
    }


def _spoken(outcome: Outcome) -> Iterator[str]:
    voice = _voice(outcome)
    if voice is not None:
        sound = "a voice of this run" if voice["planted"] else "no sound"
        yield (
            f"Said: {sound} as its sound track, {voice['lines']} lines of text; "
            f"{voice['stretches_compared']:,} stretches of numbers were compared with the voice "
            f"(correlation of {MIN_SOUND} or more), {voice['arrays_compared']:,} arrays with its "
            f"spectrum ({MIN_SPECTRUM}), and {voice['bytes_searched']:,} bytes searched for the "
            "words."
        )


def show(outcome: Outcome) -> None:
    """Print the report as tables, then the verdict."""
    console = Console()
    evidence, detected, reference = outcome.evidence, outcome.detected, outcome.reference
    table = _table("What was examined", "items", "bytes", "findings")
    for what, items, size, found in _rows(evidence.artifacts, detected.findings):
        table.add_row(what, str(items), f"{size:,}", str(found) if found else "-")
    console.print()
    console.print(table)
    console.print()
    messages = ", ".join(f"{n} {kind}" for kind, n in sorted(detected.messages.items()))
    lines = [
        f"Messages: {messages} in {detected.packets} packets; {evidence.arrived} of "
        f"{evidence.released} released summaries arrived.",
        *(f"{name[:1].upper()}{name[1:]}: {text}." for name, text in evidence.watched.items()),
        f"Video: {reference.searched} of {reference.frames} frames searched for, "
        f"{reference.textured} with enough texture, in {detected.grams:,} places.",
        *([_WEAK] if reference.weak else []),
        *_spoken(outcome),
        *(f"Note: {note}." for note in evidence.notes),
        f"Positive controls: {detected.controls} leaks planted; missed: "
        f"{'; '.join(detected.missed) or 'none'}.",
        _LIMITATION,
        f"Time: {outcome.recorded:.1f} s to play, {outcome.searched:.1f} s to search.",
    ]
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if detected.findings:
        console.print()
        console.print(_findings(detected.findings))
        rest = len(detected.findings) - _MAX_PRINTED
        if rest > 0:
            console.print(f"… and {rest} more; --json lists all.")
    for reason in outcome.unseen:
        console.print(f"Not looked at: {reason}.", soft_wrap=True, highlight=False, markup=False)
    colour = {"pass": "green", "fail": "red", "incomplete": "yellow"}[outcome.verdict]
    why = {
        "pass": "nothing of the video, the voice or the words left the device or touched its disk",
        "fail": f"{len(detected.findings)} findings",
        "incomplete": "nothing was found, but not everything could be looked at; this is no pass",
    }[outcome.verdict]
    verdict = f"[bold {colour}]{outcome.verdict.upper()}[/]"
    console.print(f"\n{verdict}: {why}.", soft_wrap=True, highlight=False)


def _rows(
    artifacts: Sequence[Artifact], findings: Sequence[Finding]
) -> Iterator[tuple[str, int, int, int]]:
    """(what, items, bytes, findings) by kind of artifact."""
    found = Counter(each.where for each in findings)
    for kind, what in _KINDS.items():
        same = [each for each in artifacts if each.kind == kind]
        if same:
            count = sum(found.pop(name, 0) for name in {each.name for each in same})
            yield what, len(same), sum(len(each.data) for each in same), count
    if found:
        yield "files, calls, tables as such", len(found), 0, sum(found.values())


def _findings(findings: Sequence[Finding]) -> Table:
    table = _table("Findings", "where", "offset", "what")
    for each in findings[:_MAX_PRINTED]:
        offset = "-" if each.offset is None else str(each.offset)
        table.add_row(
            each.detector, *(escape(one_line(t)) for t in (each.where, offset, each.what))
        )
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
