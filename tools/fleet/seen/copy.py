"""Copies what watches a fleet into a folder, with the fleet's own settings filled in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
RULES = HERE / "rules.yml"
COLLECTOR, CONTROLLER = "127.0.0.1:9464", "127.0.0.1:9465"
"""Where their metrics are in the examples of the guide."""


def prometheus_yml(
    collectors: Sequence[str] = (COLLECTOR,), controllers: Sequence[str] = (CONTROLLER,)
) -> str:
    """The example with these addresses, HOST:PORT."""
    text = (HERE / "prometheus.yml").read_text(encoding="utf-8")
    for example, given in ((COLLECTOR, collectors), (CONTROLLER, controllers)):
        quoted = ", ".join(f"'{each}'" for each in given)
        text = text.replace(f"['{example}']", f"[{quoted}]")
    return text
