"""What the first bytes say."""

from __future__ import annotations

import pytest

from agent.desk.still import kinds


def test_a_gif_is_no_transport_stream() -> None:
    """Both begin with a G, and any byte may follow after 188."""
    head = bytearray(b"GIF89a" + bytes(4090))
    head[188] = 0x47
    assert kinds.refused(bytes(head)) is None
    stream = (b"\x47" + bytes(187)) * 20
    assert (found := kinds.refused(stream[:4096])) is not None
    assert found.what == "a video"
    letter = bytearray(b"G" + bytes(4095))
    letter[188] = 0x47
    assert kinds.refused(bytes(letter)) is None


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\x04CgBI\x50\0\x20\x02", "a PNG in the form that Apple's apps"),
        (b"MM\0+\0\x08\0\0" + bytes(90), "a BigTIFF with the most significant byte first"),
    ],
)
def test_forms_that_decoders_lack_are_named(head: bytes, what: str) -> None:
    found = kinds.refused(head)
    assert found is not None
    assert found.what.startswith(what)
    assert found.picture
