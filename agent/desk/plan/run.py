"""`fleeting plan`: prints how many days tell a difference."""

from __future__ import annotations

import json
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from agent.base.config import AgentConfig, parse
from agent.base.errors import ConfigError
from agent.base.vocabulary import PolicyName
from agent.desk.plan.power import Plan, Question, lengths, plan
from agent.desk.read.rates import RATES
from agent.privacy.policy.rules import PROFILES, Policy, resolve

_OPEN = 10.0
"""Hours a day that all contents share by default."""


def planned(
    config: AgentConfig | None,
    question: dict[str, Any],
    *,
    policy: str | None,
    window: int | None,
    epsilon: float | None,
    as_json: bool,
    plot: Path | None,
    simulate: int,
    seed: int,
) -> int:
    """Print the plan; 0 where there is one, 1 where no number of days will do.

    `config`: whose policy is asked about, unless `policy` names one; None: `retail-eu`. `question`:
    fields of `Question`, the rate by its name, hours None for the default. Raises `ConfigError`.
    """
    rules = _policy(config, policy, window, epsilon)
    if question["rate"] not in RATES:
        shares = ", ".join(each.name for each in RATES.values() if each.kind == "share")
        raise ConfigError(f"{question['rate']!a} is no rate; choose one of {shares}.")
    asked = Question(
        **{
            **question,
            "rate": RATES[question["rate"]],
            "hours": question["hours"] or _OPEN / max(1, question["contents"]),
        }
    )
    found = plan(asked, rules)
    others = lengths(asked, rules, PROFILES[rules.name].min_window)
    tried = None
    if simulate and found.days is not None:
        from agent.desk.plan.trial import power

        tried = power(asked, rules, found.days, simulate, random.Random(seed))
    if plot is not None and found.days is not None:
        from agent.desk.plan.draw import draw

        draw(asked, found, plot)
    if as_json:
        print(json.dumps(_as_json(asked, rules, found, others, tried)))
    else:
        _say(asked, rules, found, others, tried, simulate)
    return 0 if found.days is not None else 1


def _policy(
    config: AgentConfig | None, name: str | None, window: int | None, epsilon: float | None
) -> Policy:
    if name is not None and name not in get_args(PolicyName):
        raise ConfigError(f"{name!a} is no policy; there are {', '.join(get_args(PolicyName))}.")
    given = {key: value for key, value in (("window", window), ("epsilon", epsilon)) if value}
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


def _say(
    asked: Question,
    rules: Policy,
    found: Plan,
    others: list[Plan],
    tried: float | None,
    times: int,
) -> None:
    device = "" if asked.devices == 1 else f" on each of {asked.devices} devices"
    print(
        f"{asked.rate.name}, {asked.share:.0%} against {asked.other:.0%} of {asked.visits:g} visits "
        f"a day for each content{device}, on show {asked.hours:g} hours a day"
    )
    print(f"policy {rules.name}, epsilon {rules.epsilon_milli / 1000:g}, k {rules.k}")
    pairs = f", each of {asked.contents} contents with each" if asked.contents > 2 else ""
    told = f"power {asked.power:.0%}, level {asked.level:.4g}{pairs}"
    if found.days is None:
        print(f"windows of {found.window} s: not within ten years ({told}).")
        if found.waiting == float("inf"):
            print(
                "  So few visits in a window do not stand clear of their noise: windows would wait "
                "for 255 others and longer."
            )
    else:
        print(f"{_days(found.days)} with windows of {found.window} s ({told}).")
        print(
            f"  A day's share is off by {found.noise:.3f} through noise and by {found.chance:.3f} "
            f"through chance (standard deviations);\n  {found.waiting:.1f} windows wait for one "
            "another on average."
        )
    for each in others:
        if each.window != found.window:
            said = "not within ten years" if each.days is None else _days(each.days)
            print(f"  with --window {each.window}: {said}")
    if tried is not None:
        print(f"Tried {times} times with made-up visitors: told in {tried:.0%}.")
    print(
        "For visitors who decide independently of each other; where they come in groups, add "
        "--spread 2."
        if asked.spread == 1
        else f"With {asked.spread:g} times the variance of independent visitors."
    )


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"
