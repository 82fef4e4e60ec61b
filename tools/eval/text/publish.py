"""Ship sentiment weights: calibrate, measure, write the file, its figures and manifest entry."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agent.inference.manifest import load_manifest
from agent.text.sentiment import Network, Sentiment
from tools.common.errors import ToolError
from tools.common.files import MODELS, run_folder, save_atomically, save_json
from tools.eval.expression.metrics import fit_temperature
from tools.eval.text import measure
from tools.train import manifest
from tools.train.text import material

UNSURE_BELOW = 0.45
"""Probability under which no class is named."""
OTHER_ABOVE = 0.5
"""Probability of another language from which none is named."""
DATA = [
    "hutto_ICWSM_2014 and the lexicon of vaderSentiment 3.3.2 (C. J. Hutto) | MIT | English texts "
    "rated by ten people each, three fifths of their documents; rated words",
    "messages of Django 5.2.8 (Django Software Foundation) | BSD-3-Clause | its interface in some "
    "ninety languages: language detection, neutral lines",
    "words of Faker 40.63.0 (D. Faraglia) | MIT | addresses, names, trades: words that say nothing",
    "lexica and templates of this repository (tools/train/text) | ours | sentences in four "
    "languages, lines in fourteen others",
]
TERMS = "Trained only on material whose terms allow any use; see CARD.md."


def publish(chosen: str, seed: int, models: Path = MODELS) -> None:
    """The weights of `runs/text`, for every set. Raises `ToolError`."""
    source = run_folder("text") / "weights.npz"
    if not source.is_file():
        raise ToolError(f"There is no {source}: `python -m tools.train text` makes it.")
    content = source.read_bytes()
    with np.load(source) as file:
        network = Network(dict(file))
    folder = material.fetch()
    logits, truth = measure.choice_logits(network, folder)
    target = models / "sentiment" / "weights.npz"
    save_atomically(target, content)
    parameters = {
        "temperature": round(fit_temperature(logits, truth), 4),
        "unsure_below": UNSURE_BELOW,
        "other_above": OTHER_ABOVE,
    }
    manifest.write_weights("sentiment", target, DATA, TERMS, parameters, models)
    sentiment = Sentiment(load_manifest(models))
    english = measure.english(sentiment, folder, None)
    own = {True: measure.own(sentiment, later=True), False: measure.own(sentiment)}
    save_json(
        target.with_name("figures.json"),
        {
            "bytes": len(content),
            **parameters,
            "english": english,
            **{
                ("later" if later else "own"): {
                    language: {name: row[name] for name in ("macro_f1", "pairs", "detected")}
                    for language, row in rows.items()
                }
                for later, rows in own.items()
            },
        },
    )
