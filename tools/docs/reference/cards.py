"""The models: what ships, by the manifest, with a link to each card."""

from __future__ import annotations

import tomllib

from tools.common.files import MODELS
from tools.docs import markdown


def page() -> str:
    """Markdown: a row for each file of the manifest."""
    manifest = tomllib.loads((MODELS / "manifest.toml").read_text(encoding="utf-8"))
    rows = []
    for kind in ("model", "weights"):
        for each in manifest.get(kind, ()):
            file = MODELS / each["file"]
            card = file.parent / "CARD.md"
            name = f"[{each['name']}](../models/{card.relative_to(MODELS)})"
            rows.append([
                name if card.is_file() else each["name"],
                each.get("set", "research"),
                f"{file.stat().st_size / 1024:,.0f} KiB",
                each["terms"],
                markdown.code(each["sha256"][:16]),
            ])  # fmt: skip
    return markdown.table(["model", "set", "size", "terms", "SHA-256"], rows)
