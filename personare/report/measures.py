"""What each measure is, in plain words made of its name."""

import re
from collections.abc import Mapping

__all__ = ["LIKENESS", "PERCENT", "measure"]

_FIGURES: Mapping[str, str] = {
    "auc": "area under the curve",
    "top1": "named at the first guess",
    "top1_5": "named from five recordings together",
    "person_top1": "named from all recordings together",
    "eer": "equal error rate",
    "dsys": "linkability D_sys",
    "tar_far1": "true accepts at 1 % false accepts",
    "tpr_fpr10": "found at 10 % false alarms",
    "uar": "recall, averaged over classes",
    "accuracy": "accuracy",
    "ccc": "concordance correlation",
    "r2": "share of variance explained",
    "mae": "mean absolute error",
    "rho_f0": "pitch contour kept (correlation)",
    "correlation": "correlation over time",
    "ece": "calibration error",
    "ece_equal_mass": "calibration error, bins of equal size",
    "confacc_low": "accuracy where the confidence is at most 0.5",
    "largest_class": "share of the commonest answer",
    "brier": "Brier score",
    "nll": "negative log-likelihood",
    "person_auc": "area under the curve, people",
    "realtime_factor": "seconds of work per second of recording",
    "covered_whole": "frames covered whole",
    "tstr_uar": "learns from made-up, recalls of real",
    "trts_uar": "learns from real, recalls of made-up",
    "augmented_uar": "learns from real and made-up, recalls of real",
    "share_learned": "share of what real people teach",
}
PERCENT = ("top1", "top1_5", "person_top1", "eer", "tar_far1", "covered_whole")
"""Figures that are usually read in percent."""
LIKENESS: Mapping[str, str] = {
    "synthetic.precision": "made-up recordings that lie among real ones",
    "synthetic.recall": "real recordings that lie among made-up ones",
    "synthetic.density": "how densely real ones lie around made-up ones",
    "synthetic.coverage": "real recordings with a made-up one nearby",
    "synthetic.told_apart_linear": "told from real ones by a linear reader (area)",
    "synthetic.told_apart_trees": "told from real ones by trees (area)",
    "synthetic.mmd2": "distance of kernel means",
    "synthetic.mmd_p": "chance of such a distance",
    "synthetic.ks": "distance of single numbers’ distributions",
    "synthetic.correlation_within": "correlations kept within a modality",
    "synthetic.correlation_across": "correlations kept across modalities",
    "visits.prevalence": "how common each code is, by visit",
    "visits.prevalence_by_person": "how common each code is, by person",
    "visits.co_occurrence": "codes that come together in a visit",
    "visits.transitions": "distance of pairs of successive visits",
    "visits.visits": "distance of the numbers of visits",
    "visits.gaps": "distance of the gaps between visits",
    "visits.next_visit_auc": "next visit’s codes foretold (area)",
}
"""How alike made-up and real people are: each measure, and its words."""
_ATTACKS: Mapping[str, str] = {
    "synthetic_membership": "who was learned from, told",
    "synthetic_shadow": "who was learned from, told with shadow generators",
    "synthetic_canaries": "planted people, told with shadow generators",
}
_BY = {"neighbor": "by nearness", "normal": "by averages"}
_RISKS: Mapping[str, str] = {
    "synthetic_singling_out.people": "singled out by a description",
    "synthetic_linkability.halves": "two nameless halves of a person joined",
    "synthetic_inference.label": "label guessed from all else",
    "synthetic_inference.values": "single numbers guessed from all else",
    "synthetic_copies.nearer": "nearest real person is one learned from",
    "synthetic_copies.exact": "real recordings, unchanged",
    "visits.copies": "real histories, unchanged",
    "visits.near_copies": "nearer to a real person learned from than strangers are",
    "synthetic_identity.named": "taken for somebody who was learned from",
}
_EXPOSED = ", most exposed"


def measure(name: str) -> str:
    """Say what a measure is, from its name.

    Example:
        >>> measure("voice_gmm.top1"), measure("synthetic.linear.tstr_uar")
        ('voice gmm: named at the first guess', 'linear reader: learns from made-up, recalls of real')
        >>> measure("synthetic_shadow.normal_exposed_auc")
        'who was learned from, told with shadow generators by averages, most exposed: area under the curve'
    """
    method, _, figure = name.partition(".")
    if name in LIKENESS:
        return LIKENESS[name]
    if method in ("synthetic", *_ATTACKS) or name.startswith(tuple(_RISKS)):
        return _of_synthetic(name, method, figure)
    if method in ("transfer", "attribute"):
        return f"{'read for the task' if method == 'transfer' else 'attribute'} {figure.replace('_', ' ')}"
    said = _FIGURES.get(figure, figure.replace("_", " "))
    return f"{method.replace('_', ' ')}: {said}" if said else method.replace("_", " ")


def _of_synthetic(name: str, method: str, figure: str) -> str:
    exposed = _EXPOSED if "_exposed" in figure else ""
    if method in _ATTACKS:
        what, rest = figure.replace("_exposed", "").partition("_")[::2]
        return f"{_ATTACKS[method]} {_BY.get(what, what)}{exposed}: {_FIGURES.get(rest, rest.replace('_', ' '))}"
    if method != "synthetic":
        return _RISKS.get(re.sub(r"(_exposed)?(_risk)?$", "", name), name.replace("_", " ")) + exposed
    what, _, rest = figure.partition(".")
    if rest in _FIGURES:
        return f"{what} reader: {_FIGURES[rest]}"
    if not figure:
        return "made-up people"
    return f"{what} {rest}".replace("_", " ").strip()
