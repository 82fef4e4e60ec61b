"""Single settings: put into one form, or refused in words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.base.config import AgentConfig, Section
from agent.base.errors import ConfigError
from agent.base.settings_file import parse


def mqtt_host(text: str) -> str:
    return parse({"mqtt": {"host": text}}, "here").mqtt.host


def says(section: str, **keys: object) -> str:
    with pytest.raises(ConfigError) as caught:
        parse({section: keys}, "here")
    text = str(caught.value)
    assert "^" not in text
    assert "pattern" not in text
    return text


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("broker.lan", "broker.lan"), ("broker.lan.", "broker.lan"), (" broker ", "broker"),
        ("[::1]", "::1"), ("::1", "::1"), ("fe80::1%eth0", "fe80::1%eth0"),
        ("10.0.0.1", "10.0.0.1"), ("[fe80::1%eth0]", "fe80::1%eth0"),
        ("brök.lan", "brök.lan"), ("a_b", "a_b"),
    ],
)  # fmt: skip
def test_hosts_are_names_or_addresses(given: str, host: str) -> None:
    assert mqtt_host(given) == host


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ("mqtt://box:1884", 'set mqtt.host = "box" and mqtt.port = 1884.'),
        ("mqtt://box", 'set mqtt.host = "box" and mqtt.port = 1883.'),
        ("mqtts://box/", 'set mqtt.host = "box", mqtt.port = 8883 and mqtt.tls = true.'),
        ("SSL://box:99", 'set mqtt.host = "box", mqtt.port = 99 and mqtt.tls = true.'),
        ("tcp://[::1]:5", 'set mqtt.host = "::1" and mqtt.port = 5.'),
        ("box:1883", 'set mqtt.host = "box" and mqtt.port = 1883.'),
        ("[::1]:1883", 'set mqtt.host = "::1" and mqtt.port = 1883.'),
        ("box/", 'set mqtt.host = "box".'),
        ("http://box", "http is not spoken here"),
        ("wss://box/mqtt", "WebSockets are not spoken here"),
        ("0.0.0.0", "an address to listen at"),
        ("::", "an address to listen at"),
        ("a b", "is no name or address"),
        ("", "is no name or address"),
        ("box\n", ""),
    ],
)
def test_what_is_more_than_a_host_is_refused_with_the_remedy(given: str, remedy: str) -> None:
    if given == "box\n":
        assert mqtt_host(given) == "box"
        return
    assert remedy in says("mqtt", host=given)


@pytest.mark.parametrize("given", ["u:s3cret@box", "mqtt://u:s3cret@box:1883", "s3cret@box"])
def test_a_password_in_a_host_is_not_repeated(given: str) -> None:
    text = says("mqtt", host=given)
    assert "s3cret" not in text
    assert "mqtt.password_file" in text


@pytest.mark.parametrize("span", ["22:00-24:00", "00:00-24:00", "22:00-06:30", "00:00-00:00"])
def test_a_day_may_end_at_24(span: str) -> None:
    assert parse({"privacy": {"quiet_hours": [span]}}, "here").privacy.quiet_hours == (span,)


@pytest.mark.parametrize(
    "span", ["24:00-06:00", "22-6", "22:00 - 06:00", "22:00-24:01", "٢2:00-06:00"]
)
def test_other_spans_are_refused_in_words(span: str) -> None:
    assert 'write it as "22:00-06:30"' in says("privacy", quiet_hours=[span])


def test_ids_addresses_lists_and_sections_are_refused_in_words() -> None:
    assert "letters from A to Z" in says("device", id="box 7")
    assert "letters from A to Z" in says("device", id="x" * 65)
    assert 'write it whole, as "https://' in says("update", url="updates.lan")
    assert "is a list; write it in brackets" in says("privacy", quiet_hours="22:00-06:00")
    with pytest.raises(ConfigError, match=r"device: is a section; write \[device\]"):
        parse({"device": "x"}, "here")


@pytest.mark.parametrize(
    ("data", "meant"),
    [
        ({"mqt": {"host": "a"}}, "perhaps mqtt"),
        ({"broker": {"host": "a"}}, "perhaps mqtt"),
        ({"host": "a"}, "perhaps mqtt.host"),
        ({"mqtt": {"hots": "a"}}, "perhaps mqtt.host"),
        ({"mqtt": {"TLS": True}}, "perhaps mqtt.tls"),
        ({"source": {"xyzzy": 3}}, "unknown key."),
    ],
)
def test_a_near_miss_is_named(data: dict[str, object], meant: str) -> None:
    with pytest.raises(ConfigError, match=meant.replace(".", r"\.")):
        parse(data, "here")


PATHS = [
    ("store", "outbox"), ("store", "receipt_key"), ("store", "warden"), ("privacy", "profile"),
    ("privacy", "profile_key"), ("content", "socket"), ("words", "socket"), ("words", "wyoming"),
    ("mqtt", "password_file"), ("update", "root"), ("update", "folder"), ("update", "exchange"),
    ("update", "media"), ("research", "traces"), ("research", "key"),
]  # fmt: skip


def test_a_home_folder_is_put_in_wherever_a_path_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for section, key in PATHS:
        config = parse({section: {key: "~/x/y"}}, "here")
        assert getattr(getattr(config, section), key) == tmp_path / "x" / "y", key
    assert parse({"models": "~/m"}, "here").models == tmp_path / "m"
    target = parse({"source": {"kind": "file", "target": "~/a.mp4"}}, "here").source.target
    assert target == f"{tmp_path}/a.mp4"
    every = {
        (name, key)
        for name, section in AgentConfig()
        if isinstance(section, Section)
        for key, field in type(section).model_fields.items()
        if "Path" in str(field.annotation)
    }
    assert every - set(PATHS) == {("mqtt", f"{name}_file") for name in ("ca", "cert", "key")}


@pytest.mark.parametrize("home", ["/nonexistent", "/"])
def test_a_service_has_no_home(monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    monkeypatch.setenv("HOME", home)
    monkeypatch.setattr(os, "access", lambda *_: False)  # as for the users of the units
    text = says("store", outbox="~/outbox.db")
    assert "store.outbox: '~/outbox.db' begins with a home folder" in text
    assert "write the whole path" in text


def test_variables_are_not_replaced_and_refused() -> None:
    for path in ("$HOME/o.db", "${STATE}/o.db", "/var/$x/o.db"):
        assert "holds a variable, which is not replaced" in says("store", outbox=path)
    kept = parse({"store": {"outbox": "/data/5$ or ~ less.db"}}, "here").store.outbox
    assert kept == Path("/data/5$ or ~ less.db")
