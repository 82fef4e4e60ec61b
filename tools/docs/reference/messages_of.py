"""Topics and messages: who says what, how often, and every field, from models and quotas."""

from __future__ import annotations

import html
import json

from agent.base.config import AgentConfig, DeviceConfig
from agent.base.quotas import quotas
from agent.base.schemas import registry
from agent.desk.notice import _fields
from agent.privacy.policy.rules import resolve
from agent.uplink.topics import MESSAGE_KINDS, Topics
from tools.docs import markdown

_QUOTA = {"shadow/reported": "reported", "res": "response", "state": "connections"}
_ALL = registry.MESSAGES | registry.HEARING | registry.INBOUND


def topics() -> str:
    """Markdown: a row for each topic."""
    device = DeviceConfig.model_construct(id="{id}", group="{group}")
    config = AgentConfig()
    names = Topics(config.model_copy(update={"device": device}))
    policy = resolve(config, live=False)
    most = quotas(policy.window, policy.slots, config.mqtt.health_interval)
    rows = []
    for kind, about in MESSAGE_KINDS.items():
        name = {"res": "{name}", "job": "{job}"}.get(kind, "")
        form = f"[{about.schema}](schemas.md#schema-{about.schema})" if about.schema else "text"
        rows.append([
            _named(names.of(kind, name)),
            "device",
            form,
            f"{about.qos}{', retained' if about.retain else ''}",
            _time(about.expiry),
            f"{getattr(most, _QUOTA.get(kind, kind)):,}",
        ])  # fmt: skip
    heard = {
        names.desired: "settings",
        names.defaults or "": "the same, for a group",
        f"{names.commands}{{name}}": "a command",
        names.job_next: "[job-next-1](schemas.md#schema-job-next-1)",
    }
    for topic, form in heard.items():
        retained = "1, retained" if "cmd" not in topic else "1"
        rows.append([_named(topic), "fleet", form, retained, "–", "–"])
    head = ["topic", "said by", "form", "QoS", "expires", "at most a day"]
    return (
        markdown.table(head, rows)
        + f"\nA day of the defaults: windows of {policy.window} s, {policy.slots} content slots, "
        f"health every {config.mqtt.health_interval} s.\n"
    )


def schemas() -> str:
    """Markdown: the fields of every message."""
    out = []
    for name in _ALL:
        schema = registry.load(name)
        rows = [
            [
                f'<a id="field-{name}-{each.path}"></a>{markdown.code(each.path)}',
                each.meaning,
                html.escape(each.values, quote=False).replace("|", "&#124;"),
                f"{each.bits:.1f}",
            ]
            for each in _fields.fields(schema)
        ] if name not in registry.INBOUND else _plain(schema)  # fmt: skip
        about = " ".join(str(schema.get("description", "")).split())
        out.append(
            f"## `{name}` {{#schema-{name}}}\n\n{about} `{registry.urn(name)}`: "
            f"[JSON Schema](../agent/base/schemas/{name}.json).\n\n"
            + markdown.table(["field", "meaning", "values", "bits"], rows)
        )
    return "\n".join(out)


def names() -> list[str]:
    """Of all schemas."""
    return list(_ALL)


def _plain(schema: dict[str, object]) -> list[list[str]]:
    """Of what a fleet says, which is not among the words of the notice."""
    fields = schema["properties"]
    assert isinstance(fields, dict)
    return [
        [
            f'<a id="field-job-next-1-{name}"></a>{markdown.code(name)}',
            " ".join(str(each.get("description", "")).split()),
            markdown.code(
                json.dumps({k: v for k, v in each.items() if k not in ("title", "description")})
            ),
            " ",
        ]
        for name, each in fields.items()
    ]


def _named(topic: str) -> str:
    return f'<a id="topic-{topic}"></a>{markdown.code(topic)}'


def _time(seconds: int | None) -> str:
    if seconds is None:
        return "never"
    return f"{seconds // 86_400} days" if seconds >= 86_400 else f"{seconds} s"
