"""Sample messages for tests of their transport."""

from __future__ import annotations

from agent.base.clock import FILE_CLOCK
from agent.base.report import Birth, Meta, PerceiveCage, Summary, UplinkCage
from agent.base.settings_file import parse
from agent.privacy.noise import discrete_laplace
from agent.privacy.policy.rules import Policy, resolve
from agent.privacy.release import PendingRelease, ReleaseContext, release
from agent.privacy.window import ExactCounts, Window

DEAF = {"policy": "demo", "microphone": False, "words": False}
POLICY = resolve(parse({"privacy": DEAF}, "test"))
LISTENING = resolve(
    parse({"privacy": {"policy": "demo", "microphone": True, "words": True}}, "test")
)
MODEL = "0123456789abcdef"


def summary(seq: int, boot: str = "0a1b2c3d", policy: Policy = POLICY) -> Summary:
    """One window without visitors."""
    window = Window(seq % 1000, policy.window, {0: ExactCounts()}, frames=300, last=9.9, seconds=10)
    pending = PendingRelease()
    pending.add_window(window, 0, policy, discrete_laplace)
    context = ReleaseContext(boot, seq, MODEL, FILE_CLOCK, micro_enabled=True)
    return release(pending, window, 0, policy, context, discrete_laplace)


def birth(boot: str = "0a1b2c3d") -> Birth:
    return Birth(
        boot=boot,
        software="0.1.0",
        model=MODEL,
        policy=POLICY.name,
        policy_hash=POLICY.hash,
        epoch=None,
        clock="none",
        settings=0,
        k=POLICY.k,
        window=10,
        cage=PerceiveCage(
            network="closed", writes="confined", found_open=(), layers=("seccomp", "landlock")
        ),
    )


def meta(boot: str = "0a1b2c3d") -> Meta:
    cage = UplinkCage(
        devices="closed", egress="open", writes="confined", found_open=("address",), layers=()
    )
    return Meta(birth=birth(boot), uplink=cage, key="0" * 64, receipt=None, schemas="0" * 16)
