"""`python -m tools.eval MODEL`, or `all`: the shipped models beside others', figures into cards."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.base.errors import AgentError
from agent.inference.manifest import SETS
from tools.common.command import positive
from tools.common.errors import ToolError
from tools.common.files import save_json
from tools.common.packs import packs_folder
from tools.eval.ours import Ours, open_set

WHAT = ("detector", "landmarks", "expression")
"""Of `all`; the spotter takes longer than these together, and asks for no pictures; voices ask for
sound, text for lines."""
CARDS = {"voice": "tone", "text": "sentiment", "tilt": "detector", "sure": "landmarks"}
"""The model whose card has the figures, where it is called otherwise."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and bring the cards up to date. Returns the exit code."""
    args = _parser().parse_args(argv)
    try:
        networks = args.peer_networks or packs_folder() / "teachers"
        if args.peer_networks and not networks.is_dir():
            raise ToolError(f"There is no folder {networks}; --peer-networks must name one.")
        ours = open_set(args.set)
        reports: dict[str, Any] = {}
        for name in WHAT if args.what == "all" else (args.what,):
            reports[name] = measure(name, ours, networks, args.limit, args.material)
            finish(name, reports[name], ours, args)
        if args.json:
            save_json(args.json, reports)
        if args.picture:
            from tools.eval import picture

            picture.save(args.picture, reports)
    except (AgentError, OSError) as error:
        print(f"eval: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, AgentError) else 1
    except KeyboardInterrupt:
        print("eval: stopped; no card was changed that is not complete", file=sys.stderr)
        return 130
    return 0


def measure(
    name: str, ours: Ours, networks: Path, limit: int | None, folder: Path | None = None
) -> dict[str, Any]:
    """One model's report."""
    from tools.eval import rendered
    from tools.eval.detector import evaluate as detector
    from tools.eval.expression import evaluate as expression
    from tools.eval.landmarks import evaluate as landmarks

    if name == "micro":
        from tools.eval.micro import evaluate as micro

        return micro.evaluate(ours, limit)
    if name == "voice":
        from tools.eval.voice import evaluate as voice

        return voice.evaluate(ours, limit)
    if name == "activity":
        from tools.eval.activity import evaluate as activity

        return activity.evaluate(ours, limit)
    if name == "text":
        from tools.eval.text import evaluate as text

        return text.evaluate(ours, limit, folder)
    if name == "fusion":
        from tools.eval.fusion import evaluate as fusion

        return fusion.evaluate(ours, limit, folder)
    if name == "tilt":
        from tools.eval.detector import tilt

        return tilt.tilt_figures(ours, limit)
    if name == "sure":
        from tools.eval.landmarks import sure

        return sure.sure_figures(ours, limit)
    if name == "detector":
        return detector.evaluate(ours, networks, limit)
    known = rendered.available()
    if name == "landmarks":
        return landmarks.evaluate(ours, networks, limit, rendered.faces(limit) if known else None)
    return expression.evaluate(ours, limit, rendered.sweeps(limit) if known else None)


def finish(name: str, report: dict[str, Any], ours: Ours, args: argparse.Namespace) -> None:
    """Print the report and, if it is complete, write it into the card."""
    from tools.eval import card
    from tools.eval.activity import tables as tables_activity
    from tools.eval.detector import tables as tables_detector
    from tools.eval.detector import tilt
    from tools.eval.expression import tables as tables_expression
    from tools.eval.fusion import tables as tables_fusion
    from tools.eval.landmarks import sure
    from tools.eval.landmarks import tables as tables_landmarks
    from tools.eval.micro import tables as tables_micro
    from tools.eval.text import tables as tables_text
    from tools.eval.voice import tables as tables_voice

    tables = {
        "detector": tables_detector,
        "landmarks": tables_landmarks,
        "micro": tables_micro,
        "text": tables_text,
        "expression": tables_expression,
        "voice": tables_voice,
        "activity": tables_activity,
        "fusion": tables_fusion,
        "tilt": tilt,
        "sure": sure,
    }
    section = tables[name].section(report)
    print(f"## {name}\n\n{section}\n", flush=True)
    for who, reason in report["missing"].items():
        print(f"eval: {name}: {who} not measured: {reason}", file=sys.stderr)
    if args.no_card:
        return
    if args.limit:
        print("eval: the card stays as it is: --limit measures only a part", file=sys.stderr)
        return
    path = ours.card(CARDS.get(name, name))
    card.update(path, section, {"tilt": card.TILT, "sure": card.SURE}.get(name, card.FIGURES))
    print(f"eval: brought {path} up to date", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.eval",
        description="Measure the shipped models on the packs' unseen parts, beside other networks, "
        "with 95 %% bootstrap intervals. Needs the data packs ($FLEETING_PACKS).",
    )
    parser.add_argument(
        "what",
        choices=(*WHAT, "tilt", "sure", "micro", "voice", "activity", "text", "fusion", "all"),
    )
    parser.add_argument(
        "--material",
        type=Path,
        metavar="FOLDER",
        help="text, fusion: copies of the packages (tools.train)",
    )
    parser.add_argument(
        "--set",
        choices=SETS,
        default=SETS[0],
        help="which models: trained on everything (default), or only on free sources",
    )
    parser.add_argument(
        "--peer-networks",
        type=Path,
        metavar="FOLDER",
        help="where the peers' files are (default: teachers in the packs' folder)",
    )
    parser.add_argument(
        "--limit",
        type=positive,
        metavar="N",
        help="about N pictures of each kind, or seconds of each stream; no card",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="draw a chart here")
    parser.add_argument("--no-card", action="store_true", help="leave the model cards alone")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
