"""Reading noised numbers: summaries as pandas frames, sums and rates with intervals, differences.

    from agent.desk import read

    windows = read.captures("summaries.txt")
    read.total(windows, "visits")
    read.measure(windows, "attention")
    read.compare(windows, "attention", 3, 5).sentence

Windows come from captures, a collector's SQLite file or PostgreSQL. Every interval follows from the
mechanism that noised the numbers (`agent.privacy`). Frames need pandas: the extra `read`.
"""

from agent.desk.read.adding import Total, total, totals
from agent.desk.read.captures import captures
from agent.desk.read.compare import Difference, compare, compare_all, holm
from agent.desk.read.contents import Content, named
from agent.desk.read.databases import postgresql, sqlite
from agent.desk.read.errors import (
    CannotAddError,
    ConflictError,
    NothingToAddError,
    ReadError,
    UnitError,
)
from agent.desk.read.figures import FIGURES
from agent.desk.read.interval import Interval, single
from agent.desk.read.measure import Measured, measure
from agent.desk.read.rates import RATES, Rate

__all__ = [
    "FIGURES",
    "RATES",
    "CannotAddError",
    "ConflictError",
    "Content",
    "Difference",
    "Interval",
    "Measured",
    "NothingToAddError",
    "Rate",
    "ReadError",
    "Total",
    "UnitError",
    "captures",
    "compare",
    "compare_all",
    "holm",
    "measure",
    "named",
    "postgresql",
    "single",
    "sqlite",
    "total",
    "totals",
]
