"""A paper's comparison on a cohort at hand: the published table, and ours beside it."""

import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import t as student

from personare.core.atomic import write_text
from personare.core.types import Cohort
from personare.govern.ledger import Ledger
from personare.report.plots import COLORS, drawing
from personare.study.kinds.models import ModelPlan
from personare.study.parallel import Workers
from personare.study.plan import StudyPlan, as_toml
from personare.study.run import run_study

_COLUMNS = {
    "accuracy": "Acc",
    "precision_weighted": "Prec",
    "f1_weighted": "F1",
    "recall_weighted": "Recall",
    "uar": "UAR",
    "ece": "ECE",
    "confacc_low": "ConfAcc_Low",
    "membership": "Membership AUC",
}
_PAPER = """\
data,model,Acc,Prec,F1,Recall,ECE,ConfAcc_Low
CREMA-D,MLA,72.21,77.11,69.45,75.41,5.54,46.75
CREMA-D,PAMRL ε=1,62.58,68.54,53.35,67.78,18.34,30.12
CREMA-D,PAMRL ε=2,65.69,74.65,62.24,69.56,14.35,32.34
MVSA-Single,MLA,62.23,72.65,71.67,76.23,4.76,51.54
MVSA-Single,PAMRL ε=1,55.56,61.48,54.42,61.94,9.45,40.16
MVSA-Single,PAMRL ε=2,58.45,63.45,58.65,64.34,6.43,45.87
"""
_DOUBTS = """\
What cannot be right in the published table, and what it does not tell:
- Recall: weighted by class sizes, recall IS accuracy, and so is micro recall; all six rows differ. Averaged over
  classes alike, CREMA-D's sizes (five of 1271 clips, one of 1087) let it differ from accuracy by 2.1 points at most on
  a test set of the same shares; printed are 3.2 to 5.2. Which average was meant is not said.
- CREMA-D is split by clips (6698 and 744): people who are tested were trained on. It says nothing about new people.
- No delta, noise, clip norm, batch or accountant is given, so no epsilon can be checked. A network of 11.2 million
  numbers (ResNet-18) that protects each of 6698 clips at epsilon 1 and delta 1e-5 gets noise 1.9 times as long as the
  longest possible mean of clipped gradients in a single step that reads all clips, 13 times in each of 50 such steps.
  Turns of two modalities on a batch are two releases: 1.4 times that.
- Epsilon protects one clip; an actor has about 80 of them.
Ours: protocol {protocol}, epsilon for one recording at delta = {delta:g}, priced by PLD; figures in %. The interval is
over seeds, which share people: it does not tell how other people would fare.
"""


