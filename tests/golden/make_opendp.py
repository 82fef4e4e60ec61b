"""Draws OpenDP's discrete Laplace noise and stores how often each bin came: `opendp.json`.

    pip install 'opendp>=0.16,<0.17'
    python -m tests.golden.make_opendp

Stored rather than drawn in the test: OpenDP is 264 MB, and the tests run on boards too.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import opendp.prelude as dp

from tests.privacy.test_noise import DRAWS, SCALES, bins, sorted_into

FILE = Path(__file__).with_name("opendp.json")


def main() -> None:
    dp.enable_features("contrib")
    counts = {}
    for scale in SCALES:
        space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
        draws = dp.m.make_laplace(*space, scale=float(scale))([0] * DRAWS)
        counts[str(scale)] = sorted_into(bins(scale), draws)
    FILE.write_text(json.dumps({"opendp": version("opendp"), "draws": DRAWS, "counts": counts}))


if __name__ == "__main__":
    main()
