"""Whether the configured broker accepts a connection, and what to do where it does not."""

from __future__ import annotations

import socket
import ssl
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from agent.base.config import MqttConfig
from agent.base.errors import ConfigError
from agent.uplink.client import load_credentials
from agent.uplink.credentials import odd_ends
from agent.uplink.topics import Topics

BROKER_TIMEOUT = 5.0
"""Seconds."""
_STATE_TIMEOUT = 1.0
"""Seconds for a retained message to come."""


def connect(settings: MqttConfig, client_id: str) -> tuple[str, str]:
    """Problem and advice, both empty when the broker accepted the connection.

    `client_id` differs from the agent's, which may be connected.
    """
    protocol = mqtt.MQTTv5 if settings.protocol == "5" else mqtt.MQTTv311
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=protocol)
    answered = threading.Event()
    answer: list[ReasonCode] = []

    def on_connect(
        _client: object, _data: object, _flags: object, code: ReasonCode, _p: object
    ) -> None:
        answer.append(code)
        answered.set()

    client.on_connect = on_connect
    client.connect_timeout = BROKER_TIMEOUT
    try:
        credentials = load_credentials(settings)
        credentials.authenticate(client, settings.username)
        client.connect(settings.host, settings.port, keepalive=settings.keepalive)
    except ConfigError as error:
        what, _, advice = str(error).rpartition(". ")
        return what, advice
    except ssl.SSLError as error:
        return f"TLS failed: {error.reason or error}", "Check mqtt.ca_file, cert_file and key_file."
    except socket.gaierror:
        return "this name is unknown", "Check mqtt.host and the network's name server."
    except TimeoutError:
        return (
            f"no answer within {BROKER_TIMEOUT:g} s",
            "Check mqtt.host, the network and firewall.",
        )
    except ConnectionRefusedError:
        return "refused: nothing listens there", "Start the broker, or check mqtt.port."
    except (OSError, ValueError) as error:
        return str(error), "Check the network."
    client.loop_start()
    try:
        if not answered.wait(BROKER_TIMEOUT):
            return (
                "connected, but no MQTT answer",
                "Check that mqtt.port and mqtt.tls belong together.",
            )
        if answer[0].is_failure:
            advice = "Check mqtt.username, the password and its rights."
            odd = odd_ends(credentials.password)
            return f"the broker says: {answer[0]}", f"{advice} {odd}".rstrip()
        client.disconnect()
    finally:
        client.loop_stop()
    return "", ""


def is_online(settings: MqttConfig, topics: Topics) -> bool:
    """Whether the broker holds that a device with this id is connected; False also where it does
    not let this be read. To be asked once `connect` found no problem."""
    protocol = mqtt.MQTTv5 if settings.protocol == "5" else mqtt.MQTTv311
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, client_id=f"{topics.device}-check", protocol=protocol
    )
    came = threading.Event()
    states: list[bytes] = []

    def on_message(_client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        states.append(bytes(message.payload))
        came.set()

    def on_connect(*_: object) -> None:
        client.subscribe(topics.of("state"), qos=0)

    client.on_connect = on_connect
    client.on_message = on_message
    client.connect_timeout = BROKER_TIMEOUT
    try:
        load_credentials(settings).authenticate(client, settings.username)
        client.connect(settings.host, settings.port, keepalive=settings.keepalive)
    except (ConfigError, OSError, ValueError):
        return False
    client.loop_start()
    came.wait(_STATE_TIMEOUT)
    client.disconnect()
    client.loop_stop()
    return states[:1] == [b"online"]
