"""What the figures do not say, one caveat a figure, with sources; and what is not said at all."""

from __future__ import annotations

import json
import re
from typing import Any

from agent.desk.films.document import Caveat
from agent.inference.manifest import Manifest

SOURCES = {
    "barrett": "Barrett, Adolphs, Marsella, Martinez & Pollak 2019, Psychological Science in the "
    "Public Interest 20, 1-68: people smile, scowl and frown for many reasons, and a face alone "
    "does not tell which.",
    "jack": "Jack, Garrod, Yu, Caldara & Schyns 2012, PNAS 109, 7241-7244: what observers expect "
    "of an emotion's face differs between cultures.",
    "rules": "Ekman & Friesen 1969, Semiotica 1, 49-98; Matsumoto 1990, Motivation and Emotion 14, "
    "195-214: display rules say who may show what to whom, and differ between cultures.",
    "elfenbein": "Elfenbein & Ambady 2002, Psychological Bulletin 128, 203-235: people read "
    "expressions better within their own culture.",
    "ferplus": "Barsoum, Zhang, Canton Ferrer & Zhang 2016, arXiv:1608.01041 (FER+): ten crowd "
    "workers named each face of an image search, acted and stock faces among them.",
    "russell": "Russell & Mehrabian 1977, Journal of Research in Personality 11, 273-294: what "
    "the words of emotion mean to people.",
    "casme": "Yan et al. 2014, PLoS ONE 9, e86041 (CASME II): micro-expressions are coded by "
    "trained people frame by frame, in the laboratory.",
    "porter": "Porter & ten Brinke 2008, Psychological Science 19, 508-514: micro-expressions are "
    "rare, mostly partial, and occur in honest and in false faces.",
    "vrij": "Vrij, Hartwig & Granhag 2019, Annual Review of Psychology 70, 295-317: nonverbal "
    "signs of lies are faint and unreliable.",
    "scherer": "Scherer 2003, Speech Communication 40, 227-256: voices tell arousal better than "
    "kinds of emotion; language and culture matter.",
    "cards": "The cards of the models used (models/*/CARD.md): data, terms, errors by class, "
    "group, size and pose.",
}
"""By key, in the order in which the page lists them."""

_SHORT = {
    "barrett": "Barrett et al. 2019",
    "jack": "Jack et al. 2012",
    "rules": "Ekman & Friesen 1969; Matsumoto 1990",
    "elfenbein": "Elfenbein & Ambady 2002",
    "ferplus": "Barsoum et al. 2016",
    "russell": "Russell & Mehrabian 1977",
    "casme": "Yan et al. 2014",
    "porter": "Porter & ten Brinke 2008",
    "vrij": "Vrij et al. 2019",
    "scherer": "Scherer 2003",
    "cards": "model cards",
}

REFUSED = (
    ("Personality, honesty, intent, fitness for a job", "no face shows them (Barrett et al. 2019; "
     "Vrij et al. 2019); micro-expressions are no lie detector"),
    ("Age, gender, origin, health", "guesses from a face are wrong for whole groups; no model "
     "here has such an output"),
    ("Who somebody is, or whether they came before", "visits are numbered; nothing tells faces "
     "apart after they have left"),
    ("What a person feels", "an expression is what others would call a face"),
    ("A ranking of people", "highlights rank moments of a film, not persons"),
)  # fmt: skip
"""What no page says, and why."""

