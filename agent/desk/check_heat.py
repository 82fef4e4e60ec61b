"""How warm the board is and how good its supply, and which step of the ladder that asks for."""

from __future__ import annotations

from agent.base.config import HeatConfig
from agent.host.board import Board, Reading, Watch
from agent.perceive.ladder import Ladder, Step, bounds

_WAIT = 3.0
"""Seconds for the sensors to answer."""
_DOES: dict[Step, str] = {
    Step.ALL: "all is done",
    Step.SLOW: "step 1 of 3: 20 frames/s, no micro-expressions, no microphone",
    Step.SLOWER: "step 2 of 3: 10 frames/s, one face",
    Step.PAUSE: "step 3 of 3: nothing is looked at",
}
_COOL = "Give it a fan or a larger heat sink, take it out of the sun, or out of its closed case."
_SUPPLY = (
    "Use the board's own supply (Raspberry Pi: 5.1 V, 3 A; Pi 5: 5 A) and a short, thick cable; "
    "power USB devices from a hub of their own."
)


def heat(params: HeatConfig, board: Board | None = None) -> tuple[bool, str, str]:
    """Whether the board is fit to work now, what was found, and what to do next."""
    watch = Watch(board)
    number, _, found = watch.latest(_WAIT)
    watch.close()
    if not number:
        return (
            False,
            f"the board's sensors do not answer within {_WAIT:.0f} s",
            "A driver hangs: `dmesg` may name it. Without them heat goes unseen.",
        )
    ladder = Ladder(params.pause)
    ladder.update(found.temperature, found.undervolt, 0.0)
    step = ladder.step if params.ladder else Step.ALL
    details = [_temperature(found), *_power(found)]
    if found.temperature is not None or found.undervolt:
        details.append(_DOES[step] if params.ladder else "no step is taken (heat.ladder)")
    warm = found.temperature is not None and found.temperature >= bounds(params.pause).end[0]
    advice = [_COOL] if warm else []
    advice += [_SUPPLY] if found.undervolt or found.undervolt_before else []
    if found.throttled_before and not advice:
        advice = [f"{_COOL} If it was cool then, its supply was too weak."]
    return step < Step.PAUSE and not found.undervolt, "; ".join(details), " ".join(advice)


def _temperature(found: Reading) -> str:
    if found.temperature is None:
        return "no temperature can be read here"
    where = f" ({found.zone})" if found.zone else ""
    return f"{found.temperature:.0f} degrees C{where}"


def _power(found: Reading) -> list[str]:
    details = []
    if found.undervolt is None:
        details.append("nobody measures the supply's voltage here")
    else:
        now = "too low now" if found.undervolt else "too low at some time since boot"
        low = found.undervolt or found.undervolt_before
        details.append(f"voltage {now if low else 'good since boot'}")
    if found.throttled is not None:
        now = "now" if found.throttled else "at some time since boot"
        held = found.throttled or found.throttled_before
        details.append(f"throttled {now}" if held else "not throttled since boot")
    return details
