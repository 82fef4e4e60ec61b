"""`fleeting notice`: write the sign and the page of the running configuration."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import cast, get_args

from agent import __version__
from agent.base.config import AgentConfig
from agent.base.errors import ConfigError, StoreError
from agent.desk.notice._layout import missing_glyphs
from agent.desk.notice._page import document
from agent.desk.notice._sign import SignText, as_pdf, as_png, draw_sign, sign_text
from agent.desk.trace.output import write_whole
from agent.privacy.policy.profile import Language, NoticeWords, load_profile
from agent.privacy.policy.rules import PROFILES, Policy, resolve

PAGE = "what-leaves-this-box"


def notice(
    config: AgentConfig, out: Path, *, language: str | None = None, as_json: bool = False
) -> int:
    """Write `sign-LL.pdf`, `sign-LL.png` and the page (HTML, Markdown) into a folder.

    Files of these names are replaced, each whole or not at all; nothing else is touched.

    Parameters
    ----------
    out
        The folder; made where it is missing, its parent must be there.
    language
        Of the sign; None: those that the profile names, else English. The page is in English.
    as_json
        Print the paths and what is missing as one JSON document.

    Returns
    -------
    int
        The exit code: 0, also where the operator has yet to write on the sign by hand.

    Raises
    ------
    ConfigError
        For a policy that must not run, an unknown language.
    StoreError
        Where the folder cannot be written.
    """
    policy = resolve(config, live=False)
    loaded = load_profile(config.privacy)
    words = loaded[0].notice if loaded else NoticeWords()
    languages = words.languages if language is None else (_known(language),)
    page = document(config, policy)
    _make_folder(out)
    written, remarks = [], _gaps(config, words)
    for each in languages:
        text = _text(config, policy, words, each)
        strange = missing_glyphs(text.all())
        if strange:
            remarks.append(f"The sign's font lacks {strange}: they are drawn as boxes.")
        remarks += _untranslated(words, each)
        for ending, content in _drawn(text):
            written.append(_write(out / f"sign-{each}.{ending}", content))
    written.append(_write(out / f"{PAGE}.html", page.as_html().encode()))
    written.append(_write(out / f"{PAGE}.md", page.as_markdown().encode()))
    remarks = list(dict.fromkeys(remarks))
    for remark in remarks:
        print(f"fleeting notice: {remark}", file=sys.stderr)
    if as_json:
        print(json.dumps({"files": [str(path) for path in written], "warnings": remarks}))
    else:
        print("\n".join(str(path) for path in written))
    return 0


def _known(language: str) -> Language:
    if language not in get_args(Language):
        raise ConfigError(
            f"There is no sign in the language {language!r}. Choose one of "
            f"{', '.join(get_args(Language))}."
        )
    return cast(Language, language)


def _text(config: AgentConfig, policy: Policy, words: NoticeWords, language: Language) -> SignText:
    return sign_text(
        policy,
        words,
        language,
        micro=config.micro.enabled,
        consent=config.privacy.consent or PROFILES[policy.name].consent,
        version=__version__,
    )


def _drawn(text: SignText) -> list[tuple[str, bytes]]:
    """The sign's files by their ending."""
    with warnings.catch_warnings():
        # Said in our own words, once.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing", category=UserWarning)
        figure = draw_sign(text)
        return [("pdf", as_pdf(figure, text.title)), ("png", as_png(figure))]


def _gaps(config: AgentConfig, words: NoticeWords) -> list[str]:
    """What only the operator knows and has not said yet."""
    missing = [f"notice.{key}" for key in ("operator", "contact") if getattr(words, key) is None]
    if not missing:
        return []
    where = config.privacy.profile or "a profile file, named in privacy.profile"
    return [f"The sign has lines to fill in by hand; or set {' and '.join(missing)} in {where}."]


def _untranslated(words: NoticeWords, language: Language) -> list[str]:
    return [
        f"notice.{key} has no text in {language!r}; the sign's own words stand in."
        for key in ("purpose", "legal_basis", "retention", "avoid")
        if isinstance(getattr(words, key), dict) and language not in getattr(words, key)
    ]


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The folder {out} cannot be made: {error.strerror}. Name one that you may write."
        ) from None


def _write(path: Path, content: bytes) -> Path:
    write_whole(path, content, "notice", mode=0o644)
    return path
