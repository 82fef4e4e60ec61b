"""The power of a plan over its days, as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agent.base.errors import StoreError
from agent.desk.plan.power import Plan, Question, curve


def draw(asked: Question, found: Plan, path: Path) -> None:
    """Write a PNG. `found`: with days. Raises `StoreError` where that is impossible."""
    from matplotlib.figure import Figure

    assert found.days is not None
    most = max(10, 2 * found.days)
    days = np.unique(np.linspace(1, most, 200).astype(int))
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(days, 100 * curve(asked, found, days), color="black")
    axes.axhline(100 * asked.power, color="grey", linewidth=0.8, linestyle="--")
    axes.axvline(found.days, color="grey", linewidth=0.8, linestyle="--")
    axes.set(
        xlim=(0, most), ylim=(0, 100), xlabel="days", ylabel="probability to tell it, %",
        title=f"{asked.rate.name}: {asked.share:.0%} against {asked.other:.0%}, "
        f"{asked.visits:g} visits a day",
    )  # fmt: skip
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise StoreError(f"The picture {path} cannot be written: {error}.") from None
