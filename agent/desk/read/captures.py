"""Files of messages as frames: what `fleeting-fleet watch`, `mosquitto_sub` or a replay printed."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

from agent.base.names import one_line
from agent.desk.read.errors import ReadError
from agent.desk.read.frame import collect, whole_lines
from agent.desk.read.messages import Tally, said

if TYPE_CHECKING:
    import pandas as pd


def captures(*paths: str | Path, device: str = "unknown", level: float = 0.95) -> pd.DataFrame:
    """The summaries in files of one message a line (`.gz` too), as described in `frame`.

    Lines may be those of `fleeting-fleet watch`, of `mosquitto_sub -v`, `-F %J` or `-F %j`, or bare
    messages, as `fleeting replay --json` prints them. Each is validated against its schema; what is
    none is counted in `frame.attrs["reading"]` and left out. A second copy of a summary is dropped.

    Parameters
    ----------
    device
        Of bare messages, which name none.
    level
        Of the intervals.

    Raises
    ------
    ReadError
        A file cannot be read, or pandas is not installed.
    """
    tally = Tally()

    def lines() -> object:
        for path in paths:
            opener = gzip.open if str(path).endswith(".gz") else open
            try:
                with opener(path, "rb") as file:
                    for line in whole_lines(file):
                        yield said(line, device)
            except (OSError, EOFError, ValueError) as error:
                why = getattr(error, "strerror", None) or "it is damaged"
                raise ReadError(f"{one_line(path)} cannot be read: {why}.") from None

    return collect(lines(), tally).frame(level)  # type: ignore[arg-type]
