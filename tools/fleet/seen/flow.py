"""The Node-RED flow: summaries, events and roll-outs, validated and then shown.

Only nodes that every Node-RED has. Where it says `debug`, a dashboard, a mail or a telephone is
connected: the messages there are small and flat.

    python -m tools.fleet.seen      writes nodered/flow.json anew
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent / "nodered"
FLOW = HERE / "flow.json"
_TAB, _BROKER, _TLS = "f1ee000000000001", "f1ee000000000002", "f1ee000000000003"
_CERTIFICATES = "/etc/fleeting/reader-nodered"

Node = dict[str, Any]


def flow(
    host: str = "localhost", port: int = 8884, tls: bool = True, folder: str = _CERTIFICATES
) -> list[Node]:
    """Every node. `folder`: of the operator `reader-nodered`, as on the machine of Node-RED."""
    nodes: list[Node] = [
        {
            "id": _TAB,
            "type": "tab",
            "label": "Fleeting fleet",
            "disabled": False,
            "info": "Summaries, events and roll-outs of a fleet. Counts carry noise: see `within`.",
        },
        {
            "id": _BROKER,
            "type": "mqtt-broker",
            "name": "fleet's broker",
            "broker": host,
            "port": str(port),
            "tls": _TLS if tls else "",
            "usetls": tls,
            # The certificate's common name is user name and client id in one.
            "clientid": "reader-nodered",
            "autoConnect": True,
            "protocolVersion": "5",
            "keepalive": "60",
            "cleansession": False,
            "sessionExpiry": "604800",
            "autoUnsubscribe": False,
        },
    ]
    if tls:
        nodes.append(
            {
                "id": _TLS,
                "type": "tls-config",
                "name": "reader-nodered",
                "cert": f"{folder}/operator.pem",
                "key": f"{folder}/operator.key",
                "ca": f"{folder}/ca.pem",
                "certname": "",
                "keyname": "",
                "caname": "",
                "servername": "",
                "verifyservercert": True,
                "alpnprotocol": "",
            }
        )
    rows = _Rows()
    summary = rows.heard("summaries", "fleeting/1/d/+/summary")
    checked = rows.function("sound?", "summary.js", outputs=2, after=summary)
    published = rows.switch(
        "published?", "payload.visits", [("nnull", None), ("null", None)], after=checked
    )
    rows.debug("readings: a dashboard", rows.function("reading", "reading.js", after=published), 0)
    rows.debug("withheld: too few visits", published, 1)
    rows.debug("refused", checked, 1)
    rows.next_row()
    event = rows.heard("events", "fleeting/1/d/+/event")
    rows.debug("notices: a telephone", rows.function("urgent?", "event.js", after=event), 0)
    rows.next_row()
    answer = rows.heard("updates", "fleeting/1/d/+/job/+")
    checked = rows.function("sound?", "job.js", outputs=2, after=answer)
    counted = rows.function("roll-out", "rollout.js", after=checked)
    ended = rows.switch(
        "how?",
        "payload.status",
        [("eq", "FAILED"), ("eq", "REJECTED"), ("else", None)],
        after=counted,
    )
    failed = rows.function("failed", "failed.js", after=ended)
    rows.wire(ended, 1, failed)
    rows.debug("failed updates: a telephone", failed, 0)
    rows.debug("roll-out: a dashboard", ended, 2)
    rows.debug("refused", checked, 1)
    return nodes + rows.nodes


class _Rows:
    """Places nodes from left to right, one row for each thing that is heard."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._x, self._y, self._below = 0, 80, 0

    def next_row(self) -> None:
        self._x, self._y, self._below = 0, self._y + 200, 0

    def heard(self, name: str, topic: str) -> Node:
        """Text from the broker, then JSON. Empty messages take retained ones back, and end here."""
        source = self._node(
            "mqtt in",
            name,
            topic=topic,
            qos="1",
            datatype="utf8",
            broker=_BROKER,
            nl=False,
            rap=True,
            rh=0,
            inputs=0,
        )
        something = self.switch("something?", "payload", [("nempty", None)], after=source)
        parsed = self._node("json", "parse", property="payload", action="obj", pretty=False)
        self.wire(something, 0, parsed)
        return parsed

    def function(self, name: str, file: str, after: Node, outputs: int = 1) -> Node:
        made = self._node(
            "function",
            name,
            func=(HERE / file).read_text(encoding="utf-8"),
            outputs=outputs,
            timeout=0,
            noerr=0,
            initialize="",
            finalize="",
            libs=[],
            wires=[[] for _ in range(outputs)],
        )
        self.wire(after, 0, made)
        return made

    def switch(
        self, name: str, what: str, rules: list[tuple[str, str | None]], after: Node
    ) -> Node:
        made = self._node(
            "switch",
            name,
            property=what,
            propertyType="msg",
            rules=[
                {"t": how} | ({} if value is None else {"v": value, "vt": "str"})
                for how, value in rules
            ],
            checkall="false",
            repair=False,
            outputs=len(rules),
            wires=[[] for _ in rules],
        )
        self.wire(after, 0, made)
        return made

    def debug(self, name: str, after: Node, output: int) -> None:
        self._below += 1
        made = self._node(
            "debug",
            name,
            active=True,
            tosidebar=True,
            console=False,
            tostatus=False,
            complete="payload",
            targetType="msg",
            statusVal="",
            statusType="auto",
        )
        made["x"], made["y"], made["wires"] = 1520, self._y + 60 * (self._below - 1), []
        self.wire(after, output, made)

    def wire(self, source: Node, output: int, target: Node) -> None:
        source["wires"][output].append(target["id"])

    def _node(self, kind: str, name: str, **more: Any) -> Node:
        self._x += 190
        node = {
            "id": f"f1ee0000000001{len(self.nodes):02x}",
            "type": kind,
            "z": _TAB,
            "name": name,
            "x": self._x - 50,
            "y": self._y,
            "wires": [[]],
        } | more
        self.nodes.append(node)
        return node
