"""Lists of coded facial events, and the files in which coders' programs keep them. May import what
`desk` may.

`event`: one event and its FACS code. `elan`, `boris`, `table` (BIDS, CSV): files of events.
`agreement`: how far two coders agree. `files`: which
format a file has, and the verb `convert`. `spotted`: events of ours.
"""

from pathlib import Path


def sidecars(path: Path | None) -> list[Path]:
    """The files that writing events to `path` makes."""
    if path is None:
        return []
    return [path, path.with_suffix(".json")] if path.suffix.lower() == ".tsv" else [path]
