"""Three RabbitMQ nodes, each in network, mount, process and host-name namespaces of its own, joined
by a bridge in a fourth network namespace: nothing of it is reachable from anywhere else.

The devices, the collectors and whoever asks the nodes run in the namespace of the bridge.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools.common.errors import ToolError
from tools.common.mosquitto import die_with_parent

NODES = (1, 2, 3)
MQTT, AMQP = 1883, 5672
USER = "fleet"
_START = 120.0
"""Seconds that the cluster has to form, or a node to come back."""
_NET = "169.254.77"
"""Link-local (RFC 3927): never routed, so that nothing needs TLS there."""
_CONFIGURATION = """\
cluster_formation.peer_discovery_backend = classic_config
{members}
cluster_partition_handling = pause_minority
default_user = {user}
default_pass = {password}
loopback_users = none
listeners.tcp.default = 5672
mqtt.listeners.tcp.default = 1883
mqtt.allow_anonymous = false
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 100MB
"""
_SCRIPT = """\
set -e
hostname {name}
mount --make-rprivate /
mount --bind {place}/lib {root}/var/lib/rabbitmq
mount --bind {place}/log {root}/var/log/rabbitmq
mount --bind {place}/etc {root}/etc/rabbitmq
mount --bind {place}/hosts {root}/etc/hosts
mount -t proc proc {root}/proc
mount --rbind /dev {root}/dev
exec {inside} /usr/lib/rabbitmq/bin/rabbitmq-server
"""
"""The mounts are the node's own and end with it."""


