"""Other ways to read the tone: support vector machines on our functionals and on eGeMAPS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.base.types import Float
from agent.voice.sound import RATE
from agent.voice.tone import inputs
from tools.common.errors import ToolError
from tools.common.progress import along
from tools.eval.voice.figures import Truth
from tools.eval.voice.read import heard
from tools.train.voice.corpora import Utterance

PAIR = ("ravdess", "emodb")
"""The corpora of the table across corpora, and of the peers."""
Features = Callable[[Utterance], Float | None]


def ours(one: Utterance) -> Float | None:
    """float32[82]: functionals of the whole recording's best three seconds."""
    found = inputs(*heard(one.samples))
    return None if found is None else found[1]


def egemaps() -> Features:
    """eGeMAPS (Eyben et al. 2016) by opensmile. Raises `ToolError` where that is not installed:
    its licence is for research, so nothing here depends on it."""
    try:
        opensmile = import_module("opensmile")
    except ImportError:
        raise ToolError("opensmile is not installed (pip install opensmile)") from None
    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02,
        feature_level=opensmile.FeatureLevel.Functionals,
    )
    return lambda one: np.asarray(smile.process_signal(one.samples, RATE), np.float32)[0]


class Machines:
    """Support vector machines on one kind of features, quantile by quantile normal."""

    def __init__(self, found: Sequence[Utterance], features: Features, title: str) -> None:
        rows = [features(one) for one in along(found, title)]
        size = max(len(row) for row in rows if row is not None)
        self._values = np.stack([np.zeros(size, np.float32) if r is None else r for r in rows])
        self._valid = np.array([one.valid for one in found])
        self._truth = Truth(found)

    def measured(self, source: str, target: str) -> dict[str, Any]:
        """Trained on the training speakers of one corpus, measured on the unseen of another."""
        truth = self._truth
        learn = ~self._valid & (truth.corpus == source)
        among = self._valid & (truth.corpus == target)
        out = {}
        for name, labels in (("arousal", truth.high), ("tone", truth.tone)):
            answer = self._answers(labels, learn & (labels >= 0), among)
            out[name] = truth.uar(answer, labels, among).figure()
        return out

    def _answers(
        self, labels: NDArray[np.int64], learn: NDArray[np.bool_], among: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import QuantileTransformer
        from sklearn.svm import SVC

        machine = make_pipeline(
            QuantileTransformer(n_quantiles=100, output_distribution="normal"),
            SVC(C=1.0, gamma=0.5 / self._values.shape[1], class_weight="balanced"),
        ).fit(self._values[learn], labels[learn])
        out = np.full(len(labels), -1)
        out[among] = machine.predict(self._values[among])
        return out


def network_across(source: str, found: Sequence[Utterance]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Our network on functionals, trained on one corpus alone, on each of the `found` corpora."""
    import torch

    from tools.train.voice import loop
    from tools.train.voice.corpora import CORPORA

    heard_by, material = loop.training_part()
    corpus = loop.corpus_of(heard_by, material)
    rows = corpus == CORPORA.index(source)
    net, quantiles = loop.fitted_prosody(material, corpus, rows, {source: 1.0}, f"on {source}")
    truth = Truth(found)
    values = np.stack([_or_zeros(ours(one)) for one in along(found, "functionals")])
    with torch.no_grad():
        answers = net.eval()(torch.from_numpy(loop.deviates(values, quantiles))[None]).mean(0)
    logits = answers.numpy()
    for name in PAIR:
        among = truth.corpus == name
        high, tone = (logits[:, 4] > 0).astype(int), logits[:, :4].argmax(1)
        yield (
            name,
            {
                "arousal": truth.uar(high, truth.high, among).figure(),
                "tone": truth.uar(tone, truth.tone, among).figure(),
            },
        )


def _or_zeros(values: Float | None) -> Float:
    from agent.voice.prosody import NAMES

    return np.zeros(len(NAMES), np.float32) if values is None else values


def table(
    every: Sequence[Utterance], kinds: Mapping[str, Features]
) -> tuple[dict[str, Any], list[tuple[str, str, str, dict[str, Any]]]]:
    """Within each corpus, and across the two, for each kind of features."""
    found = [one for one in every if one.corpus in PAIR]
    within: dict[str, Any] = {}
    across = []
    for name, features in kinds.items():
        machines = Machines(found, features, name)
        within[name] = {corpus: machines.measured(corpus, corpus) for corpus in PAIR}
        for source, target in (PAIR, PAIR[::-1]):
            across.append((name, source, target, machines.measured(source, target)))
    return within, across
