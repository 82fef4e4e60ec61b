"""`fleeting notice`: write the sign and the page for a configuration."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import cast, get_args

from agent import __version__
from agent.base.config import AgentConfig
from agent.base.errors import ConfigError, StoreError
from agent.base.names import as_utf8, one_line
from agent.desk.notice._page import document
from agent.desk.notice._sign import SignText, as_pdf, as_png, draw_sign, sign_text
from agent.desk.sheet import missing_glyphs
from agent.desk.trace.output import write_whole
from agent.privacy.policy import hearing
from agent.privacy.policy.profile import Language, NoticeWords, load_profile
from agent.privacy.policy.research import keeps_traces
from agent.privacy.policy.rules import PROFILES, Policy, resolve

PAGE = "what-leaves-this-box"


def notice(
    config: AgentConfig, out: Path, *, language: str | None = None, as_json: bool = False
) -> int:
    """Write `sign-LL.pdf`, `sign-LL.png` and the page (HTML, Markdown) into a folder, atomically.

    Parameters
    ----------
    out
        The folder; created if missing, in an existing parent.
    language
        Of the sign; None: those of the profile, else English. The page is in English.
    as_json
        Print paths and warnings as one JSON document.

    Returns
    -------
    int
        The exit code 0, also with warnings.

    Raises
    ------
    ConfigError
        For a forbidden policy or an unknown language.
    StoreError
        For a folder that is not writable.
    """
    policy = resolve(config, live=False)
    loaded = load_profile(config.privacy)
    texts = loaded[0].notice if loaded else NoticeWords()
    languages = texts.languages if language is None else (_checked(language),)
    page = document(config, policy)
    try:
        out.mkdir(exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The folder {out} cannot be made: {error.strerror}. Name one that you may write."
        ) from None
    written, warned = [], _missing_facts(config, texts) + _unconfirmed(config, policy)
    for each in languages:
        text = _text(config, policy, texts, each)
        missing = missing_glyphs(text.all())
        if missing:
            warned.append(f"The sign's font lacks {missing}: they are drawn as boxes.")
        warned += _untranslated(texts, each)
        for ending, content in _rendered(text):
            written.append(_write(out / f"sign-{each}.{ending}", content))
    written.append(_write(out / f"{PAGE}.html", page.as_html().encode()))
    written.append(_write(out / f"{PAGE}.md", page.as_markdown().encode()))
    warned = list(dict.fromkeys(warned))
    for warning in warned:
        print(f"fleeting notice: {one_line(warning)}", file=sys.stderr)
    if as_json:
        print(json.dumps({"files": [as_utf8(path) for path in written], "warnings": warned}))
    else:
        print("\n".join(map(one_line, written)))
    return 0


def _checked(language: str) -> Language:
    if language not in get_args(Language):
        raise ConfigError(
            f"There is no sign in the language {language!r}. Choose one of "
            f"{', '.join(get_args(Language))}."
        )
    return cast(Language, language)


def _text(config: AgentConfig, policy: Policy, texts: NoticeWords, language: Language) -> SignText:
    return sign_text(
        policy,
        texts,
        language,
        micro=config.micro.enabled,
        consent=config.privacy.consent or PROFILES[policy.name].consent,
        version=__version__,
        traces=config.research.days if keeps_traces(config) else None,
    )


def _rendered(text: SignText) -> list[tuple[str, bytes]]:
    """The rendered sign as (file ending, content)."""
    with warnings.catch_warnings():
        # replaced by a warning of our own
        warnings.filterwarnings("ignore", message=r"Glyph .* missing", category=UserWarning)
        figure = draw_sign(text)
        return [("pdf", as_pdf(figure, text.title)), ("png", as_png(figure))]


def _missing_facts(config: AgentConfig, texts: NoticeWords) -> list[str]:
    """Warnings about missing facts of the operator."""
    missing = [f"notice.{key}" for key in ("operator", "contact") if getattr(texts, key) is None]
    if not missing:
        return []
    where = config.privacy.profile or "a profile file, named in privacy.profile"
    return [f"The sign has lines to fill in by hand; or set {' and '.join(missing)} in {where}."]


def _unconfirmed(config: AgentConfig, policy: Policy) -> list[str]:
    """What to do once a sign hangs that names more than the camera."""
    try:
        hearing.refuse_unnamed(config, PROFILES[policy.name].admits_hearing)
    except ConfigError as error:
        return [str(error)]
    return []


def _untranslated(texts: NoticeWords, language: Language) -> list[str]:
    return [
        f"notice.{key} has no text in {language!r}; the built-in text is used."
        for key in ("purpose", "legal_basis", "retention", "avoid")
        if isinstance(getattr(texts, key), dict) and language not in getattr(texts, key)
    ]


def _write(path: Path, content: bytes) -> Path:
    write_whole(path, content, "notice", mode=0o644)
    return path
