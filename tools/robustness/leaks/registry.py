"""All kinds of leaks by name."""

from __future__ import annotations

from tools.robustness.leaks.kinds import KINDS as _FIRST
from tools.robustness.leaks.kinds import Leak
from tools.robustness.leaks.kinds_files import FILE_KINDS
from tools.robustness.leaks.kinds_sound import SOUND_KINDS
from tools.robustness.leaks.kinds_wire import WIRE_KINDS

KINDS: dict[str, tuple[type[Leak], str]] = {**_FIRST, **FILE_KINDS, **WIRE_KINDS, **SOUND_KINDS}
