"""What a broker's reason codes mean for this device (MQTT 5.0, section 2.4; paho translates the
five of MQTT 3.1.1), in sentences of our own."""

from __future__ import annotations

from agent.uplink.unreachable import Trouble

BAD_VERSION = 0x84
LOGIN = (0x86, 0x87)
SILENT = 0x8D
TAKEN_OVER = 0x8E
"""MQTT 3.1.1 says nothing."""
TOO_LARGE = 0x95
NO_RETAIN = 0x9A
NO_QOS = 0x9B
NO_WILDCARDS = 0xA2
_LATER = "The device tries again by itself."
_LOG = "The broker's log says more."
_LOGIN = "Check mqtt.username, mqtt.password_file and the certificate."
_RIGHTS = "Check that the broker lets this device read and write its own topics."
_TABLE = {
    0x80: ("it gives no reason", _LOG),
    0x81: ("it could not read a packet", _LOG),
    0x82: ("it found a packet against the protocol", _LOG),
    0x83: ("a rule of its own", _LOG),
    BAD_VERSION: ("it does not speak this version of MQTT", "Set mqtt.protocol to the other one."),
    0x85: ("it does not take this device.id", "Give the device another id under [device]."),
    0x86: ("user name or password are wrong", _LOGIN),
    0x87: ("this device is not authorized", f"{_LOGIN} {_RIGHTS}"),
    0x88: ("it is not available now", _LATER),
    0x89: ("it is busy", _LATER),
    0x8A: ("this device is banned", "Take it off the broker's list of banned clients."),
    0x8B: ("it is shutting down", _LATER),
    0x8C: (
        "it wants another way to log in",
        "Let it take a password or certificates.",
    ),
    SILENT: ("it heard nothing for too long", "Check the network, and mqtt.keepalive."),
    TAKEN_OVER: ("another client has this device.id", "Give each box its own id under [device]."),
    0x8F: ("it does not take a topic filter", _RIGHTS),
    0x90: ("it does not take a topic", _RIGHTS),
    0x93: ("too many messages were on their way", "Lower mqtt.in_flight."),
    0x94: ("it found a topic alias, and none is used", _LOG),
    TOO_LARGE: ("a message is longer than it takes", "Raise the broker's longest packet."),
    0x96: ("messages come too fast", "Raise the broker's rate for this device."),
    0x97: ("its quota is used up", "Raise what the broker permits this device, or wait."),
    0x98: ("somebody ended the connection there", _LATER),
    0x99: ("it does not take the form of a message", _LOG),
    NO_RETAIN: ("it keeps no retained messages", "The device goes on without."),
    NO_QOS: ("it does not take this quality of service", "The device goes on with a lower one."),
    0x9C: ("another server is to be used for now", "Set mqtt.host to the one it names in `check`."),
    0x9D: ("it has moved", "Set mqtt.host to the server that it names in `check`."),
    0x9E: ("it has no shared subscriptions, and none is used", _LOG),
    0x9F: ("connections come too fast", _LATER),
    0xA0: ("the longest time of a connection is over", _LATER),
    0xA1: ("it has no subscription identifiers, and none is used", _LOG),
    NO_WILDCARDS: ("it has no wildcard subscriptions", "The device goes on with single topics."),
}
_UNKNOWN = ("a reason that MQTT does not know", _LOG)
TEXTS = frozenset(text for each in (*_TABLE.values(), _UNKNOWN) for text in each)


def trouble(code: int) -> Trouble:
    """Of a reason code from 0x80 on."""
    return Trouble(*_TABLE.get(code, _UNKNOWN))