def reproduce_pamrl(
    cohort: Cohort,
    out: Path,
    *,
    ledger: Ledger,
    label: str = "emotion",
    modalities: Sequence[str] = (),
    public: Path | None = None,
    protocol: str = "leaky_random_9_1",
    seeds: int = 1,
    shadows: int = 8,
    epochs: int | None = None,
) -> str:
    """Train everything that the paper compares, and what is better, and tell how far its table can be believed.

    Writes one run for each seed (other splits and draws), ``table.csv``, ``table.tex`` and ``table.png`` into ``out``,
    and returns both tables as text. ``modalities`` and ``protocol`` as of ``ModelPlan``; ``public`` is a cohort of
    people whose data need no protection; no ``shadows``: membership is not compared; no ``epochs``: each network's own.

    **Source**: Sun et al., "Hybrid Uncertainty Metrics-Based Privacy-Preserving Alternating Multimodal Representation
    Learning", Applied Sciences 2025, 15, 5229.
    """
    delta = min(1e-5, 0.1 / len(cohort.recordings))
    where: dict[str, Any] = {"modalities": tuple(modalities), "label": label, "protocol": protocol}
    models = tuple(
        ModelPlan(name=name, method=method, options=o, **where) for name, method, o in _compared(delta, epochs)
    )
    tables = []
    for seed in range(seeds):
        plan = StudyPlan(models=models, seed=seed, public=str(public.resolve()) if public else "", shadows=shadows)
        run_study(cohort, plan, as_toml(plan), out / f"seed-{seed}", workers=Workers(), ledger=ledger)
        rows = pd.DataFrame(json.loads((out / f"seed-{seed}" / "results.json").read_text(encoding="utf-8")))
        areas = rows[(rows.question == "member") & (rows.figure == "auc")]
        figures = rows[(rows.method == "model") & (rows.subset == "")]
        figures = figures.pivot_table(index="release", columns="figure", values="value", sort=False)
        figures = figures.join(areas.groupby("release").value.max().rename("membership"))  # of the strongest attack
        figures = figures.reindex(columns=list(_COLUMNS)).rename(columns=_COLUMNS)
        tables.append(figures.reindex(list(dict.fromkeys(rows.release))))
    ours = _together(tables)
    ours.swaplevel(axis=1).round(4).to_csv(out / "table.csv")
    _draw(100 * ours, out / "table.png")
    half = (100 * ours["half"]).map(lambda value: "" if np.isnan(value) else f" ±{value:.1f}")
    cells = (100 * ours["mean"]).map("{:.1f}".format) + half
    cells = cells.mask(ours["mean"].isna(), "–")
    latex = cells.rename_axis(None).to_latex(escape=True, column_format="l" + "r" * cells.shape[1])
    for sign, command in {"±": "$\\pm$", "ε": "$\\varepsilon$", "–": "--"}.items():
        latex = latex.replace(sign, command)
    write_text(out / "table.tex", latex)
    paper = pd.read_csv(StringIO(_PAPER)).set_index(["data", "model"])
    doubts = _DOUBTS.format(protocol=protocol, delta=delta)
    return f"Published:\n{paper.to_string()}\n\nOurs, on {cohort.name}:\n{cells.to_string()}\n\n{doubts}"


def _compared(delta: float, epochs: int | None) -> list[tuple[str, str, dict[str, Any]]]:
    """Name, method and options of everything that is compared."""
    private: dict[str, Any] = {"unit": "recording", "delta": delta}
    nets = {} if epochs is None else {"epochs": epochs}
    rows: list[tuple[str, str, dict[str, Any]]] = [
        ("mla_code", "mla", {"variant": "code", **nets}),
        ("mla_paper", "mla", {"variant": "paper", **nets}),
        ("late_fusion", "late_fusion", nets),
        ("pamrl", "pamrl", nets),
    ]
    rows += [(f"pamrl_{rule}", "pamrl", {"uncertainty": rule, **nets}) for rule in ("entropy", "kl", "uniform")]
    rows += [(f"pamrl_eps{e}", "pamrl", {"epsilon": float(e), **private, **nets}) for e in (1, 2)]
    rows.append(("private_head", "private_head", {"unit": "recording"}))
    rows += [(f"private_head_eps{e}", "private_head", {"epsilon": float(e), **private}) for e in (1, 2)]
    return rows


def _together(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return ``mean`` and 95 % ``half`` width over seeds (Student's t; NaN for one seed), each by figure."""
    first, n = tables[0], len(tables)
    stack = np.stack([t.reindex(first.index).to_numpy(float) for t in tables])  # (S, models, figures)
    half = student.ppf(0.975, n - 1) * stack.std(axis=0, ddof=min(n - 1, 1)) / np.sqrt(n)
    parts = {"mean": stack.mean(axis=0), "half": half}
    return pd.concat({k: pd.DataFrame(v, index=first.index, columns=first.columns) for k, v in parts.items()}, axis=1)


def _draw(ours: pd.DataFrame, path: Path) -> None:
    """Draw accuracy and calibration error of every model."""
    with drawing():
        figure = Figure(figsize=(8, 0.8 + 0.32 * len(ours)), layout="constrained", facecolor="white")
        titles = {"Acc": "accuracy, %", "ECE": "expected calibration error, %"}
        for axes, (name, title) in zip(figure.subplots(1, 2, sharey=True), titles.items(), strict=True):
            mean, half = (ours[(part, name)].to_numpy(float) for part in ("mean", "half"))
            axes.barh(range(len(ours)), mean, xerr=np.nan_to_num(half), color=COLORS["front"], height=0.6)
            axes.set_yticks(range(len(ours)), list(ours.index))
            axes.set_xlabel(title)
        axes.invert_yaxis()  # of both: they share it
        figure.savefig(path, dpi=150)
