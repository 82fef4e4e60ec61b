"""The Node-RED flow imports cleanly, and its functions say what they should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest

from agent.base.report import EventCode, JobExecution, Summary, to_json
from agent.privacy.policy.rules import WEIGHTS
from tests.summaries import summary
from tests.tools.fleet.filled import RETAIL, busy
from tools.fleet.seen.flow import FLOW, HERE, flow

NODES: list[dict[str, Any]] = json.loads(FLOW.read_text())
BY_ID = {node["id"]: node for node in NODES}
CORE = {"tab", "mqtt-broker", "tls-config", "mqtt in", "json", "function", "switch", "debug"}
JOB = JobExecution(
    job="0123456789abcdef", status="IN_PROGRESS", step="DOWNLOADING", reason=None, number=1,
    app="0.1.0", models="0.1.0",
)  # fmt: skip


@pytest.mark.parametrize("tls", [True, False])
def test_ids_are_unique_and_wires_lead_somewhere(tls: bool) -> None:
    nodes = flow("broker.example", 1883, tls)
    known = {node["id"]: node for node in nodes}
    assert len(known) == len(nodes)
    assert {node["type"] for node in nodes} == CORE - (set() if tls else {"tls-config"})
    led_to = set()
    for node in nodes:
        assert re.fullmatch(r"[0-9a-f]{16}", node["id"])
        if "z" not in node:
            continue
        assert known[node["z"]]["type"] == "tab"
        assert isinstance(node["x"], int)
        assert isinstance(node["y"], int)
        outputs = node.get("outputs", 0 if node["type"] == "debug" else 1)
        assert len(node["wires"]) == outputs, node["name"]
        for wires in node["wires"]:
            assert wires, f"{node['name']} leads nowhere"
            for target in wires:
                assert known[target]["z"] == node["z"]
                led_to.add(target)
        if node["type"] == "mqtt in":
            assert known[node["broker"]]["type"] == "mqtt-broker"
    ends = {node["id"] for node in nodes if "z" in node and node["type"] != "mqtt in"}
    assert led_to == ends
    broker = next(node for node in nodes if node["type"] == "mqtt-broker")
    assert (broker["usetls"], bool(broker["tls"])) == (tls, tls)
    places = [(node["x"], node["y"]) for node in nodes if "z" in node]
    assert len(places) == len(set(places))


def test_the_topics_are_those_of_devices() -> None:
    topics = {node["topic"] for node in NODES if node["type"] == "mqtt in"}
    assert topics == {f"fleeting/1/d/+/{kind}" for kind in ("summary", "event", "job/+")}
    urgent = re.findall(r'^ {4}(\w+): "', (HERE / "event.js").read_text(), re.MULTILINE)
    assert len(urgent) > 5
    assert set(urgent) <= set(get_args(EventCode)), "an event that no device says"


def test_the_interval_is_never_too_narrow() -> None:
    told = (HERE / "reading.js").read_text()
    (found,) = re.findall(r"s\.v === 1 \? ([\d.]+) : ([\d.]+)", told)
    first, second = map(float, found)
    visits = WEIGHTS["visits"]
    heard = sum(WEIGHTS.values()) / visits
    assert heard <= second
    assert sum(WEIGHTS[cell] for cell in RETAIL.cells) / visits == first


def called(file: str, messages: list[tuple[str, Any]]) -> list[Any]:
    """What a function node returns for each message in turn, as Node-RED would run it."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed (apt install nodejs)")
    program = f"""
const kept = {{}};
const flow = {{ get: (key) => kept[key], set: (key, value) => {{ kept[key] = value; }} }};
const node = {{ status: () => {{}} }};
const call = new Function("msg", "flow", "node", {json.dumps((HERE / file).read_text())});
const said = {json.dumps([{"topic": topic, "payload": payload} for topic, payload in messages])};
const answers = said.map((msg) => call({{...msg, device: "box-1"}}, flow, node));
process.stdout.write(JSON.stringify(answers));
"""
    done = subprocess.run([node, "-e", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


def parsed(message: Any) -> Any:
    return json.loads(to_json(message))


def test_the_functions_let_sound_summaries_through() -> None:
    topic = "fleeting/1/d/box-1/summary"
    good: list[Summary] = [summary(1), busy(RETAIL, 2, start=1_800_000_000)]
    bad: list[tuple[str, Any]] = [
        (topic, None), (topic, []), (topic, 7), (topic, "x"), (topic, {}),
        (topic, {**parsed(good[0]), "v": 3}),
        (topic, {**parsed(good[0]), "slot": 256}),
        (topic, {**parsed(good[0]), "visits": 1e9}),
        (topic, {**parsed(good[0]), "boot": "<script>"}),
        (topic, {**parsed(good[0]), "window": None}),
        ("fleeting/1/d/a b/summary", parsed(good[0])),
        ("other", parsed(good[0])),
    ]  # fmt: skip
    found = called("summary.js", [*((topic, parsed(each)) for each in good), *bad])
    for sound, refused in found[: len(good)]:
        assert refused is None
        assert sound["device"] == "box-1"
    for sound, refused in found[len(good) :]:
        assert sound is None
        assert set(refused["payload"]) == {"reason"}
    (reading,) = called("reading.js", [(topic, parsed(good[1]))])
    assert reading["payload"]["visits"] == good[1].visits
    assert reading["payload"]["within"] == 17  # 3 b, b = 5.5
    assert reading["payload"]["start"] == "2027-01-15T08:00:00.000Z"


def test_the_functions_watch_a_roll_out() -> None:
    topic = f"fleeting/1/d/box-1/job/{JOB.job}"
    failed = JOB.model_copy(
        update={"status": "FAILED", "step": "ROLLED_BACK", "reason": "crashed", "number": 5}
    )
    found = called(
        "job.js",
        [
            (topic, parsed(JOB)),
            ("fleeting/1/d/box-1/job/next", {"v": 1}),
            (topic, {**parsed(JOB), "job": "f" * 16}),
            (topic, {**parsed(JOB), "status": "TIMED_OUT"}),
            (topic, {**parsed(JOB), "app": "new"}),
            (topic, {**parsed(JOB), "reason": "a b"}),
            (topic, None),
        ],
    )
    assert found[0][0]["payload"] == parsed(JOB)
    assert found[1] is None
    assert all(each[0] is None and each[1]["payload"]["reason"] for each in found[2:])
    first, second, late = called(
        "rollout.js", [(topic, parsed(JOB)), (topic, parsed(failed)), (topic, parsed(JOB))]
    )
    assert first["payload"]["counts"] == {"IN_PROGRESS": 1}
    assert second["payload"]["counts"] == {"FAILED": 1}
    assert late is None
    (notice,) = called("failed.js", [(topic, second["payload"])])
    assert notice["payload"]["text"] == (
        "box-1: update FAILED (crashed); it is back on the old version and works. In force: 0.1.0, "
        "models 0.1.0."
    )


def test_the_functions_pass_urgent_events_on() -> None:
    topic = "fleeting/1/d/box-1/event"
    event = {"v": 1, "boot": "0a1b2c3d", "seq": 1, "count": 2, "at": None, "offset": 10}
    urgent, calm, odd, none = called(
        "event.js",
        [
            (topic, {**event, "code": "cage_open"}),
            (topic, {**event, "code": "paused"}),
            (topic, {**event, "code": "toString"}),
            (topic, None),
        ],
    )
    assert urgent["payload"]["text"] == "box-1: a wall of its sandbox is open"
    assert (calm, odd, none) == (None, None, None)


def test_every_urgent_event_is_one_that_devices_send() -> None:
    named = set(re.findall(r"^    (\w+): \"", (HERE / "event.js").read_text(), re.MULTILINE))
    assert {"hot", "undervolt", "camera_frozen", "reboot_asked", "cage_open"} <= named
    assert named <= set(get_args(EventCode))


def test_no_file_is_left_over() -> None:
    assert {path.name for path in Path(HERE).iterdir()} == {
        "flow.json", *(f"{name}.js" for name in
                       ("summary", "reading", "event", "job", "rollout", "failed")),
    }  # fmt: skip