class Cluster:
    """Use as a context manager: it makes the namespaces, and leaves nothing behind."""

    def __init__(self, root: Path, folder: Path) -> None:
        """`root`: of `root.make`; `folder`: for data and logs, another user must be able to reach
        it."""
        self._root, self._folder = root, folder
        self._tag = f"fleet{os.getpid()}"
        self.hub = f"{self._tag}h"
        """The network namespace of the bridge."""
        self.password = secrets.token_hex(16)
        self._cookie = secrets.token_hex(16)
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Cluster:
        try:
            self._make_network()
            for node in NODES:
                self._prepare(node)
                self.start(node)
            self.wait()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def address(self, node: int) -> str:
        return f"{_NET}.{node}"

    def start(self, node: int) -> None:
        """Start a node with the data that it has."""
        place = self._place(node)
        # The process group of a node's first process ends with it: it is init of its namespace.
        command = ["ip", "netns", "exec", self._net(node), "unshare", "--mount", "--uts", "--ipc",
                   "--pid", "--fork", "--kill-child", "sh", str(place / "start")]  # fmt: skip
        with (place / "output").open("ab") as output:
            self._processes[node] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                preexec_fn=die_with_parent,
            )  # fmt: skip

    def kill(self, node: int) -> None:
        """kill -9: the node and all of its processes are gone at once."""
        process = self._processes.pop(node)
        inner = self._first(process.pid)
        if inner is not None:
            os.kill(inner, signal.SIGKILL)
        process.kill()
        process.wait()

    def wait(self, nodes: Iterable[int] = NODES) -> None:
        """Until these nodes run as one cluster. Raises `ToolError`."""
        wanted = {f"rabbit@node{node}" for node in nodes}
        deadline = time.monotonic() + _START
        said = ""
        while time.monotonic() < deadline:
            for node in nodes:
                if self._processes[node].poll() is not None:
                    raise ToolError(f"RabbitMQ's node {node} ended: {self._last_words(node)}")
            try:
                said = self.ask(min(nodes), "eval", "lists:sort(rabbit_nodes:list_running()).")
                if wanted <= set(said.strip().strip("[]").replace("'", "").split(",")):
                    for node in nodes:
                        self.ask(node, "await_startup")
                    return
            except ToolError as error:
                said = str(error)
            time.sleep(1)
        raise ToolError(f"RabbitMQ's nodes do not form a cluster within {_START:.0f} s: {said}")

    def ask(self, node: int, *words: str) -> str:
        """What rabbitmqctl says on a node. Raises `ToolError`."""
        process = self._processes.get(node)
        inner = self._first(process.pid) if process else None
        if inner is None:
            raise ToolError(f"RabbitMQ's node {node} does not run.")
        command = ["nsenter", "-t", str(inner), "-m", "-u", "-i", "-n", "-p", *self._inside(node),
                   "/usr/lib/rabbitmq/bin/rabbitmqctl", "--quiet", *words]  # fmt: skip
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_START, check=False
        )
        if done.returncode:
            lines = (done.stderr + done.stdout).decode(errors="replace").strip().splitlines()
            raise ToolError(f"rabbitmqctl {words[0]} fails on node {node}: {' '.join(lines[:2])}")
        return done.stdout.decode(errors="replace")

    def leader(self, queue: str) -> int:
        """The node that leads a quorum queue. Raises `ToolError`."""
        node = next(iter(self._processes))
        for line in self.ask(node, "list_queues", "name", "leader").splitlines():
            name, _, where = line.partition("\t")
            if name == queue and where.startswith("rabbit@node"):
                return int(where.removeprefix("rabbit@node"))
        raise ToolError(f"There is no queue {queue}.")

    def pids(self) -> dict[int, int]:
        """Process id of what started each node, for its processor time."""
        return {node: process.pid for node, process in self._processes.items()}

    def inside(self, *command: str) -> list[str]:
        """A command that runs where the devices and collectors are."""
        return ["ip", "netns", "exec", self.hub, *command]

    def close(self) -> None:
        """End the nodes and remove the namespaces."""
        for node in list(self._processes):
            with contextlib.suppress(OSError):
                self.kill(node)
        for name in (self.hub, *map(self._net, NODES)):
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)

    def _make_network(self) -> None:
        for name in (self.hub, *map(self._net, NODES)):
            _run("ip", "netns", "add", name)
            _run("ip", "-n", name, "link", "set", "lo", "up")
        _run("ip", "-n", self.hub, "link", "add", "bridge", "type", "bridge")
        _run("ip", "-n", self.hub, "addr", "add", f"{_NET}.254/24", "dev", "bridge")
        _run("ip", "-n", self.hub, "link", "set", "bridge", "up")
        for node in NODES:
            net, end = self._net(node), f"node{node}"
            _run("ip", "-n", self.hub, "link", "add", end, "type", "veth",
                 "peer", "name", "eth0", "netns", net)  # fmt: skip
            _run("ip", "-n", self.hub, "link", "set", end, "master", "bridge", "up")
            _run("ip", "-n", net, "addr", "add", f"{self.address(node)}/24", "dev", "eth0")
            _run("ip", "-n", net, "link", "set", "eth0", "up")

    def _prepare(self, node: int) -> None:
        place = self._place(node)
        uid, gid = _owner(self._root)
        members = "\n".join(
            f"cluster_formation.classic_config.nodes.{each} = rabbit@node{each}" for each in NODES
        )
        files = {
            "lib/.erlang.cookie": self._cookie,
            "etc/enabled_plugins": "[rabbitmq_mqtt].\n",
            "etc/rabbitmq.conf": _CONFIGURATION.format(
                members=members, user=USER, password=self.password
            ),
            "hosts": "127.0.0.1 localhost\n"
            + "".join(f"{self.address(each)} node{each}\n" for each in NODES),
        }
        for name in ("lib", "log", "etc"):
            (place / name).mkdir(parents=True)
        for name, content in files.items():
            (place / name).write_text(content, encoding="utf-8")
        (place / "lib/.erlang.cookie").chmod(0o400)
        for path in (place, *place.rglob("*")):
            os.chown(path, uid, gid)
        (place / "start").write_text(
            _SCRIPT.format(
                name=f"node{node}", place=place, root=self._root,
                inside=" ".join(self._inside(node)),
            ),
            encoding="utf-8",
        )  # fmt: skip

    def _inside(self, node: int) -> list[str]:
        """As the user of Debian's package, in its root, with an environment of its own."""
        return ["chroot", str(self._root), "/usr/bin/setpriv", "--reuid", "rabbitmq", "--regid",
                "rabbitmq", "--clear-groups", "/usr/bin/env", "-i",
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/var/lib/rabbitmq", "LANG=C.UTF-8",
                f"RABBITMQ_NODENAME=rabbit@node{node}"]  # fmt: skip

    def _place(self, node: int) -> Path:
        return self._folder / f"node{node}"

    def _net(self, node: int) -> str:
        return f"{self._tag}n{node}"

    def _first(self, outer: int) -> int | None:
        """Process 1 of a node's process namespace: the child of unshare(1)."""
        try:
            found = Path(f"/proc/{outer}/task/{outer}/children").read_text(encoding="ascii").split()
        except OSError:
            return None
        return int(found[0]) if found else None

    def _last_words(self, node: int) -> str:
        text = (self._place(node) / "output").read_text(encoding="utf-8", errors="replace")
        return " | ".join(text.strip().splitlines()[-3:]) or "no reason given"


def _run(*command: str) -> Any:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        raise ToolError(f"{' '.join(command)}: {done.stderr.decode(errors='replace').strip()}")


def _owner(root: Path) -> tuple[int, int]:
    """User and group rabbitmq of that Debian. Raises `ToolError`."""
    for line in (root / "etc/passwd").read_text(encoding="utf-8").splitlines():
        name, _, uid, gid, *_ = line.split(":")
        if name == "rabbitmq":
            return int(uid), int(gid)
    raise ToolError(f"{root} has no user rabbitmq. Remove it, then run this again.")
