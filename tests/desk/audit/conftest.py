"""The audit's tests run with an untrusted clock."""

from tests.fakes import untrusted_clock

__all__ = ["untrusted_clock"]
