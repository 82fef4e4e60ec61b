"""The process that talks: outbox to MQTT. It knows reports and nothing about what was seen."""

from __future__ import annotations

import logging
import threading

from agent.base.config import AgentConfig
from agent.base.report import UplinkCage
from agent.host import sandbox, sd_notify
from agent.privacy.policy.rules import resolve
from agent.uplink.health import SOURCES
from agent.uplink.loop import Uplink
from agent.uplink.receipt.book import UNIT_FOLDERS
from agent.uplink.receipt.key import key_path
from agent.wall.outbox import Outbox

log = logging.getLogger(__name__)

__all__ = ["Uplink", "run_uplink"]


def run_uplink(config: AgentConfig, stop: threading.Event) -> int:
    """Seal this process for good, then publish until `stop` is set. Returns the exit code.

    A thread of somebody else's process does not seal it, and says so. Raises `ConfigError` or
    `StoreError` at the start only.
    """
    logging.basicConfig(level=logging.INFO, format="uplink: %(message)s")
    resolve(config, live=False)
    with Outbox(config.store) as outbox:
        uplink = Uplink(config, outbox, stop.wait)
        if threading.current_thread() is threading.main_thread():
            walls = uplink.identity.cage = _seal(config)
            if "open" in (walls.devices, walls.egress, walls.writes):
                outbox.say("cage_open")
        else:
            log.warning("Not the main thread of a process: nothing is sealed.")
        sd_notify.ready(f"sending to {config.mqtt.host}:{config.mqtt.port}")
        while not stop.is_set():
            uplink.step()
        sd_notify.stopping()
        uplink.stop()
    return 0


def _seal(config: AgentConfig) -> UplinkCage:
    """What is open by now (outbox, certificates, password) needs no grant."""
    policy = [each for each in (config.privacy.profile, config.privacy.profile_key) if each]
    return sandbox.enter_uplink(
        readable=(*SOURCES, *UNIT_FOLDERS, *policy),
        writable=(config.store.outbox.parent, key_path(config.store).parent),
        broker_port=config.mqtt.port,
    )
