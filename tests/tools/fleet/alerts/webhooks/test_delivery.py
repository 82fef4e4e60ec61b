"""Messages to a receiver that is real, and does what receivers do."""

from __future__ import annotations

import json
import re
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tools.fleet.alerts.conftest import DAY, MINUTE, NOW, World
from tests.tools.fleet.alerts.receiver import Receiver, receiver
from tools.common.errors import ToolError
from tools.fleet.alerts import silence
from tools.fleet.alerts.webhooks import outbox, request, signature
from tools.fleet.alerts.webhooks.sender import Sender
from tools.fleet.alerts.webhooks.vault import Kept, Vault
from tools.fleet.store import Row

ROOT = Path(__file__).parents[5]
SECRET = "fws_a"


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


class Post:
    """A fleet with a webhook, and who sends."""

    def __init__(self, world: World, folder: Path, url: str) -> None:
        self.world, self.vault = world, Vault(folder)
        self.hook = self.add(url)
        self.sender = Sender(world.store, self.vault, lambda: world.now, limit=0.5)

    def add(self, url: str, *kinds: str, least: str = "warning") -> str:
        hook = outbox.add(self.world.store, "x", kinds, least, self.world.now)
        self.vault.write(hook, Kept(url, (SECRET,)))
        return hook

    def ill(self, device: str = "box-7") -> None:
        self.world.come(device)
        self.world.event(device, "quota_exceeded")
        self.world.look()

    def rows(self) -> list[Row]:
        return self.world.store.execute("SELECT * FROM deliveries ORDER BY created_at, delivery")


@pytest.fixture
def post(world: World, tmp_path: Path, there: Receiver) -> Post:
    return Post(world, tmp_path, there.url)


@pytest.fixture
def small(lite: World, tmp_path: Path, there: Receiver) -> Post:
    return Post(lite, tmp_path, there.url)


def verified(secret: str, headers: dict[str, str], body: bytes, now: int) -> Any:
    """By the example of the page that says how to receive."""
    text = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names["verified"](secret, headers, body, now)


