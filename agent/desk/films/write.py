"""A film's folder: page, PDF, tables."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from agent.base.files import write_atomically
from agent.desk.films import columns
from agent.desk.films.chapters import About, document
from agent.desk.films.document import Still
from agent.desk.films.findings import Findings
from agent.desk.films.html import as_html
from agent.desk.films.rows import course_rows
from agent.desk.films.tables import write_csv

HTML, PDF = "report.html", "report.pdf"


def write(
    found: Findings,
    label: str,
    page: str,
    size: int,
    folder: Path,
    stills: Sequence[Still],
    *,
    pdf: bool,
) -> None:
    """Write everything of one film of `size` bytes. Raises `OSError`."""
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    whole = document(found, About(label, size, when), stills)
    write_atomically(folder / HTML, as_html(whole).encode())
    if pdf:
        # imported here: loading Matplotlib takes a second
        from agent.desk.films.pdf import as_pdf

        write_atomically(folder / PDF, as_pdf(whole))
    common = {"film": label, "page": page}
    write_csv(folder / "windows.csv", columns.WINDOWS, found.windows, common)
    write_csv(folder / "visits.csv", columns.VISITS, found.visits, common)
    write_csv(folder / "events.csv", columns.EVENTS, found.events, common)
    write_csv(folder / "course.csv", columns.COURSE, course_rows(found.course, found.cells), {})
