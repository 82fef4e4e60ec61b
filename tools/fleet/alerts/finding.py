"""What a look at the database found of one device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tools.fleet.alerts.kinds import Severity

Hold = Literal["holds", "between", "suspect"]
"""Between: too good to raise an alert and too bad to end one. Suspect: the same, and many of them
with one beginning are a sign of one cause."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition that holds, or nearly."""

    detail: Mapping[str, Any] = field(default_factory=dict)
    """For the sentence; numbers and words of closed vocabularies, never a device's free text."""
    since: int | None = None
    """Unix seconds; None: since it was first found."""
    severity: Severity | None = None
    """None: the kind's."""
    hold: Hold = "holds"


Findings = dict[str, Finding]
"""By device; empty: the fleet as a whole."""
