"""Search for the canary's words in bytes: in any usual character set, upper or lower case, forwards
or backwards, with anything between the letters, and as hexadecimal, decimal, base32, base64 or
base85 code. One word is enough."""

from __future__ import annotations

import base64
import string
from collections.abc import Iterator, Sequence

_LETTERS = string.ascii_letters.encode()
_NO_LETTERS = bytes(set(range(256)) - set(_LETTERS))
_NO_HEX = bytes(set(range(256)) - set(b"0123456789abcdefABCDEF"))
_NO_DIGITS = bytes(set(range(256)) - set(string.digits.encode()))
_BREAKS = b" \t\r\n\\"
_LOWER = bytes.maketrans(string.ascii_uppercase.encode(), string.ascii_lowercase.encode())
_ROT13 = bytes.maketrans(string.ascii_lowercase.encode(), b"nopqrstuvwxyzabcdefghijklm")
_INVERTED = bytes(255 - each for each in range(256))


class PhraseSearch:
    """Looks for words of twelve letters, which no honest byte string holds by chance."""

    def __init__(self, words: Sequence[str]) -> None:
        self._letters: dict[bytes, str] = {}
        """Without anything but small letters: what, in words."""
        self._hex: dict[bytes, str] = {}
        self._decimal: dict[bytes, str] = {}
        self._codes: dict[bytes, str] = {}
        """As they stand, without breaks of lines."""
        for word in words:
            plain = word.encode()
            self._letters |= {
                plain: f"the word {word!r}",
                plain[::-1]: f"the word {word!r} backwards",
                plain.translate(_ROT13): f"the word {word!r} in rot13",
            }
            for form in (plain, plain.title(), plain.upper()):
                self._hex[form.hex().encode()] = f"the word {word!r} in hexadecimal"
                decimal = "".join(map(str, form)).encode()
                self._decimal[decimal] = f"the word {word!r} as decimal codes"
                for wide in (form, form.decode().encode("utf-16-le"), b" ".join(
                        form[n : n + 1] for n in range(len(form)))):  # fmt: skip
                    self._coded(wide, word)
        self._size = min(map(len, self._letters), default=0)

    def _coded(self, text: bytes, word: str) -> None:
        """What stays of a text in codes of groups, wherever a group begins."""
        for shift in range(3):
            code = base64.b64encode(bytes(shift) + text)
            part = code[-(-shift * 4 // 3) :][: (len(text) - 3) * 4 // 3].rstrip(b"=")[:-1]
            for each in (part, part.translate(bytes.maketrans(b"+/", b"-_"))):
                self._codes[each] = f"the word {word!r} in base64"
        for shift in range(5):
            part = base64.b32encode(bytes(shift) + text).rstrip(b"=")
            part = part[-(-shift * 8 // 5) : -1]
            self._codes[part] = f"the word {word!r} in base32"
        for shift in range(4):
            whole = text[(4 - shift) % 4 :]
            whole = whole[: len(whole) // 4 * 4]
            for code in (base64.b85encode(whole), base64.a85encode(whole)):
                self._codes[code] = f"the word {word!r} in base85"

    def __call__(self, data: bytes) -> Iterator[tuple[int | None, str]]:
        """(offset, what) of each word that the bytes hold, once in each form."""
        if len(data) < self._size:
            return
        found: dict[str, int | None] = {}
        letters = data.translate(_LOWER, _NO_LETTERS)
        self._look(letters, self._letters, data, found)
        self._look(data.translate(_INVERTED), self._exact(), data, found)
        if len(data) >= 2 * self._size:
            for prefix in (b"0x", b"\\u00", b"\\u", b"\\x"):
                data = data.replace(prefix, b"") if prefix in data else data
            digits = data.translate(None, _NO_HEX).lower()
            self._look(digits, self._hex, data, found)
            wide = {each: f"{what}, UTF-16" for each, what in self._wide().items()}
            self._look(digits, wide, data, found)
            self._look(data.translate(None, _NO_DIGITS), self._decimal, data, found)
        self._look(data.translate(None, _BREAKS), self._codes, data, found)
        yield from ((at, what) for what, at in found.items())

    def _exact(self) -> dict[bytes, str]:
        return {each: f"{what}, inverted" for each, what in self._letters.items()}

    def _wide(self) -> dict[bytes, str]:
        """Hexadecimal digits of UTF-16, whatever its byte order."""
        return {
            b"00".join(each[n : n + 2] for n in range(0, len(each), 2)): what
            for each, what in self._hex.items()
        }

    @staticmethod
    def _look(
        view: bytes, patterns: dict[bytes, str], data: bytes, found: dict[str, int | None]
    ) -> None:
        for pattern, what in patterns.items():
            if what not in found and pattern in view:
                at = data.find(pattern)
                found[what] = at if at >= 0 else None
