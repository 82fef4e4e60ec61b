"""How many days tell a difference: the arithmetic against the device's own noise and release."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.base.errors import ConfigError
from agent.cli import main
from agent.desk.plan.power import Plan, Question, curve, lengths, plan, power_after
from agent.desk.plan.trial import power
from agent.desk.read.rates import RATES
from tests.desk.read.test_noise import policy

RETAIL = policy("retail-eu")
HOURLY = replace(RETAIL, window=3600)
ASKED = Question(RATES["attention"], visits=400.0, difference=0.2, share=0.3, hours=5.0)


def planned(asked: Question = ASKED, window: int = 3600) -> Plan:
    return plan(asked, replace(RETAIL, window=window))


def days(asked: Question, window: int = 3600) -> int:
    found = planned(asked, window).days
    assert found is not None
    return found


def test_harder_questions_take_longer() -> None:
    base = replace(ASKED, difference=0.1)
    usual = days(base)
    assert days(replace(base, difference=0.05)) > 3 * usual
    assert days(replace(base, visits=200.0)) > usual
    assert days(replace(base, power=0.95)) > usual
    assert days(replace(base, level=0.999)) > usual
    assert days(replace(base, contents=6)) > usual
    assert days(replace(base, spread=8.0)) > usual
    assert days(replace(base, devices=4)) < usual
    strict = plan(base, policy("retail-eu", epsilon=0.5, window=3600))
    assert strict.days is not None
    assert strict.days > usual


def test_without_noise_the_days_are_those_of_the_textbook() -> None:
    """n of each = (z + z)^2 (p q + p q) / d^2, and a little more for Student's t."""
    asked = replace(ASKED, visits=40.0, difference=0.1)
    found = plan(asked, policy("demo", window=3600))
    textbook = (1.96 + 0.8416) ** 2 * (0.3 * 0.7 + 0.4 * 0.6) / 0.1**2 / 40
    assert found.noise == 0
    assert found.days is not None
    assert textbook <= found.days <= textbook + 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "rules"),
    [
        (replace(ASKED, difference=0.15), HOURLY),
        (replace(ASKED, visits=150.0, difference=0.3, hours=2.0), RETAIL),
        (replace(ASKED, rate=RATES["happiness"], visits=300.0, share=0.5), HOURLY),
        (replace(ASKED, visits=300.0, spread=3.0), policy("research-consented", window=3600)),
    ],
)
def test_the_power_is_that_of_the_device_itself(asked: Question, rules: object) -> None:
    found = plan(asked, rules)  # type: ignore[arg-type]
    assert found.days is not None
    assert found.days < 40
    times = 40
    told = power(asked, rules, found.days, times, random.Random(4))  # type: ignore[arg-type]
    spread = np.sqrt(found.power * (1 - found.power) / times)
    assert abs(told - found.power) < 3 * spread + 0.05, (told, found)


@pytest.mark.slow
def test_where_there_is_no_difference_it_is_seldom_told() -> None:
    none = replace(ASKED, difference=1e-9)
    assert power(none, HOURLY, 6, 20, random.Random(5)) <= 0.2


def test_few_visits_in_a_window_never_stand_clear_of_their_noise() -> None:
    few = replace(ASKED, visits=20.0, difference=0.1)
    assert planned(few, 900).days is None
    assert planned(few, 900).waiting == float("inf")
    assert [each.window for each in lengths(few, RETAIL, 300)] == [300, 900, 3600]


def test_the_curve_passes_through_the_plan() -> None:
    asked = replace(ASKED, difference=0.1)
    found = planned(asked)
    assert found.days is not None
    at = curve(asked, found, np.array([1, found.days // 2, found.days, 4 * found.days]))
    assert list(at) == sorted(at)
    assert at[2] == pytest.approx(found.power, abs=0.02)
    assert at[3] > 0.99
    assert power_after(asked, 0.01, 1.0, 1) == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("difference", 0.0), ("difference", 0.8), ("share", 1.0), ("power", 0.4), ("level", 1.0),
     ("visits", 0.0), ("hours", 0.0), ("hours", 25.0), ("contents", 1), ("devices", 0),
     ("spread", 0.0), ("spread", float("nan")), ("spread", float("inf")),
     ("rate", RATES["valence"])],
)  # fmt: skip
def test_senseless_questions_are_refused(field: str, value: object) -> None:
    with pytest.raises(ConfigError):
        plan(replace(ASKED, **{field: value}), RETAIL)  # type: ignore[arg-type]


def test_a_cell_that_a_policy_leaves_out_cannot_be_planned_with() -> None:
    with pytest.raises(ConfigError, match="does not publish expression"):
        plan(replace(ASKED, rate=RATES["happiness"]), policy("classroom"))


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["plan", *words])
    return code, capsys.readouterr().out


def test_the_command_says_how_many_days(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "plan.png"
    code, said = run(capsys, "--visits", "400", "--difference", "0.1", "--plot", str(picture),
                     "--policy", "retail-eu")  # fmt: skip
    assert code == 0
    assert "windows of  900 s: " in said
    assert " days; a day's share is off by" in said
    with Image.open(picture) as opened:
        assert opened.size[0] > 800
    code, said = run(capsys, "--visits", "400", "--difference", "0.2", "--window", "3600",
                     "--policy", "retail-eu", "--json", "--simulate", "1")  # fmt: skip
    found = json.loads(said)
    assert found["plan"]["days"] == days(ASKED)
    assert found["policy"] == "retail-eu"
    assert 0 <= found["simulated_power"] <= 1
    assert [each["window"] for each in found["windows"]] == [300, 900, 3600]


def test_the_command_takes_the_sites_policy_and_fails_in_words(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = tmp_path / "site.toml"
    config.write_text('[privacy]\npolicy = "medical-safety"\nwindow = 3600\n[device]\n'
                      'place = "clinic"\n')  # fmt: skip
    asked = ("--visits", "300", "--difference", "0.2")
    code, said = run(capsys, *asked, "--config", str(config))
    assert code == 0
    assert "policy medical-safety, epsilon 1, k 5" in said
    assert main(["plan", *asked, "--policy", "none"]) == 78
    assert "is no policy" in capsys.readouterr().err
    assert main(["plan", *asked, "--rate", "guilt"]) == 78
    assert "is no rate" in capsys.readouterr().err
    code, said = run(capsys, "--visits", "2", "--difference", "0.05", "--policy", "retail-eu")
    assert code == 1
    assert "never" in said
