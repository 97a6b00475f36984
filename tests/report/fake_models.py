"""Models in a run folder as a study leaves them. EVERY NUMBER IS INVENTED: it is test data, measured on nobody."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .fake_run import COHORT, LEDGER, write

REAL = COHORT | {"kind": "identifiable"}  # so that a model may be called best
CLASSES = ("anger", "joy", "calm")
SPEND = {
    "unit": "person",
    "sampling_rate": 0.2,
    "noise_multiplier": 1.7,
    "steps": 300,
    "epsilon": 4.0,
    "delta": 1e-3,
    "accountant": "pld",
    "units": 48,
}
# model -> (recall, area of recordings, area of people, the same without privacy; None where it is itself open)
MODELS: Mapping[str, tuple[float, float, float, float | None]] = {
    "open": (0.62, 0.74, 0.93, None),
    "private": (0.55, 0.53, 0.58, 0.91),
    "weak": (0.40, 0.51, 0.52, 0.55),
}


def write_fake_models(root: Path, *, beside: bool = False) -> Path:
    """Write a run of models; ``beside``: add them to a run of recordings that is there already."""
    root.mkdir(parents=True, exist_ok=True)
    rows = [row for name in MODELS for row in model_rows(name)]
    details = [row.pop("detail") for row in rows]
    releases = [_release(name) for name in MODELS]
    for piece, content in (("results", rows), ("details", details), ("releases", releases)):
        before = json.loads((root / f"{piece}.json").read_text(encoding="utf-8")) if beside else []
        write(root, piece, before + content)
    for name, (*_, without) in MODELS.items():
        write_step(root, name, spends=[] if without is None else [SPEND])
    if not beside:
        empty = {"skipped": [], "examples": {}, "ledger": LEDGER, "cohort": REAL, "versions": {"personare": "0.1.0"}}
        for piece, content in empty.items():
            write(root, piece, content)
        (root / "study.toml").write_text("seed = 7\n", encoding="utf-8")
    return root


def write_step(root: Path, name: str, *, spends: list[dict[str, Any]], protocol: str = "person_folds") -> None:
    """Write how a model was trained."""
    options = {"name": name, "method": "pamrl", "options": {}, "modalities": ["audio", "physio"], "label": "emotion"}
    options |= {"protocol": protocol, "shadows": 16, "membership": ["membership_loss", "membership_lira"]}
    result = {"spends": spends, "recordings": 480, "people": 48, "tested": 120}
    path = root / "trained.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    others = [one for one in before if one["options"]["name"] != name]
    write(root, "trained", [*others, {"options": options, "result": result}])


def model_rows(name: str) -> list[dict[str, Any]]:
    """Return the rows of one model, their detail among them."""
    recall, recordings, people, without = MODELS[name]
    confusion = [[30, 6, 4], [8, 28, 4], [10, 12, 18]]
    bins = {"confidence": [0.35, 0.5, 0.7, None], "accuracy": [0.3, 0.45, 0.6, None], "count": [20, 60, 40, 0]}
    rows = [
        _row(
            name, "model", "accuracy", recall + 0.02, control=0.4, detail={"classes": CLASSES, "confusion": confusion}
        ),
        _row(name, "model", "uar", recall, control=1 / 3),
        _row(name, "model", "ece", 0.12, better="lower", detail={"reliability": bins}),
        _row(name, "model", "ece_equal_mass", 0.14, better="lower", detail={"reliability": bins}),
        _row(name, "model", "confacc_low", 0.31),
    ]
    for rank, attack in enumerate(("membership_loss", "membership_lira")):
        for figure, value in (("auc", recordings), ("person_auc", people)):
            rows.append(_membership(name, attack, figure, value - 0.01 * rank, without))
        few = {
            "question": "member",
            "attacker": "shadow",
            "reason": "too few non-members to say: 24, a rate of 1.0% needs 1000",
        }
        rows.append(_row(name, attack, "tpr_fpr1", None, control=0.01, **few))
    top1 = {"question": "identify", "attacker": "semi_informed", "better": "lower", "baseline": 0.6, "control": 0.1}
    rows.append(_row(name, "model_identity_answers", "top1", 0.22, **top1))
    rows.append(_row(name, "model_identity_answers", "person_top1", 0.45, **(top1 | {"baseline": 0.9})))
    return rows


def _membership(name: str, attack: str, figure: str, value: float, without: float | None) -> dict[str, Any]:
    rate = np.linspace(0, 1, 25)
    detail = {"roc": {"fpr": rate.tolist(), "tpr": (rate ** (1 / value - 1)).tolist()}}
    note, status = "", "ok"
    if without is not None:
        detail["bound"] = {"fpr": rate.tolist(), "tpr": np.minimum(1, np.exp(4) * rate + 1e-3).tolist()}
        note = "epsilon 4 at delta 1.0e-03 allows 0.982 at most"
        if without < 0.6:
            status = "not_informative"
            note = f"not informative: it does not find who is in the same model without privacy either; {note}"
    given = {"question": "member", "attacker": "shadow", "better": "lower", "control": 0.5, "baseline": without}
    return _row(name, attack, figure, value, **given, reason=note, status=status, detail=detail)


def _row(release: str, method: str, figure: str, value: float | None, **more: Any) -> dict[str, Any]:
    ends = {"low": value - 0.06, "high": value + 0.06} if value is not None else {"low": None, "high": None}
    row = {"question": "read", "n": 120, "baseline": None, "control": None, "unit": "share", "better": "higher"}
    row |= {"reason": "", "status": "ok", "attacker": "", "detail": {}, **ends}
    named = {"release": release, "kind": "model", "modality": "", "method": method, "figure": figure, "subset": ""}
    return {**named, "value": value, **row, **more}


def _release(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "model",
        "modalities": ["model"],
        "methods": {"model": "pamrl"},
        "options": {"pamrl": {} if MODELS[name][3] is None else {"epsilon": 4.0, "unit": "person", "delta": 1e-3}},
        "counts": {"recordings": 480, "people": 48, "seconds": 12.5},
        "withheld": [],
    }
