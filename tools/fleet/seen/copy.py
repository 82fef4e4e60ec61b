"""What watches a fleet, as files; with a fleet's own settings filled in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from agent.base.files import write_atomically
from tools.common.errors import ToolError
from tools.fleet.seen import content_boards, fleet_boards, flow
from tools.fleet.seen.grafana import POSTGRESQL, SQLITE
from tools.fleet.settings import FleetSettings

HERE = Path(__file__).resolve().parent
RULES = HERE / "rules.yml"
BOARDS = {
    "overview": fleet_boards.overview,
    "device": fleet_boards.device,
    "content": content_boards.content,
    "voice": content_boards.voice,
    "rollouts": fleet_boards.rollouts,
    "quality": fleet_boards.quality,
}
COLLECTOR, CONTROLLER = "127.0.0.1:9464", "127.0.0.1:9465"
"""Where their metrics are in the examples of the guide."""


def documents(settings: FleetSettings | None = None) -> dict[str, str]:
    """Dashboards and flow by name of file. `settings`: None: as in this folder, for PostgreSQL."""
    broker = None if settings is None else settings.broker
    sqlite = settings is not None and not settings.store.url.startswith("postgres")
    made = {f"grafana/{name}.json": board().document() for name, board in BOARDS.items()}
    found = {name: json.dumps(document, indent=1) + "\n" for name, document in made.items()}
    if sqlite:
        found = {name: text.replace(POSTGRESQL, SQLITE) for name, text in found.items()}
    nodes = flow.flow() if broker is None else flow.flow(broker.host, broker.port, broker.tls)
    return {**found, "nodered/flow.json": json.dumps(nodes, indent=1) + "\n"}


def prometheus_yml(
    collectors: Sequence[str] = (COLLECTOR,), controllers: Sequence[str] = (CONTROLLER,)
) -> str:
    """The example with these addresses, HOST:PORT."""
    text = (HERE / "prometheus.yml").read_text(encoding="utf-8")
    for example, given in ((COLLECTOR, collectors), (CONTROLLER, controllers)):
        quoted = ", ".join(f"'{each}'" for each in given)
        text = text.replace(f"['{example}']", f"[{quoted}]")
    return text


def copy(
    out: Path, settings: FleetSettings, collectors: Sequence[str], controllers: Sequence[str]
) -> list[Path]:
    """Write everything into `out`, over what is there. Raises `ToolError`."""
    texts = {
        **documents(settings),
        "rules.yml": RULES.read_text(encoding="utf-8"),
        "prometheus.yml": prometheus_yml(collectors, controllers),
    }
    try:
        for name, text in texts.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(out / name, text.encode())
    except OSError as error:
        raise ToolError(f"{error.filename or out} cannot be written: {error.strerror}.") from None
    return [out / name for name in texts]