TIMELINE = Caveat(
    "A label is what people would call the face, not what the person feels. Pale stretches are "
    "unsure: nothing is named there. A lane is a place on this page, not a person: whoever leaves "
    "and comes back is a new visit.",
    ("barrett",),
)
VALENCE = Caveat(
    "Valence and arousal are averages of published word ratings under the class probabilities; "
    "they were never measured on faces, and their error is unknown. A polite smile counts as "
    "pleasant. How openly people show what they feel is a matter of display rules.",
    ("russell", "rules"),
)
ATTENTION = Caveat(
    "Facing the camera within the cone is not looking, and looking is not interest. Where averting "
    "the gaze is polite, attention is shown otherwise; who cannot turn the head counts as away.",
    ("rules",),
)
UNITS = Caveat(
    "Intensities repeat a teacher network; no human FACS coding took part. A unit is a movement, "
    "and the same movement serves speech, chewing, effort, light in the eyes and signs of "
    "feeling alike; faces at rest differ in the brows and lids.",
    ("barrett",),
)
VOICE = Caveat(
    "Tones were learnt from acted speech in three languages; a loud room, another language or an "
    "old voice shifts them. Who speaks is known only where one face was in view.",
    ("scherer", "elfenbein"),
)
WORDS = Caveat(
    "Sentiment of single lines, out of context: irony and quotation are not seen. The words "
    "themselves are kept nowhere.",
    ("cards",),
)
QUALITY = Caveat(
    "Small, dark or turned faces are read worse, and more often as unsure: compare films only "
    "where these figures are alike.",
    ("cards",),
)
HIGHLIGHTS = Caveat(
    "Ranked by what the networks answered most strongly. They are places to look at, never "
    "findings: what matters may be elsewhere, and small.",
    ("barrett",),
)


def shares(manifest: Manifest) -> Caveat:
    """Of the expressions, with the model card's figures where the folder has them."""
    said = (
        "Named after posed and searched pictures that crowd workers of one culture labelled: "
        "spontaneous faces elsewhere are read worse. Readings of one face are not independent."
    )
    classes = per_class(manifest)
    if classes:
        low = [f"{name} {at['recall']:.0%}" for name, at in classes.items() if at["recall"] < 0.7]
        if low:
            said += f" Of the faces that people call so it finds: {', '.join(low)}."
    groups = group_range(manifest)
    if groups:
        said += f" By group of age, gender and origin, unsure ranges from {groups}."
    return Caveat(said, ("ferplus", "jack", "elfenbein"))


def micro(rate: float | None) -> Caveat:
    """Of micro-expressions; `rate`: false alarms a minute."""
    chance = (
        f"The spotter reports about {rate:.2f} a minute by chance, measured on synthetic tracks; "
        "on people who talk or sign it has been several a minute. "
        if rate is not None
        else "At this threshold the false-alarm rate was not measured. "
    )
    return Caveat(
        chance + "Single events are as likely tics, swallowing or tracking errors. A "
        "micro-expression is no sign of a lie, nor of a hidden feeling.",
        ("porter", "vrij", "casme"),
    )


def short(caveat: Caveat) -> str:
    """Its sources as authors and years."""
    return "; ".join(_SHORT[key] for key in caveat.sources)


def per_class(manifest: Manifest) -> dict[str, dict[str, float]]:
    """Recall, precision and pictures of each class, from the model's figures; empty without."""
    try:
        text = manifest.entry("expression").file.with_name("figures.json").read_text("utf-8")
        found: Any = json.loads(text)["int8"]["per_class"]
        return {
            str(name): {key: float(each[key]) for key in ("recall", "precision", "pictures")}
            for name, each in found.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def group_range(manifest: Manifest) -> str:
    """`2 % (group) to 12 % (group)` unsure, from the model card's table; empty without."""
    try:
        card = manifest.entry("expression").file.with_name("CARD.md").read_text("utf-8")
    except (OSError, ValueError):
        return ""
    rows = re.findall(
        r"^\| ((?:age|gender|race): [^|]+?) \| \d+ \| [^|]+ \| (\d+) % ", card, re.MULTILINE
    )
    if not rows:
        return ""
    low, high = min(rows, key=lambda r: int(r[1])), max(rows, key=lambda r: int(r[1]))
    return f"{low[1]} % ({_origin(low[0])}) to {high[1]} % ({_origin(high[0])}), by the model card"


def _origin(group: str) -> str:
    return group.replace("race: ", "labelled ").replace("age: ", "age ").replace("gender: ", "")
