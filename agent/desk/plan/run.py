"""`fleeting plan`: prints how many days tell a difference."""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from agent.base.config import AgentConfig
from agent.base.errors import ConfigError
from agent.base.settings_file import load, parse
from agent.base.vocabulary import PolicyName
from agent.desk.plan.arguments import QUESTION
from agent.desk.plan.power import Plan, Question, lengths, plan
from agent.desk.plan.trial import power
from agent.desk.read.rates import RATES
from agent.privacy.policy.rules import PROFILES, Policy, resolve

_OPEN = 10.0
"""Hours a day that all contents share by default."""


def run(args: argparse.Namespace, path: Path | None) -> int:
    """Print the plan that the arguments ask for; 0 where some number of days will do, else 1.

    `path`: the configuration whose policy is asked about, unless one is named; None: `retail-eu`.
    Raises `ConfigError`.
    """
    config = load(path) if path and not args.policy else None
    rules = _policy(config, args.policy, args.window, args.epsilon)
    if args.rate not in RATES:
        shares = ", ".join(each.name for each in RATES.values() if each.kind == "share")
        raise ConfigError(f"{args.rate!a} is no rate; choose one of {shares}.")
    given = {name: getattr(args, name) for name in QUESTION}
    given["rate"] = RATES[args.rate]
    given["hours"] = _OPEN / max(1, args.contents) if args.hours is None else args.hours
    asked = Question(**given)
    found = plan(asked, rules)
    others = lengths(asked, rules, PROFILES[rules.name].min_window)
    tried = None
    if args.simulate and found.days is not None:
        tried = power(asked, rules, found.days, args.simulate, random.Random(args.seed))
    if args.plot is not None and found.days is not None:
        from agent.desk.plan.draw import draw

        draw(asked, found, args.plot)
    if args.json:
        print(json.dumps(_as_json(asked, rules, found, others, tried)))
    else:
        _say(asked, rules, found, others)
        if tried is not None:
            print(f"Tried {args.simulate} times with made-up visitors: told in {tried:.0%}.")
    return 0 if any(each.days is not None for each in (found, *others)) else 1


def _policy(
    config: AgentConfig | None, name: str | None, window: int | None, epsilon: float | None
) -> Policy:
    if name is not None and name not in get_args(PolicyName):
        raise ConfigError(f"{name!a} is no policy; there are {', '.join(get_args(PolicyName))}.")
    asked = (("window", window), ("epsilon", epsilon))
    given = {key: value for key, value in asked if value is not None}
    if name is None and config is not None:
        privacy = config.privacy.model_copy(update=given)
        return resolve(config.model_copy(update={"privacy": privacy}), live=False)
    chosen = name or "retail-eu"
    profile = PROFILES[chosen]  # type: ignore[index]
    device = {"region": "us" if "eu" not in profile.regions else "eu", "place": profile.places[0]}
    if device["place"] in ("workplace", "education"):
        device["place"] = "laboratory"
    text = {"device": device, "privacy": {"policy": chosen, **given}}
    return resolve(parse(text, "fleeting plan"), live=False)


def _as_json(
    asked: Question, rules: Policy, found: Plan, others: list[Plan], tried: float | None
) -> dict[str, Any]:
    return {
        "policy": rules.name,
        "epsilon": rules.epsilon_milli / 1000,
        "k": rules.k,
        **{**asdict(asked), "rate": asked.rate.name, "other_share": asked.other},
        "pair_level": asked.corrected,
        "plan": _finite(asdict(found)),
        "windows": [_finite(asdict(each)) for each in others],
        "simulated_power": tried,
    }


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {key: None if each == float("inf") else each for key, each in values.items()}


def _say(asked: Question, rules: Policy, found: Plan, others: list[Plan]) -> None:
    device = "" if asked.devices == 1 else f" on each of {asked.devices} devices"
    print(
        f"{asked.rate.name}: {asked.share:.0%} against {asked.other:.0%} of {asked.visits:g} "
        f"visits a day for each content{device}, on show {asked.hours:g} hours a day"
    )
    pairs = f", each of {asked.contents} contents with each" if asked.contents > 2 else ""
    print(
        f"policy {rules.name}, epsilon {rules.epsilon_milli / 1000:g}, k {rules.k}; "
        f"power {asked.power:.0%}, level {asked.level:.4g}{pairs}"
    )
    for each in (found, *(other for other in others if other.window != found.window)):
        print(f"  windows of {each.window:4} s: {_days(each)}")
    print(
        "Visitors are taken to decide independently of each other; where they come in groups, add "
        "--spread 2."
        if asked.spread == 1
        else f"With {asked.spread:g} times the variance of independent visitors."
    )


def _days(found: Plan) -> str:
    if found.waiting == float("inf"):
        return "never: so few visits do not stand clear of their noise; over 255 windows would wait"
    if found.days is None:
        return "not within ten years"
    return (
        f"{found.days} day{'' if found.days == 1 else 's'}; a day's share is off by "
        f"{found.noise:.3f} through noise, by {found.chance:.3f} through chance; "
        f"{found.waiting:.1f} windows wait for one another"
    )
