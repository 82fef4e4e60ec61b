"""The built-in policies, and how far a site may go within each."""

from __future__ import annotations

from agent.privacy.policy.rules import PROFILES
from tools.docs import markdown


def page() -> str:
    """Markdown: a row for each policy."""
    rows = []
    for name, each in PROFILES.items():
        asks = [word for word in ("notice", "consent") if getattr(each, word)]
        noise = "none: nothing may leave the machine"
        if each.max_epsilon is not None:
            noise = f"{each.epsilon:g} (at most {each.max_epsilon:g})"
        rows.append(
            [
                f'<a id="policy-{name}"></a>`{name}`',
                ", ".join(each.regions),
                ", ".join(each.places),
                ", ".join(each.cells),
                f"{each.k} (at least {each.min_k})",
                noise,
                f"{each.window} s (at least {each.min_window})",
                f"{each.slots} (at most {each.max_slots})",
                " and ".join(asks) or "–",
                each.admits_hearing,
            ]
        )
    head = ["policy", "regions", "places", "cells", "k", "epsilon", "window", "slots", "asks for",
            "microphone, words"]  # fmt: skip
    return markdown.table(head, rows)
