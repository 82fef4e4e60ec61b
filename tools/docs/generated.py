"""The markers on a page, and what stands in their place on the site."""

from __future__ import annotations

import re
from collections.abc import Callable

from tools.common.errors import ToolError
from tools.docs import figures
from tools.docs.messages import catalogue
from tools.docs.reference import cards, commands, configuration, messages_of, policies

PARTS: dict[str, Callable[[], str]] = {
    "configuration": configuration.page,
    "commands": commands.page,
    "topics": messages_of.topics,
    "schemas": messages_of.schemas,
    "messages": catalogue.page,
    "models": cards.page,
    "policies": policies.page,
}
"""What `<!-- generated: NAME -->` may name."""
_MARKER = re.compile(
    r"^<!-- (generated|figure): (.+?) -->\n(.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL
)


def expand(text: str) -> str:
    """A page with every marker replaced. Raises `ToolError` for one that names nothing."""
    text = _MARKER.sub(_replaced, text)
    left = re.search(r"^<!-- (?:(?:generated|figure):.*|end) -->$", text, re.MULTILINE)
    if left:
        raise ToolError(f"A marker has no beginning or no end: {left[0]}")
    return text


def _replaced(match: re.Match[str]) -> str:
    kind, name = match[1], match[2]
    if kind == "figure":
        return figures.figure(name)
    if name not in PARTS:
        raise ToolError(f"Nothing is generated under the name {name}; {', '.join(PARTS)} are.")
    return PARTS[name]()
