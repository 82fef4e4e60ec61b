"""The whole uplink process, a broker with TLS and a name server: real ones, in a network of their
own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.uplink.resolver.network import certificate
from tools.common.mosquitto import installed

ROOT = Path(__file__).resolve().parents[3]
NAME = "broker.fleeting.test"
PORT = 8883

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a network of its own"),
    pytest.mark.skipif(
        installed() is None or shutil.which("openssl") is None,
        reason="mosquitto or openssl is not installed",
    ),
]

PRELUDE = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.uplink.resolver.network import NameServer, enter, mosquitto, wait
folder, name, port = Path({folder!r}), {name!r}, {port}
etc = folder / "etc"
etc.mkdir()
try:
    enter(etc)
except OSError as error:
    print(json.dumps({{"skip": str(error)}}))
    sys.exit()
from tools.common.mosquitto import die_with_parent
text = f'''
[device]
id = "box-7"
[store]
outbox = "{{folder}}/outbox.db"
[mqtt]
host = "{{name}}"
port = {{port}}
tls = true
ca_file = "{{folder}}/authority.pem"
backoff_max = 0.5
'''
(folder / "fleeting.toml").write_text(text)

class Uplink:
    def __init__(self):
        self.log = folder / "uplink.log"
        command = [sys.executable, "-m", "agent.cli", "uplink"]
        command += ["--config", str(folder / "fleeting.toml")]
        # what paho would take for its proxy
        environment = {{**os.environ, "http_proxy": "http://127.0.0.9:3128", "PYTHONPATH": {root!r},
                       "mqtt_proxy": "http://127.0.0.9:3128"}}
        with self.log.open("ab") as file:
            self.process = subprocess.Popen(
                command, stderr=file, env=environment, preexec_fn=die_with_parent
            )
    def says(self, words):
        return self.log.exists() and words in self.log.read_text()
    def resolver(self):
        task = f"/proc/{{self.process.pid}}/task/{{self.process.pid}}/children"
        return [int(each) for each in Path(task).read_text().split()]
    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(60)

def alive(process):
    try:
        return Path(f"/proc/{{process}}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False

def status(process, key):
    lines = Path(f"/proc/{{process}}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(key + ":"))

def heard(address, file="right"):
    # How often the broker there was told the settings in force: once per connection
    log = folder / f"mosquitto-{{address}}-{{file}}.log"
    return log.read_text().count("/shadow/reported'") if log.exists() else 0
"""


def run(folder: Path, script: str) -> dict[str, Any]:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            PRELUDE.format(root=str(ROOT), folder=str(folder), name=NAME, port=PORT) + script,
        ],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if "skip" in found:
        pytest.skip(f"no network of its own here: {found['skip']}")
    log = folder / "uplink.log"
    return {**found, "log": log.read_text() if log.exists() else ""}


def test_a_broker_that_moves_is_found_by_its_name(tmp_path: Path) -> None:
    """TLS verifies the name, wherever it is; a name server that hangs is named and waited for."""
    certificate(tmp_path, f"DNS:{NAME}", "right")
    found = run(
        tmp_path,
        """
names = NameServer(name, "127.0.0.2")
first = mosquitto(folder, "127.0.0.2", port, "right")
uplink = Uplink()
wait(lambda: heard("127.0.0.2") == 1, "the first is told")
children = uplink.resolver()
names.address = "127.0.0.3"
first.terminate(); first.wait()
second = mosquitto(folder, "127.0.0.3", port, "right")
wait(lambda: heard("127.0.0.3") == 1, "the second is told")
names.address = ""  # it hangs
second.terminate(); second.wait()
wait(lambda: uplink.says("was not looked up in time"), "the hang is named")
names.address = "127.0.0.3"
third = mosquitto(folder, "127.0.0.3", port, "right")
wait(lambda: heard("127.0.0.3") == 2, "all is well when it answers again")
same = uplink.resolver() == children
memory = status(children[0], "VmRSS")
code = uplink.end()
wait(lambda: not alive(children[0]), "the resolver ends with the uplink")
print(json.dumps(dict(code=code, children=len(children), same=same, memory=int(memory))))
""",
    )
    assert found["code"] == 0, found["log"]
    assert found["children"] == 1
    assert found["same"]
    assert found["memory"] < 20_000
    assert "Traceback" not in found["log"]


def test_a_certificate_for_the_address_is_none_for_the_name(tmp_path: Path) -> None:
    certificate(tmp_path, "IP:127.0.0.2", "wrong")
    found = run(
        tmp_path,
        """
names = NameServer(name, "127.0.0.2")
broker = mosquitto(folder, "127.0.0.2", port, "wrong")
uplink = Uplink()
wait(lambda: uplink.says("Next try"), "it is refused")
code = uplink.end()
print(json.dumps(dict(code=code, heard=heard("127.0.0.2", "wrong"))))
""",
    )
    assert "of its subjectAltName" in found["log"]
    assert (found["code"], found["heard"]) == (0, 0)


def test_the_uplink_ends_where_it_can_look_up_no_more(tmp_path: Path) -> None:
    """So that whoever started it starts both again: new files, or a resolver that was killed. A
    killed uplink leaves none behind."""
    certificate(tmp_path, f"DNS:{NAME}", "right")
    found = run(
        tmp_path,
        """
names = NameServer("another.name", "127.0.0.2")
uplink = Uplink()
wait(lambda: uplink.says("is unknown"), "an unknown name is named")
new = etc / "new"
new.write_text("nameserver 127.0.0.1\\n# of another network\\n")
os.rename(new, etc / "resolv.conf")
codes = [uplink.process.wait(60)]
uplink = Uplink()
wait(lambda: uplink.log.read_text().count("is unknown") > 1 and uplink.resolver(), "it runs again")
os.kill(uplink.resolver()[0], signal.SIGKILL)
codes.append(uplink.process.wait(60))
uplink = Uplink()
wait(lambda: uplink.log.read_text().count("is unknown") > 3 and uplink.resolver(), "and again")
resolver, = uplink.resolver()
codes.append(uplink.end(signal.SIGKILL))
wait(lambda: not alive(resolver), "the resolver ends with the uplink")
print(json.dumps(dict(codes=codes)))
""",
    )
    assert found["codes"] == [1, 1, -9], found["log"]
    assert "were replaced" in found["log"]
    assert "has ended" in found["log"]
    assert "Traceback" not in found["log"]
