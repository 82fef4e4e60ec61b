"""Texts that training takes from packages, which are fetched by name from the package index.

vaderSentiment 3.3.2 (MIT, C. J. Hutto): 23,703 rated English texts and a lexicon. Django 5.2.8
(BSD, Django Software Foundation): its interface in some ninety languages. Faker 40.63.0 (MIT, D.
Faraglia): words of addresses, names, trades and filler texts.
"""

from __future__ import annotations

import html
import importlib.util
import io
import re
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.common.errors import ToolError
from tools.common.files import run_folder

PACKAGES = {
    "vaderSentiment-3.3.2.tar.gz": ("vaderSentiment==3.3.2", "MIT"),
    "django-5.2.8-py3-none-any.whl": ("Django==5.2.8", "BSD-3-Clause"),
    "faker-40.63.0-py3-none-any.whl": ("Faker==40.63.0", "MIT"),
}
_SOURCES = ("tweets", "amazonReviewSnippets", "movieReviewSnippets", "nytEditorialSnippets")
LARGEST = "movieReviewSnippets"
"""Nearly half of the texts."""
FOLDS = 5
TEST_FOLD, CHOICE_FOLD = 0, 1
"""Never trained on: measured on, and chosen and calibrated on."""
_FIELD = re.compile(r"%(?:\([a-z_]+\))?[sdr]|\{[^}]*\}|<[^>]*>|[\n\t]|&[a-z]+;")
_OWN = ("en", "de", "fr", "es")
_NOT_OTHERS = {"ast", "ia", "io", "lb", "dsb", "hsb"}
"""Left out: too close to one of the four, or hardly written by customers."""


@dataclass(frozen=True, slots=True)
class Rated:
    """An English text with its mean rating by ten people."""

    text: str
    rating: float
    """In [-4, 4]."""
    source: str
    document: str
    """Of that source."""
    fold: int
    """Texts of one document share it."""

    @property
    def klass(self) -> int:
        """0 negative, 1 neutral, 2 positive."""
        return 2 if self.rating > 0.5 else 0 if self.rating < -0.5 else 1


def fetch(given: Path | None = None) -> Path:
    """A folder with the packages: `given`, else `runs/text/material`, filled from the package
    index. Raises `ToolError`."""
    folder = given or run_folder("text") / "material"
    folder.mkdir(parents=True, exist_ok=True)
    for name, (requirement, _) in PACKAGES.items():
        if (folder / name).is_file():
            continue
        if given:
            raise ToolError(f"{folder} lacks {name}: `pip download {requirement}` fetches it.")
        kind = "--no-binary=:all:" if name.endswith(".gz") else "--only-binary=:all:"
        command = ["download", "--no-deps", "--quiet", kind, "--dest", str(folder), requirement]
        done = subprocess.run([sys.executable, "-m", "pip", *command], check=False)
        if done.returncode or not (folder / name).is_file():
            raise ToolError(f"{requirement} could not be fetched; --material FOLDER names copies.")
    return folder


def rated(folder: Path) -> list[Rated]:
    """The rated texts of vaderSentiment, numbered folds by document."""
    inner = io.BytesIO(_member(folder, "additional_resources/hutto_ICWSM_2014.tar.gz"))
    found = []
    with tarfile.open(fileobj=inner) as archive:
        for index, source in enumerate(_SOURCES):
            name = f"{source}_GroundTruth.txt"
            member = next(m for m in archive.getmembers() if Path(m.name).name == name)
            file = archive.extractfile(member)
            assert file is not None
            for line in file.read().decode("utf-8", "replace").splitlines():
                parts = line.split("\t")
                if len(parts) >= 3:
                    group = parts[0].split("_")[0]
                    fold = zlib.crc32(f"{index}:{group}".encode()) % FOLDS
                    text = html.unescape(parts[2])
                    found.append(Rated(text, float(parts[1]), source, group, fold))
    return found


def lexicon(folder: Path) -> dict[str, float]:
    """Words of vaderSentiment's lexicon with their mean rating."""
    text = _member(folder, "vaderSentiment/vader_lexicon.txt").decode()
    rows = (line.split("\t") for line in text.splitlines() if line.strip())
    return {row[0]: float(row[1]) for row in rows if row[0].replace("-", "").isalpha()}


def vader(folder: Path) -> Callable[[str], float]:
    """The compound score of vaderSentiment itself, which need not be installed."""
    target = run_folder("text") / "vader"
    target.mkdir(exist_ok=True)
    for name in ("vaderSentiment.py", "vader_lexicon.txt", "emoji_utf8_lexicon.txt"):
        (target / name).write_bytes(_member(folder, f"vaderSentiment/{name}"))
    spec = importlib.util.spec_from_file_location("vader", target / "vaderSentiment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    analyser = module.SentimentIntensityAnalyzer(
        str(target / "vader_lexicon.txt"), str(target / "emoji_utf8_lexicon.txt")
    )
    return lambda text: float(analyser.polarity_scores(text)["compound"])


def interface(folder: Path) -> dict[str, list[str]]:
    """Django's messages by language, "en", "de", "fr", "es" with their variants together."""
    found: dict[str, list[str]] = {}
    with zipfile.ZipFile(folder / "django-5.2.8-py3-none-any.whl") as archive:
        for name in archive.namelist():
            match = re.search(r"/locale/(\w+)/LC_MESSAGES/django(?:js)?\.po$", name)
            if not match or match[1] in _NOT_OTHERS:
                continue
            code = match[1].split("_")[0]
            language = code if code in _OWN else match[1]
            texts = _messages(archive.read(name).decode("utf-8"), language == "en")
            found.setdefault(language, []).extend(texts)
    return {name: list(dict.fromkeys(texts)) for name, texts in found.items()}


def vocabulary(folder: Path, language: str) -> list[str]:
    """Words of Faker's lists for one language."""
    locales = {"en": "en_US", "de": "de_DE", "fr": "fr_FR", "es": "es_ES"}
    found: dict[str, None] = {}
    with zipfile.ZipFile(folder / "faker-40.63.0-py3-none-any.whl") as archive:
        for name in archive.namelist():
            if name.endswith(f"/{locales[language]}/__init__.py"):
                for text in re.findall(r'"([^"\n]*)"', archive.read(name).decode()):
                    found.update(dict.fromkeys(re.findall(r"[^\W\d_]{3,}", text)))
    return list(found)


def _messages(text: str, source: bool) -> Iterator[str]:
    """Messages of a .po file: the translations, or what was translated."""
    for block in re.split(r"\n\s*\n", text):
        for kind, body in re.findall(
            r'^(msgid(?:_plural)?|msgstr(?:\[\d\])?) ((?:"(?:[^"\\]|\\.)*"\n?)+)', block, re.M
        ):
            if kind.startswith("msgid") != source:
                continue
            joined = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', body))
            plain = joined.replace("\\n", " ").replace('\\"', '"')
            if "Content-Type" in plain:
                continue
            plain = " ".join(_FIELD.sub(" ", plain).split())
            if sum(map(str.isalpha, plain)) >= 4:
                yield plain


def _member(folder: Path, path: str) -> bytes:
    with tarfile.open(folder / "vaderSentiment-3.3.2.tar.gz") as archive:
        member = next(m for m in archive.getmembers() if m.name.endswith(path))
        file = archive.extractfile(member)
        assert file is not None
        return file.read()
