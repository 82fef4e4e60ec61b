"""The evaluation of voice activity as Markdown, for the card and the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tools.common.tables import markdown
from tools.eval.card import OURS, beside, file_lines, join, missing, number, prose

Report = Mapping[str, Any]

INTRODUCTION = """
    `python -m tools.eval activity`: talk of the packs' unseen speakers with pauses, {talks} streams
    of {seconds:g} s per kind of noise, each at every signal-to-noise ratio; noises by new seeds,
    and four kinds that training never heard ({never}). Area under the ROC curve over frames of
    10 ms, all streams of a row together, so that one threshold has to serve all; in brackets 95 %
    intervals over streams drawn again; bold where the paired difference to ours is not 0. Ours is
    the shipped int8 network, {chunk} frames coming in at a time, gate included.
"""
LEVEL = "Speech is where the clean speech is within 30 dB of its loud frames."
TOLD = "Speech is where Silero hears it in the clean speech: a definition that favours Silero."
NEVER = "Only noises of the four kinds that training never heard; speech by level."
BY_KIND = """
    By kind of noise, at 0 and 10 dB; kinds in italics were in training, by other seeds. Babble are
    four to nine other people: whoever waits for one voice calls it noise, others do not.
"""
ROOMS = (
    "In rooms of our own making, {snr:g} dB, unseen noises, speech by the level of the dry sound."
)
ALONE = """
    No speech at all: minutes an hour that are taken for it. Ours with onset {onset:g} and offset
    {offset:g}, Silero from .5 on, WebRTC in its most careful mode.
"""
DECISIONS = "Frames of speech that are found, and other frames that are taken for speech."


def section(report: Report) -> str:
    """All tables."""
    names = list(report["snr"][0]["level"])
    spent = report["time"]
    return join(
        [
            prose(INTRODUCTION.format(**report, never=", ".join(report["unseen"]))),
            prose(LEVEL),
            _curves(report["snr"], "level", names),
            prose(TOLD),
            _curves(report["snr"], "silero", names),
            prose(NEVER),
            _curves([row for row in report["snr"] if row["unseen"]], "unseen", names),
            prose(BY_KIND),
            _kinds(report["kinds"]),
            prose(ROOMS.format(snr=report["room_snr"])),
            markdown(
                ("T60, s", *names),
                [(f"{row['seconds']:g}", *_row(row["level"], names)) for row in report["rooms"]],
            ),
            prose(ALONE.format(**report)),
            _alone(report["alone"]),
            prose(DECISIONS),
            _decisions(report["decisions"]),
            prose(
                f"Processor time for a second of sound: features {spent['features']:.2f} ms, "
                f"activity {spent['activity']:.2f} ms, Silero {spent['silero']:.2f} ms."
            ),
            file_lines(report["file"], {}),
            missing(report["missing"]),
        ]
    )


def _snr(value: float | None) -> str:
    return "clean" if value is None else f"{value:g} dB"


def _row(cells: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return [number(cells[name], 3) if name == OURS else beside(cells[name], 3) for name in names]


def _curves(rows: Sequence[Report], key: str, names: Sequence[str]) -> str:
    return markdown(("SNR", *names), [(_snr(row["snr"]), *_row(row[key], names)) for row in rows])


def _kinds(rows: Sequence[Report]) -> str:
    names = list(rows[0]["0"])
    head = ("noise", *(f"{name}, {snr} dB" for snr in (0, 10) for name in names))
    lines = [
        (
            row["kind"] if row["unseen"] else f"*{row['kind']}*",
            *(f"{row[snr][name]['value']:.3f}" for snr in ("0", "10") for name in names),
        )
        for row in rows
    ]
    return markdown(head, lines)


def _alone(rows: Sequence[Report]) -> str:
    names = list(rows[0]["minutes_per_hour"])
    lines = [
        (
            row["kind"] if row["unseen"] else f"*{row['kind']}*",
            *(f"{row['minutes_per_hour'][name]:.1f}" for name in names),
        )
        for row in rows
    ]
    means = [sum(row["minutes_per_hour"][name] for row in rows) / len(rows) for name in names]
    lines.append(("mean", *(f"{each:.1f}" for each in means)))
    return markdown(("noise alone", *names), lines)


def _decisions(rows: Sequence[Report]) -> str:
    names = [name for name in rows[0] if name != "snr"]
    head = ("SNR", *(f"{name}, {what}" for name in names for what in ("found", "false")))
    lines = [
        (
            _snr(row["snr"]),
            *(f"{row[name][key]:.1%}" for name in names for key in ("hit", "false")),
        )
        for row in rows
    ]
    return markdown(head, lines)
