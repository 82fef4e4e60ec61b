"""`python -m tools.fleet.seen`: writes the dashboards and the flow of this folder anew."""

from __future__ import annotations

from tools.fleet.seen.copy import HERE, documents


def main() -> None:
    """A test holds that they are what this writes."""
    for name, text in documents().items():
        target = HERE / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(target.relative_to(HERE))


if __name__ == "__main__":
    main()
