"""What the uplink remembers lies where the perceive process cannot write."""

from __future__ import annotations

import errno

from tests.host.sandbox.conftest import Inside
from tests.host.sandbox.test_enter import needs_landlock


@needs_landlock
def test_perceive_cannot_touch_the_wardens_file(inside: Inside) -> None:
    """By default, without systemd, as the same user."""
    found = inside(
        "from agent.base.config import StoreConfig\n"
        "from agent.uplink.warden.state import State, make_folder, save, state_path\n"
        "store = StoreConfig(outbox=own / 'outbox.db')\n"
        "path = state_path(store)\n"
        "make_folder(path)\n"
        "save(path, State())\n"
        "enter_perceive([store.outbox.parent])\n"
        "emit(\n"
        "    write=code(lambda: os.open(path, os.O_WRONLY)),\n"
        "    remove=code(lambda: os.unlink(path)),\n"
        "    replace=code(lambda: os.rename(path.parent, own / 'away')),\n"
        "    fresh=code(lambda: os.mkdir(path.parent / 'x')),\n"
        "    outbox=code(lambda: os.open(store.outbox, os.O_WRONLY | os.O_CREAT)),\n"
        ")"
    )
    assert found["outbox"] == 0
    for what in ("write", "remove", "replace", "fresh"):
        assert found[what] in (errno.EACCES, errno.EPERM, errno.EXDEV), what
