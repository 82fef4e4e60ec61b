"""Receipts: a device's stored ones, or some that somebody brings."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from agent.base.report import Meta, Receipt, from_json
from agent.desk.receipt.examine import Examined, Line, examine, minutes
from tools.common.errors import ToolError
from tools.fleet.console import one
from tools.fleet.console.guard import visit_of
from tools.fleet.console.pages import render
from tools.fleet.export import receipts
from tools.fleet.export.receipts import Verified
from tools.fleet.store import Store

MAX_LINE = 2048
"""Bytes of a receipt."""
MOST = 4000
"""Receipts that are looked at: ten years."""
MOST_SUMMARIES = 200_000
"""Of a device, verified in the console; of more, `fleeting-fleet receipts verify`."""
_SHOWN = 400


def stored(store: Store, device: str) -> Verified:
    """A device's receipts against its summaries, as the database has them. Raises `Refused`,
    `ToolError`."""
    one.device(store, device)
    number = store.tuples("SELECT COUNT(*) FROM summaries WHERE device = ?", (device,))[0][0]
    if int(number) > MOST_SUMMARIES:
        raise ToolError(
            f"{device} has {number:,} summaries: too many to read for a page. On the server: "
            f"fleeting-fleet receipts verify --device {device}"
        )
    return receipts.verify(store, device)


def brought(text: str, meta: str | None) -> tuple[Examined, int]:
    """Signatures and chain of receipts, one a line, and how many lines are none. `meta`: a device's
    message that names its key, as it is stored."""
    found: list[tuple[Line, Receipt]] = []
    bad = 0
    for number, line in enumerate(text.splitlines(), 1):
        body = line.strip().encode(errors="surrogatepass")
        if not body:
            continue
        if not body.startswith(b"{") and b" {" in body:
            body = body[body.index(b" {") + 1 :]  # as `mosquitto_sub -v` prints
        receipt = None
        if len(body) <= MAX_LINE and len(found) < MOST:
            receipt = from_json(Receipt, body)
        if receipt is None:
            bad += 1
        else:
            found.append((Line(f"line {number}", body), receipt))
    metas: list[tuple[Line, Meta]] = []
    if meta and (said := from_json(Meta, meta.encode())):
        metas.append((Line("meta", meta.encode()), said))
    return examine(found, metas=metas), bad


def page(request: Request, store: Store) -> Response:
    """GET /receipts"""
    device = request.query_params.get("device", "")[:64]
    verified = stored(store, device) if device else None
    return _page(request, device, verified, verified.examined if verified else None)


def verify(request: Request, store: Store) -> Response:
    """POST /receipts"""
    form = visit_of(request.scope).form
    device, text = form.get("device", "")[:64], form.get("text", "")
    meta = one.device(store, device)["meta"] if device else None
    found, bad = brought(text, meta)
    if bad:
        found.problems.insert(0, f"{bad} lines are no receipts, byte for byte.")
    return _page(request, device, None, found)


def _page(
    request: Request, device: str, verified: Verified | None, examined: Examined | None
) -> Response:
    verdict = verified.verdict if verified else examined.verdict if examined else ""
    problems, notes = told(verified, examined)
    return render(
        request, "receipts.html", device=device, verified=verified, verdict=verdict,
        problems=problems, notes=notes, rows=rows(examined)[-_SHOWN:] if examined else [],
    )  # fmt: skip


def told(verified: Verified | None, examined: Examined | None) -> tuple[list[str], list[str]]:
    """Problems and notes, of the database's rows and of the receipts."""
    problems = [*(verified.problems if verified else ())]
    notes = [*(verified.conflicts if verified else ())]
    if examined:
        problems += examined.problems
        notes += examined.notes
    return problems, notes


def rows(examined: Examined) -> list[dict[str, Any]]:
    """Receipt by receipt."""
    return [
        {
            "number": entry.statement.number,
            "end": minutes(entry.statement.end),
            "summaries": entry.statement.summaries,
            "messages": entry.statement.messages,
            "epsilon": entry.statement.epsilon_milli / 1000,
            "verdict": "invalid" if entry.problems else "incomplete" if entry.breaks else "valid",
            "said": "; ".join((*entry.problems, *entry.breaks, *entry.notes)),
        }
        for entry in examined.entries
    ]