def test_raised_and_ended_arrive_signed_once_each(post: Post, there: Receiver) -> None:
    post.ill()
    assert post.sender.step() == 1
    assert post.sender.step() == 0
    (heard,) = there.heard
    assert heard.path == "/hook?key=1"
    assert heard.headers["Host"] == f"127.0.0.1:{there.port}"
    said = verified(SECRET, heard.headers, heard.body, post.world.now)
    assert said["event"] == heard.headers[signature.EVENT] == "raised"
    assert said["delivery"] == heard.headers[signature.DELIVERY]
    alert = said["alert"]
    assert (alert["device"], alert["kind"], alert["severity"]) == ("box-7", "quota", "warning")
    assert alert["what"].startswith("The device wanted to say more")
    post.world.quiet(3 * DAY, "box-7", step=DAY // 3)
    post.sender.step()
    assert [each.said["event"] for each in there.heard] == ["raised", "ended"]
    assert len({each.said["delivery"] for each in there.heard}) == 2


def test_a_signature_of_another_time_body_or_secret_is_none(small: Post, there: Receiver) -> None:
    small.ill()
    small.sender.step()
    (heard,) = there.heard
    now = small.world.now
    assert verified(SECRET, heard.headers, heard.body, now) is not None
    assert verified("fws_b", heard.headers, heard.body, now) is None
    assert verified(SECRET, heard.headers, heard.body + b" ", now) is None
    assert verified(SECRET, heard.headers, heard.body, now + 3600) is None
    for wrong in ("", "t=1", "v1=00", "t=x,v1=00", f"t={now},v1=é"):
        assert verified(SECRET, {**heard.headers, signature.HEADER: wrong}, heard.body, now) is None


@pytest.mark.parametrize("does", [500, 503, 429, 404, "hang", "drip", "break", "nonsense"])
def test_what_is_not_taken_is_sent_again(small: Post, there: Receiver, does: Any) -> None:
    there.does = does
    small.ill()
    assert small.sender.step() == 0
    (row,) = small.rows()
    assert row["attempts"] == 1
    assert row["delivered_at"] is None
    assert row["said"]
    there.does = 200
    assert small.sender.step() == 0, "not before its time"
    small.world.now += MINUTE
    assert small.sender.step() == 1
    first, second = there.heard
    assert first.body == second.body, "the same message, under the same id"
    assert first.headers[signature.HEADER] != second.headers[signature.HEADER], "signed anew"


def test_redirects_are_not_followed(small: Post, there: Receiver) -> None:
    there.does = "redirect"
    small.ill()
    small.sender.step()
    assert [each.path for each in there.heard] == ["/hook?key=1"]
    assert "redirect" in small.rows()[0]["said"]


def test_one_that_is_away_is_asked_ever_less_and_given_up_after_a_day(
    post: Post, there: Receiver
) -> None:
    there.does = 500
    for device in ("a", "b", "c"):
        post.ill(device)
    asked = []
    for _ in range(int(1.1 * DAY / 150)):
        before = len(there.heard)
        post.sender.step()
        asked += [post.world.now] * (len(there.heard) - before)
        post.world.now += 150
    assert 60 < len(asked) < 200, "once each time, not once for each message"
    rows = post.rows()
    assert all(row["dead_at"] for row in rows)
    there.does = 200
    post.ill("d")
    post.world.now += 20 * MINUTE
    assert post.sender.step() >= 1
    assert "d" in {each.said["alert"]["device"] for each in there.heard}
    assert [row["failures"] for row in post.world.store.execute("SELECT * FROM webhooks")] == [0]
    outbox.clean(post.world.store, post.world.now + 40 * DAY)
    assert post.rows() == []


def test_a_message_that_is_refused_holds_no_other_up(small: Post, there: Receiver) -> None:
    there.does = 400
    small.ill("a")
    small.sender.step()
    there.does = 200
    small.ill("b")
    assert small.sender.step() == 1
    assert there.heard[-1].said["alert"]["device"] == "b"


def test_one_that_hangs_holds_no_other_webhook_up(small: Post, there: Receiver) -> None:
    with receiver() as other:
        other.does = "hang"
        small.add(other.url)
        small.ill()
        assert small.sender.step() == 1
        assert len(other.heard) == len(there.heard) == 1


def test_who_is_told_what(small: Post, there: Receiver) -> None:
    none = small.add(there.url, "hot", "offline")
    critical = small.add(there.url, least="critical")
    small.ill()
    assert [row["webhook"] for row in small.rows()] == [small.hook]
    small.world.event("box-7", "summaries_lost")
    small.world.look()
    assert sorted(row["webhook"] for row in small.rows()) == sorted([small.hook] * 2 + [critical])
    assert none not in {row["webhook"] for row in small.rows()}
    with pytest.raises(ToolError, match="no kind"):
        small.add(there.url, "nonsense")


def test_silenced_ones_are_told_to_nobody(small: Post) -> None:
    small.ill()
    (alert,) = small.world.open()
    silence(small.world.store, alert.id, 4 * DAY, small.world.now)
    small.world.quiet(3 * DAY, "box-7", step=DAY // 3)
    assert small.world.open() == []
    assert [row["event"] for row in small.rows()] == ["raised"]


def test_two_secrets_sign_while_a_receiver_changes_over(small: Post, there: Receiver) -> None:
    small.vault.write(small.hook, Kept(there.url, ("fws_new", SECRET)))
    small.ill()
    small.sender.step()
    (heard,) = there.heard
    for secret in (SECRET, "fws_new"):
        assert verified(secret, heard.headers, heard.body, small.world.now) is not None


def test_a_secret_is_in_its_file_only(small: Post, there: Receiver, tmp_path: Path) -> None:
    small.ill()
    small.sender.step()
    file = tmp_path / "webhooks" / f"{small.hook}.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for table in ("webhooks", "deliveries", "alerts"):
        rows = json.dumps(small.world.store.execute(f"SELECT * FROM {table}"))
        assert SECRET not in rows
        assert "key=1" not in rows
    file.chmod(0o644)
    with pytest.raises(ToolError, match="0600"):
        small.vault.read(small.hook)
    file.unlink()
    with pytest.raises(ToolError, match="gone"):
        small.vault.read(small.hook)
    with pytest.raises(ToolError, match="no webhook"):
        small.vault.read("../../etc/passwd")


def test_the_name_is_resolved_once_and_that_address_is_used(there: Receiver) -> None:
    asked = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"]

    kept = Kept(f"http://hooks.example:{there.port}/x", (SECRET,))
    message = outbox.Message("d", "h", "test", b"{}", NOW, 0)
    assert request.send(kept, message, NOW, 5.0, resolver).state == "taken"
    assert asked == [("hooks.example", there.port)]
    assert there.heard[0].headers["Host"] == f"hooks.example:{there.port}"
    outcome = request.send(kept, message, NOW, 5.0, lambda *_: ["169.254.169.254"])
    assert (outcome.state, len(there.heard)) == ("away", 1)


def test_no_answer_is_waited_for_once_time_ran_out_on_the_way_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever draws out the agreement on TLS until the timer has gone could answer for ever."""
    cut = threading.Event()
    ours, theirs = socket.socketpair()

    def too_late(_: Any, late: threading.Event) -> None:
        late.set()
        cut.set()

    monkeypatch.setattr(request, "_cut", too_late)

    def connect(self: Any) -> None:
        assert cut.wait(30)
        self.sock = ours

    monkeypatch.setattr(request._Connection, "connect", connect)
    monkeypatch.setattr(request._Connection, "getresponse", lambda _: pytest.fail("waited"))
    message = outbox.Message("d", "w", "test", b"{}", NOW, 0)
    kept = Kept("http://127.0.0.1:9/", ("secret",))
    with ours, theirs:
        assert request.send(kept, message, NOW, limit=0.01).said == "no answer within 0.01 s"


def test_a_webhook_removed_meanwhile_keeps_no_other_from_being_noted(
    small: Post, there: Receiver
) -> None:
    def clock() -> float:
        mine = threading.current_thread() is threading.main_thread()
        rows = "SELECT 1 FROM webhooks WHERE webhook = ?"
        if mine and there.heard and small.world.store.tuples(rows, (away,)):
            outbox.remove(small.world.store, away)
        return small.world.now

    with receiver() as slow:
        slow.does = "hang"
        away = small.add(slow.url)
        small.ill()
        assert Sender(small.world.store, small.vault, clock, limit=0.5).step() == 1
    assert [each["webhook"] for each in small.rows()] == [small.hook]
    assert small.sender.step() == 0, "nothing is sent twice"
