"""kill -9 while a device is enrolled or renews: key and certificate always belong together."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.tools.fleet.broker.test_broker import welcomed
from tests.tools.fleet.enrolment.conftest import ID, Box, LiveFleet
from tests.tools.fleet.enrolment.killed import problem
from tests.tools.fleet.enrolment.test_live import approved, context, waits
from tools.fleet.enrolment import decide

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[4]
HOW = ("steps", "5")


def killed(box: Box, *words: str) -> tuple[int, int]:
    """(exit code, how many were killed)."""
    module = "tests.tools.fleet.enrolment.killed"
    done = subprocess.run(
        [sys.executable, "-m", module, str(box.identity.folder), *words],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 3), done.stderr
    return done.returncode, int(done.stdout)


@pytest.mark.parametrize("how", HOW)
def test_enrolled_in_spite_of_it(live: LiveFleet, box: Box, how: str) -> None:
    bundle = live.bundle()

    def approve() -> None:
        waits(live)
        with live.store() as store:
            decide.approve(store, live.folder, ID, None, 365, int(time.time()))

    operator = threading.Thread(target=approve)
    operator.start()
    code, number = killed(box, how, "enrol", str(bundle))
    operator.join(60)
    assert code == 0
    assert number >= (15 if how == "steps" else 1), "few of its steps were met"
    assert welcomed(context(live, box), live.port)


@pytest.mark.parametrize("how", HOW)
def test_renewed_in_spite_of_it(live: LiveFleet, box: Box, how: str) -> None:
    approved(live, box, days=1)
    before = box.identity.pair(box.identity.device)
    _, number = killed(box, how, "renew")
    after = box.identity.pair(box.identity.device)
    assert before is not None
    assert after is not None
    assert after.key.public_key() != before.key.public_key()
    assert number >= (15 if how == "steps" else 1)
    assert not problem(box.identity.folder)
    assert welcomed(context(live, box), live.port)
