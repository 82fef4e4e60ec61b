"""`python -m tools.bench worlds`: its arguments and its table."""

from __future__ import annotations

import argparse
from typing import Any, get_args

from agent.base.vocabulary import PolicyName
from tools.common.command import positive
from tools.common.machine import line
from tools.common.tables import columns, text


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """Put the subcommand into `verbs`, an argparse subparsers action."""
    parser = verbs.add_parser(
        "worlds",
        parents=[shared],
        help="how well a day's summaries tell whether one person was there",
        description="Simulates days of visitors with and without one person, releases them as the "
        "agent does (some of them by the agent's own releaser, which must agree), and attacks the "
        "published numbers. Exit code 1 where an attack beats what epsilon allows.",
    )
    parser.add_argument(
        "--days", type=positive, default=4000, metavar="N", help="of each world; default: 4000"
    )
    parser.add_argument(
        "--policy", choices=get_args(PolicyName), default="retail-eu", help="default: retail-eu"
    )
    parser.add_argument(
        "--rate", type=float, default=10.0, help="other visits per window, mean; default: 10"
    )
    parser.add_argument(
        "--visits", type=positive, nargs="+", default=[10, 30, 96], metavar="N",
        help="of a person who returns; default: 10 30 96",
    )  # fmt: skip
    parser.add_argument(
        "--stay", type=positive, nargs="+", default=[1, 3], metavar="N",
        help="visits that one who stays all day is counted as; default: 1 3",
    )  # fmt: skip
    parser.add_argument(
        "--person", choices=("worst", "ordinary"), nargs="+", default=["worst", "ordinary"],
        help="at every contribution bound, or like the others; default: both",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=1)


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Report and text. Raises `ToolError`."""
    from tools.bench.worlds.measure import Options, measure, once_each
    from tools.common.errors import ToolError

    if args.days < 100:
        raise ToolError(
            f"--days is {args.days}; below 100 an attack learns nothing. Give more days."
        )
    if not 0 <= args.rate <= 1000:
        raise ToolError(f"--rate is {args.rate:g}; give 0 to 1000 visits per window.")
    report = measure(
        Options(
            days=args.days,
            policy=args.policy,
            rate=args.rate,
            stay=once_each(args.stay),
            visits=once_each(args.visits),
            persons=tuple(dict.fromkeys(args.person)),
            seed=args.seed,
        )
    )
    return report, worlds_text(report)


def worlds_text(report: dict[str, Any]) -> str:
    """The report as a table with its explanation."""
    table = columns("worlds", "person", "linear", "95 %", "ratio", "95 %", "allowed")
    for row in report["rows"]:
        cells = []
        for attack in ("linear", "likelihood"):
            area = row[attack]
            cells += [f"{area['value']:.3f}", f"{area['low']:.3f} to {area['high']:.3f}"]
        table.add_row(row["worlds"], row["person"], *cells, f"{row['bound']:.3f}")
    head = line(report["machine"])
    head += f"{report['policy']}: epsilon {report['epsilon']:g} per visit, k = {report['k']}, "
    head += f"{report['windows']} windows of {report['window']} s; {report['days']} days of each "
    head += f"world, seed {report['seed']}\n"
    head += f"other visitors: a Poisson number of {report['rate']:g} per window, each of a random "
    head += "kind; the person is one of\nthem (ordinary) or at every contribution bound (worst)\n"
    foot = "Area under the ROC curve; .5: nothing is learnt. linear: knows when the person comes, "
    foot += "learnt on half of\nthe days, scored on the others. ratio: the likelihood ratio of one "
    foot += "who knows every other visitor, too.\nallowed: the most that any attack can reach "
    foot += "against so many visits, 1 / (1 + exp(-visits * epsilon)).\n"
    foot += f"{report['checked']} of these days were released by the agent's own releaser too, "
    foot += "with the same result.\n"
    return head + text(table) + foot
