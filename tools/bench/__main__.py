"""`python -m tools.bench SUBCOMMAND`: cost and quality of what runs, on this machine."""

from __future__ import annotations

from tools.bench import decode, intervals, memory, models, voice
from tools.bench.micro import cli as micro
from tools.bench.micro_images import cli as micro_images
from tools.bench.pipeline import cli as pipeline
from tools.bench.soak import cli as soak
from tools.bench.speech import cli as speech
from tools.bench.steady import cli as steady
from tools.bench.visits import cli as visits
from tools.bench.worlds import cli as worlds
from tools.bench.worlds import empty
from tools.common import command

SUBCOMMANDS: dict[str, command.Subcommand] = {
    "pipeline": pipeline,
    "models": models,
    "micro": micro,
    "micro-images": micro_images,
    "steady": steady,
    "soak": soak,
    "memory": memory,
    "speech": speech,
    "visits": visits,
    "worlds": worlds,
    "empty": empty,
    "intervals": intervals,
    "voice": voice,
    "decode": decode,
}


def main(argv: list[str] | None = None) -> int:
    """Measure, print, perhaps store. Returns the exit code."""
    return command.main("tools.bench", __doc__, SUBCOMMANDS, argv)


if __name__ == "__main__":
    raise SystemExit(main())
