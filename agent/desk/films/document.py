"""A page as a list of blocks, rendered as HTML (`html`) and as PDF (`pdf`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from agent.desk.films.drawing import Drawing


@dataclass(frozen=True, slots=True)
class Heading:
    text: str
    id: str
    level: Literal[2, 3] = 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: str
    kind: Literal["plain", "small", "note", "bad"] = "plain"


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values."""

    items: tuple[tuple[str, str], ...]
    big: bool = False
    """The few that matter most, large."""


@dataclass(frozen=True, slots=True)
class Table:
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str
    numbers: frozenset[int] = frozenset()
    """Columns that stand to the right."""
    folded: bool = False
    """The table behind a picture: on a screen it opens on request."""
    paper: bool = True
    """Whether the PDF has it too."""


@dataclass(frozen=True, slots=True)
class Caveat:
    """What a figure does not say."""

    text: str
    sources: tuple[str, ...] = ()
    """Keys of `caveats.SOURCES`."""


@dataclass(frozen=True, slots=True)
class Figure:
    drawing: Drawing
    alt: str
    """What it shows, in words."""
    caption: str
    caveat: Caveat
    """There is none without."""


@dataclass(frozen=True, slots=True)
class Still:
    """A picture out of the film; only where somebody asked for it."""

    jpeg: bytes
    alt: str
    caption: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Stills:
    stills: tuple[Still, ...]


Block = Heading | Paragraph | Facts | Table | Caveat | Figure | Stills


@dataclass(slots=True)
class Document:
    """`title` is plain text; all text is."""

    title: str
    subtitle: str
    blocks: list[Block] = field(default_factory=list)
    foot: str = ""

    def add(self, *blocks: Block) -> None:
        self.blocks += blocks

    @property
    def chapters(self) -> Sequence[Heading]:
        return [b for b in self.blocks if isinstance(b, Heading) and b.level == 2]

    @property
    def holds_pictures(self) -> bool:
        return any(isinstance(block, Stills) and block.stills for block in self.blocks)
