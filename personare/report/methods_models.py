"""Writes the methods paragraphs about models: what was trained, on whom, under which claim, and how it was attacked."""

import re
from collections.abc import Sequence

from personare.core.types import Result, Spend
from personare.report import wording
from personare.report.phrases import count, listing
from personare.report.run import RunRecord
from personare.report.trained import Training

__all__ = ["models_paragraphs"]


def models_paragraphs(record: RunRecord) -> list[str]:
    """Return the paragraphs; none where no model was trained."""
    names = record.models()
    if not names:
        return []
    trained = f"{count(len(names), 'model')} {'was' if len(names) == 1 else 'were'} trained."
    text = " ".join([trained, *(_model(record, name) for name in names)])
    rows = [r for r in record.results if r.modality == "model"]
    return [text, _judged(rows), _membership(record, rows), _shown(rows)]


def _model(record: RunRecord, name: str) -> str:
    training = record.trained.get(name)
    if training is None:
        return f"How {name} was trained is not recorded; privacy claimed: {record.claim(name).words}."
    chosen = (record.release(name).get("options") or {}).get(training.method) or {}
    options = ", ".join(f"{key} = {value}" for key, value in chosen.items())
    return (
        f"Model {name} ({'; '.join(filter(None, [training.method, options]))}) learned {training.label or 'a label'} "
        f"from {listing(training.modalities) or 'all tracks'} of {count(training.recordings, 'recording')} of "
        f"{count(training.people, 'person')}; it was {wording.protocol(training.protocol)} "
        f"({count(training.tested, 'recording')}). {_privacy(training)}"
    )


def _privacy(training: Training) -> str:
    if not training.spends:
        return "It was trained without a guarantee of privacy."
    said = f"It is differentially private for one {training.claim.unit} (add or remove one): {_price(training)}"
    return said + "; ".join(_mechanism(spend) for spend in training.spends) + "."


def _price(training: Training) -> str:
    claim = training.claim
    together = " together" if len(training.spends) > 1 else ""
    return f"ε = {claim.epsilon:.3g} at δ = {claim.delta:.3g}{together} by the {claim.accountant.upper()} accountant; "


def _mechanism(spend: Spend) -> str:
    return (
        f"{count(spend.steps, 'step')} over {count(spend.units, spend.unit)}, each drawn at rate "
        f"{spend.sampling_rate:.3g} (Poisson), Gaussian noise of {spend.noise_multiplier:.3g} times the clip norm"
    )


def _judged(rows: Sequence[Result]) -> str:
    measures = {r.measure for r in rows}
    named = {
        "model.uar": "recall averaged over the classes (UAR)",
        "model.accuracy": "accuracy",
        "model.ece": "the calibration error (15 bins of equal width)",
        "model.confacc_low": "accuracy where the confidence is at most 0.5",
    }
    said = [words for measure, words in named.items() if measure in measures]
    return f"Models were judged by {listing(said)}." if said else ""


def _membership(record: RunRecord, rows: Sequence[Result]) -> str:
    attacks = list(dict.fromkeys(r.measure.partition(".")[0] for r in rows if r.measure.startswith("membership_")))
    if not attacks:
        return "No membership attack was run on the models." if rows else ""
    shadows = sorted({t.shadows for t in record.trained.values() if t.shadows})
    through = f" through {listing([str(n) for n in shadows])} shadow models of each, every one" if shadows else ""
    text = (
        f"Membership of recordings and of people was attacked by {listing([a.replace('_', ' ', 1) for a in attacks])}"
        f"{through}{' trained on half of the training data' if shadows else ''}; the strongest counts."
    )
    if any(record.claim(name).made for name in record.models()):
        text += (
            " Each attack was also run on the same model trained without privacy; one that finds nobody there is not"
            " informative. Its curve is held against the bound that the claim sets."
        )
    return text + " Intervals of areas resample people, those of hit rates are exact (Clopper-Pearson)."


def _shown(rows: Sequence[Result]) -> str:
    names = [r.measure.partition(".")[0] for r in rows if r.kind == "risk" and not r.measure.startswith("membership_")]
    # An attack that looks at several things a model shows is named after each: model_identity_answers and so on.
    said = dict.fromkeys(re.sub(r"^(model_identity)_.*", r"\1", name).replace("_", " ") for name in names)
    return f"What models show of the people they were judged on was read by {listing(list(said))}." if said else ""
