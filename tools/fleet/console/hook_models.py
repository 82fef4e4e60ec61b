"""What the API takes and gives of webhooks; as `models`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.fleet.alerts.webhooks.manage import MOST
from tools.fleet.console.models import Model, Name, Time


class WebhookRow(Model):
    webhook: str
    host: str
    """Scheme, host and port; the whole URL is kept in a file."""
    kinds: list[str]
    """Empty: all."""
    severity: str
    """The least severe alerts that it is told."""
    created_at: int
    failures: int
    """In a row."""
    retry_at: Time
    waiting: int
    dead: int
    """Given up."""
    delivered_at: Time


class Webhooks(Model):
    webhooks: list[WebhookRow]


class NewWebhook(Model):
    url: Annotated[str, Field(max_length=2000)]
    kinds: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    """None: all."""
    severity: Name = "warning"


class WebhookSecret(Model):
    webhook: str
    secret: str
    """It is not shown again."""


class WebhookTest(Model):
    delivery: str
    state: str
    """taken, refused, away."""
    said: str


class WebhookName(Model):
    webhook: str


class DeliveriesQuery(Model):
    dead: bool = False
    """Only those that were given up."""
    limit: Annotated[int, Field(ge=1, le=MOST)] = 100


class DeliveryRow(Model):
    delivery: str
    webhook: str
    event: str
    state: str
    """taken, given up, waits."""
    attempts: int
    created_at: int
    due_at: int
    delivered_at: Time
    dead_at: Time
    said: str | None
    """How the last attempt went."""


class Deliveries(Model):
    deliveries: list[DeliveryRow]
    """The newest first."""
