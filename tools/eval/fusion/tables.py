"""The fusion's figures as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tools.common.tables import markdown

Report = Mapping[str, Any]


def section(report: Report) -> str:
    """Markdown for the card."""
    priors = "; ".join(
        f"{name} {', '.join(f'{p:.2f}' for p in each)}"
        for name, each in report["priors_fitted"].items()
    )
    weights = ", ".join(f"{name} {w:g}" for name, w in report["weights_in_force"].items())
    fitted = ", ".join(f"{name} {w:g}" for name, w in report["weights_fitted"].items())
    samples = ", ".join(f"{n:,} of {name}" for name, n in report["samples"].items())
    return "\n\n".join(
        (
            f"`python -m tools.eval fusion`. Samples judged on: {samples}; the other half of each "
            "fitted weights and priors. Share of right polarities in %, three classes equally "
            "often, with 95 % intervals over drawings of the samples.",
            "### Undisturbed\n\n" + _table(report["undisturbed"]),
            "### One channel disturbed\n\n" + _table(report["disturbed"]),
            f"Weights in force: {weights}; fitted this time: {fitted}. Priors (negative, neutral, "
            f"positive): {priors}.",
        )
    )


def _table(rows: Sequence[Report]) -> str:
    columns = (
        "channels",
        "disturbed",
        "face",
        "voice",
        "words",
        "together",
        "gain over the best",
    )
    return markdown(columns, [_row(row) for row in rows])


def _row(row: Report) -> tuple[str, ...]:
    disturbed = ", ".join(f"{name}: {how}" for name, how in row["disturbed"].items())
    alone = (_percent(row[name]) if name in row else "" for name in ("face", "voice", "words"))
    together, gain = _percent(row["together"]), _percent(row["gain"], signed=True)
    return ", ".join(row["channels"]), disturbed, *alone, together, gain


def _percent(figure: Report, signed: bool = False) -> str:
    sign = "+" if signed else ""
    value, low, high = (100 * figure[key] for key in ("value", "low", "high"))
    return f"{value:{sign}.1f} ({low:{sign}.1f}..{high:{sign}.1f})"
