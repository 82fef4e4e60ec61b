"""A fleet to look at: the console in a browser, with a real agent, until somebody ends it."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from tools.common.errors import ToolError
from tools.common.mosquitto import listens
from tools.common.progress import bar
from tools.fleet.console import accounts
from tools.fleet.demo import beside
from tools.fleet.demo.agent import NAME, Agent
from tools.fleet.demo.run import Say
from tools.fleet.simulate.deployment import Deployment, StoreKind, quiet_ports
from tools.fleet.store import Store, open_store

USER = "anna"
_PORT = 8580
"""Where the console is looked for; another one where something else listens there."""
_STARTED = 420.0
"""Seconds that the agent has for its first summary: it compiles its kernels."""
_SHOWN = 30.0
"""Seconds that each content is on the screen."""
_AWAY = 30.0
"""Seconds until an agent that was ended is started again."""
_CATALOGUE = """[[content]]
slot = 0
name = "Timetable"

[[content]]
slot = 1
name = "The red chair"
"""


def watch(folder: Path, kind: StoreKind, say: Say, *, as_json: bool = False) -> None:
    """Everything, in a folder of its own, until KeyboardInterrupt. Raises `ToolError`."""
    with contextlib.ExitStack() as stack:
        say("broker, database, collector, controller")
        side = stack.enter_context(Deployment(folder, kind, collectors=1, controller=True))
        say(f"console, alerts, {beside.DEVICES} simulated devices and a real one")
        store = stack.enter_context(open_store(side.url))
        _fill(folder, side)
        password = secrets.token_urlsafe(12)
        accounts.set_user(store, USER, "operator", password, int(time.time()))
        address = stack.enter_context(beside.console(folder, side, _port()))
        stack.enter_context(beside.alerts(side.url))
        simulator = stack.enter_context(beside.Simulator(folder, side, "--minutes", f"{24 * 60}"))
        agent = stack.enter_context(Agent(folder, side.fleet, side.port, "http://127.0.0.1:9"))

        def check() -> None:
            side.check()
            simulator.check()

        _until_windows(store, check, agent)
        print(
            json.dumps({"address": address, "user": USER, "password": password, "agent": agent.pid})
            if as_json
            else _words(address, password, agent),
            flush=True,
        )
        for slot in _turns():
            _show(agent, slot)
            _pause(check, agent, say)


def _port() -> int:
    return quiet_ports(1)[0] if listens(_PORT) else _PORT


def _fill(folder: Path, side: Deployment) -> None:
    """What an operator has written down before: a group, and what the slots hold."""
    fleet = beside.Verbs(side)
    catalogue = folder / "content.toml"
    catalogue.write_text(_CATALOGUE, encoding="utf-8")
    fleet("content", "import", str(catalogue))
    fleet("group", "set", "hall", f"id={NAME} or id=sim-*")


def _until_windows(store: Store, check: beside.Check, agent: Agent) -> None:
    sql = "SELECT COUNT(*) FROM summaries WHERE device = ? AND visits IS NOT NULL"
    with bar("the real device's first window", None) as tell:

        def there() -> bool:
            count = int(store.tuples(sql, (NAME,))[0][0])
            tell(count, "it compiles its kernels first, a minute or two")
            return count > 0

        def all_well() -> None:
            check()
            agent.check()

        beside.until(there, _STARTED, all_well, "The agent says nothing.")


def _words(address: str, password: str, agent: Agent) -> str:
    port = address.rpartition(":")[2]
    return f"""
The console:  {address}/
Name:         {USER}
Password:     {password}

{NAME} is a real device on the bundled clip; its screen shows two contents in turns.
  Devices   {NAME}: windows of ten seconds, with their intervals
  Compare   slots 0 and 1, device {NAME}, after some minutes
  Settings  tracking.max_faces = 200 for {NAME}: refused, with the reason
  Alerts    kill {agent.pid}: raised within seconds, ended when it is back
On another machine: ssh -L {port}:127.0.0.1:{port} THIS_MACHINE, then the same address.

Ctrl-C ends everything, and leaves nothing behind.
"""


def _turns() -> Iterator[int]:
    while True:
        yield 1
        yield 0


def _show(agent: Agent, slot: int) -> None:
    # One that is just starting hears the next one.
    with contextlib.suppress(ToolError):
        agent.show(slot)


def _pause(check: beside.Check, agent: Agent, say: Say) -> None:
    """While one content is on show; an agent that somebody ended comes back, as by systemd."""
    until = time.monotonic() + _SHOWN
    while time.monotonic() < until:
        check()
        try:
            agent.check()
        except ToolError:
            agent.kill()
            say(f"{NAME} has ended; it is started again in {_AWAY:.0f} s")
            time.sleep(_AWAY)
            agent.start()
            say(f"{NAME} is process {agent.pid} now")
        time.sleep(0.5)
