"""Log lines of both processes against the templates of the source."""

from __future__ import annotations

import pytest

from agent.desk.audit._words import EXPECTED, Words, _plain, templates

GOOD = (
    b"perceive: Network closed, writing confined (seccomp, landlock).\n"
    b"perceive: The sandbox lacks one layer, landlock: Function not implemented; this kernel has "
    b"none, or it is switched off. The others hold.\n"
    b"perceive: Warm after 3.2 s.\n"
)


def words(data: bytes, process: str = "perceive") -> Words:
    found = Words(process, 1883, ("/run/outbox/outbox.db",))
    found.judge(data)
    return found


def test_expected_templates_stand_in_the_source() -> None:
    logs = {each.text for each in templates()[0]}
    missing = [text for text, _ in EXPECTED if _plain(text) not in logs]
    assert not missing


def test_lines_of_an_undisturbed_run_are_good() -> None:
    found = words(GOOD)
    assert (found.findings, found.trouble) == ([], [])
    found = words(b"uplink: Connected to 127.0.0.1:1883, MQTT 5.0\n", "uplink")
    assert (found.findings, found.trouble) == ([], [])


@pytest.mark.parametrize(
    "line",
    [
        "uplink: The broker at 127.0.0.1:1883 cannot be reached: refused: nothing listens there. "
        "Start the broker, or check mqtt.port. Next try in 0.5 s; summaries wait in the outbox.",
        "uplink: Could not write to the outbox /run/outbox/outbox.db: full. Free disk space "
        "or repair the storage; nothing was lost from the outbox. Next try in 5 s.",
        "uplink: The broker at 127.0.0.1:1883 keeps no retained messages: who comes later does not "
        "see this device's state, birth certificate and settings until it connects again. Let the "
        "broker retain.",
        "uplink: The broker at 127.0.0.1:1883 acknowledges nothing (its maximum QoS is 0): "
        "summaries, events and receipts could be lost unseen and stay in the outbox. Let it take "
        "QoS 1.",
        "uplink: The broker at 127.0.0.1:1883 takes no packet as long as this message, summary, "
        "901 bytes: it is not sent, others are. Let the broker take packets of 4096 bytes "
        "(Mosquitto: max_packet_size, message_size_limit).",
        "uplink: The broker at 127.0.0.1:1883 ends the connection: a message is longer than it "
        "takes. Raise the broker's longest packet. Next try in 0.5 s; summaries wait in the "
        "outbox.",
        "uplink: The broker at 127.0.0.1:1883 cuts the connection when a message of 901 bytes is "
        "sent. Next try in 0.5 s; summaries wait in the outbox.",
        "uplink: The broker at 127.0.0.1:1883 refuses us: user name or password are wrong. Check "
        "mqtt.username, mqtt.password_file and the certificate. Also: The password begins or ends "
        "with a space, which is sent as part of it. Next try in 0.5 s; summaries wait in the "
        "outbox.",
        "uplink: 2 rows of the outbox are not what this device may say, or more than it may say in "
        "a day: removed, not sent.",
        "uplink: The broker at 127.0.0.1:1883 sent what is not MQTT (IndexError). Next try in 1.5 "
        "s; summaries wait in the outbox.",
    ],
)
def test_lines_of_trouble_are_understood_and_named(line: str) -> None:
    found = words(line.encode() + b"\n", "uplink")
    assert found.findings == []
    assert found.trouble == [line[:200]]


@pytest.mark.parametrize(
    "line",
    [
        "sun rain snow wind",
        "perceive: sun rain snow wind",
        "perceive: Network sun, writing rain (snow).",
        "perceive: Warm after sun s.",
        "perceive: Warm after 3.123456789 s.",
        "perceive: The sandbox lacks one layer, landlock: sun rain. The others hold.",
        "perceive: Now sunny.",
        "perceive: Connected to 10.0.0.1:1883, MQTT 5.0",
        "Traceback (most recent call last):",
        "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",
        "perceive: Network closed, writing confined (seccomp, landlock). ",
        "\x00\x01",
    ],
)
def test_free_text_is_a_finding(line: str) -> None:
    found = words(GOOD + line.encode() + b"\n")
    assert len(found.findings) == 1
    assert found.findings[0].offset == len(GOOD)


def test_lines_that_come_often_are_a_finding() -> None:
    found = words(b"".join(b"perceive: Warm after %d.0 s.\n" % n for n in range(50)))
    assert len(found.findings) == 1
    found = words(b"perceive: Now running.\nperceive: Now paused.\n" * 20)
    assert len(found.findings) == 1
    assert len(found.trouble) == 40


def test_a_line_without_an_end_is_trouble() -> None:
    assert words(GOOD[:-1]).trouble
