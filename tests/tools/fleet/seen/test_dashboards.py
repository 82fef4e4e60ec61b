"""Every query of every dashboard is run against both databases; the JSON is as Grafana wants it."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from agent.privacy.policy.rules import PROFILES, WEIGHTS
from tests.tools.fleet.filled import NOW, fill
from tools.fleet.cli import main
from tools.fleet.seen.content_boards import HEARD_SHARE, SHARE
from tools.fleet.seen.copy import HERE, documents
from tools.fleet.seen.grafana import POSTGRESQL, SQLITE, WIDTH
from tools.fleet.store import Store, open_store

FILES = sorted((HERE / "grafana").glob("*.json"))
BOARDS = {path.stem: json.loads(path.read_text()) for path in FILES}
DAY = 86_400
VALUES = {"device": "box-1", "grp": "shops", "slot": "0"}


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "text"]


def expanded(sql: str, values: dict[str, str]) -> str:
    """As Grafana sends it: the last day, points of five minutes."""
    for name, value in (("__from", 1000 * (NOW - DAY)), ("__to", 1000 * NOW),
                        ("__interval_ms", 300_000)):  # fmt: skip
        sql = sql.replace(f"${name}", str(value))
    sql = re.sub(r"\$\{(\w+):sqlstring\}", lambda found: f"'{values[found[1]]}'", sql)
    assert "$" not in sql, sql
    return sql


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('dashboards') / 'fleet.db'}")
    fill(store)
    return store


@pytest.fixture(scope="module")
def postgresql(postgres: Any) -> Store:
    store = open_store(postgres.url())
    fill(store)
    return store


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(request.param)
    return found


def test_the_files_are_what_the_generator_writes() -> None:
    for name, text in documents().items():
        assert (HERE / name).read_text() == text, f"{name}: run python -m tools.fleet.seen"
    assert {path.name for path in FILES} == {
        Path(name).name for name in documents() if name.startswith("grafana/")
    }


@pytest.mark.parametrize("chosen", ["*", "one"])
@pytest.mark.parametrize("name", BOARDS)
def test_every_query_gives_rows(store: Store, name: str, chosen: str) -> None:
    values = VALUES if chosen == "one" else {**dict.fromkeys(VALUES, "*"), "device": "*"}
    if name == "device":
        values = VALUES
    for panel in panels(BOARDS[name]):
        (target,) = panel["targets"]
        assert target["rawSql"] == target["queryText"] == target["rawQueryText"]
        rows = store.execute(expanded(target["rawSql"], values))
        assert rows, f"{panel['title']} is empty"
        number = [value for row in rows for key, value in row.items()
                  if key != "time" and value is not None]  # fmt: skip
        assert number, f"{panel['title']} has no value"
        if target["format"] == "time_series":
            times = [row["time"] for row in rows]
            assert times == sorted(times)
            assert all(NOW - DAY - 300 <= time < NOW for time in times), panel["title"]
            shape = {key: value for key, value in rows[0].items() if key != "time"}
            words = [key for key, value in shape.items() if isinstance(value, str)]
            assert words in ([], ["metric"]), panel["title"]


@pytest.mark.parametrize("name", BOARDS)
def test_every_choice_can_be_chosen(store: Store, name: str) -> None:
    for variable in BOARDS[name]["templating"]["list"][1:]:
        rows = store.tuples(expanded(variable["query"], {}))
        assert all(len(row) == 1 for row in rows)
        assert VALUES[variable["name"]] in {row[0] for row in rows}


@pytest.mark.parametrize("name", BOARDS)
def test_an_empty_database_is_no_error(store_url: str, name: str) -> None:
    with open_store(store_url) as empty:
        for panel in panels(BOARDS[name]):
            empty.execute(expanded(panel["targets"][0]["rawSql"], VALUES))


def test_both_databases_answer_alike(sqlite: Store, postgresql: Store) -> None:
    compared = 0
    for board in BOARDS.values():
        for panel in panels(board):
            sql = expanded(panel["targets"][0]["rawSql"], VALUES)
            if "status" in sql or "age" in sql:
                continue  # depend on the present
            one, other = (
                [
                    tuple(float(each) if not isinstance(each, str | None) else each for each in row)
                    for row in store.tuples(sql)
                ]
                for store in (sqlite, postgresql)
            )
            assert len(one) == len(other), panel["title"]
            for mine, theirs in zip(sorted(one, key=str), sorted(other, key=str), strict=True):
                assert mine == pytest.approx(theirs), panel["title"]
            compared += 1
    assert compared > 50


def test_the_band_is_never_too_narrow() -> None:
    """b of the visits, as the dashboards have it, covers the policies with all cells."""
    first = PROFILES["retail-eu"].cells
    assert sum(WEIGHTS[cell] for cell in first) / WEIGHTS["visits"] == SHARE
    assert sum(WEIGHTS.values()) / WEIGHTS["visits"] <= HEARD_SHARE


def test_sums_and_their_noise_are_those_of_the_windows(store: Store) -> None:
    def answer(title: str, device: str) -> float:
        (panel,) = [
            each
            for each in BOARDS["content"]["panels"]
            if each["title"] == title and each["type"] == "stat"
        ]
        values = {"device": device, "slot": "0", "grp": "*"}
        return float(store.tuples(expanded(panel["targets"][0]["rawSql"], values))[0][0])

    for device in ("box-1", "box-2"):
        where = f"device = '{device}' AND slot = 0 AND at >= {NOW - DAY} AND at < {NOW}"
        sql = f"SELECT SUM(visits), COUNT(*) FROM slots WHERE {where}"
        visits, windows = store.tuples(sql)[0]
        assert answer("Visits", device) == visits
        assert answer("Windows", device) == windows
    assert answer("Within (95 %)", "box-1") == 0  # its policy adds no noise
    noised = 6  # of box-2, each with b = 5.5
    assert answer("Within (95 %)", "box-2") == pytest.approx(1.96 * (noised * 2 * 5.5**2) ** 0.5)


@pytest.mark.parametrize("name", BOARDS)
def test_the_json_is_a_dashboard(name: str) -> None:
    board = BOARDS[name]
    assert board["schemaVersion"] >= 36
    assert re.fullmatch(r"[a-z-]{1,40}", board["uid"])
    assert "fleeting" in board["tags"]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids)) > 5
    variables = {each["name"] for each in board["templating"]["list"]}
    used = set(re.findall(r"\$\{(\w+)", json.dumps(board)))
    assert used == variables
    source = board["templating"]["list"][0]
    assert (source["type"], source["query"]) == ("datasource", POSTGRESQL)
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= WIDTH
        assert place["h"] > 0
        if panel["type"] != "text":
            assert panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert panel["datasource"] == {"type": POSTGRESQL, "uid": "${source}"}
            assert panel["interval"] == "1m"
    for one, other in itertools.combinations(board["panels"], 2):
        assert not overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def test_uids_and_titles_are_unique() -> None:
    for key in ("uid", "title"):
        assert len({board[key] for board in BOARDS.values()}) == len(BOARDS) == 6


def test_they_are_copied_for_the_fleets_database_and_broker(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet, out = tmp_path / "fleet", tmp_path / "out"
    fleet.mkdir()
    (fleet / "fleet.toml").write_text('[broker]\nhost = "broker.example"\nport = 18884\n')
    words = ["seen", "--fleet", str(fleet), "--out", str(out)]
    assert main([*words, "--json", "--collector", "a:1", "--collector", "b:2"]) == 0
    made = {Path(each) for each in json.loads(capsys.readouterr().out)}
    assert made == {path for path in out.rglob("*") if path.is_file()}
    for path in (out / "grafana").iterdir():
        text = path.read_text()
        assert SQLITE in text
        assert POSTGRESQL not in text
    assert "['a:1', 'b:2']" in (out / "prometheus.yml").read_text()
    broker = next(each for each in json.loads((out / "nodered/flow.json").read_text())
                  if each["type"] == "mqtt-broker")  # fmt: skip
    assert (broker["broker"], broker["port"]) == ("broker.example", "18884")
    (fleet / "fleet.toml").write_text('[store]\nurl = "postgresql://me@db/fleet"\n')
    assert main(words) == 0
    assert POSTGRESQL in (out / "grafana" / "overview.json").read_text()
    with pytest.raises(SystemExit):
        main([*words, "--collector", "a'b"])
    (tmp_path / "file").write_text("")
    assert main(["seen", "--fleet", str(fleet), "--out", str(tmp_path / "file")]) == 1
