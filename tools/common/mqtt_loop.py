"""The end of a paho client's thread."""

from __future__ import annotations

import contextlib

import paho.mqtt.client as mqtt


def end_loop(client: mqtt.Client) -> None:
    """`loop_stop`, which fails in paho 2.1 where the thread ends by itself at that moment."""
    with contextlib.suppress(AttributeError):
        client.loop_stop()
