"""Studies real people's voices and prints the tables of docs/results.md: python benchmarks/real_people.py DATA WORK.

DATA is the folder with ``emodb`` and ``ravdess``; WORK keeps cohorts and runs, so that a second call goes on.
"""

import sys
from pathlib import Path

import pandas as pd

from personare.data.cohort import open_cohort
from personare.data.importing import import_cohort
from personare.features.audio import extract_sound
from personare.features.files import check
from personare.study.access import open_ledger
from personare.study.parallel import Workers
from personare.study.plan import load_plan
from personare.study.run import run_study

COLUMNS = {
    ("emotion", "fixed_reader"): "emotion, fixed reader",
    ("emotion", "retrained_reader"): "emotion, retrained reader",
    ("strongest.top1", "ignorant"): "named, ignorant",
    ("strongest.top1", "lazy_informed"): "named, lazy-informed",
    ("strongest.top1", "semi_informed"): "named, **retrained**",
    ("strongest.top1_5", "semi_informed"): "from five",
    ("strongest.person_top1", "semi_informed"): "from all",
    ("strongest.eer", "semi_informed"): "EER, retrained",
    ("sentence.uar", "retrained_reader"): "sentence, retrained",
    ("prosody.rho_f0", ""): "rho F0",
}


def study(source: Path, work: Path) -> pd.DataFrame:
    """Import a data set once, study it, and return its rows."""
    cohort = work / "cohorts" / source.name
    if not cohort.exists():
        import_cohort(
            source,
            cohort,
            reader=source.name,
            consent_purposes=["evaluation"],
            check=check,
            extract_sound=extract_sound,
        )
    plan, text = load_plan(config=Path(__file__).with_name("real_voices.toml"))
    people = open_cohort(cohort)
    out = work / "runs" / source.name
    run_study(people, plan, text, out, workers=Workers(), ledger=open_ledger(None, cohort))
    return pd.read_parquet(out / "results.parquet")


def table(rows: pd.DataFrame) -> str:
    """Return one Markdown line a release; emotion is the recall of the reader chosen on other people."""
    lines = ["| release | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for release, own in rows.groupby("release", sort=False):
        cells = [_cell(own, measure, attacker) for measure, attacker in COLUMNS]
        lines.append(f"| {release} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(rows: pd.DataFrame, measure: str, attacker: str) -> str:
    method, _, figure = ("reader.uar" if measure == "emotion" else measure).partition(".")
    found = rows[(rows.method == method) & (rows.figure == figure) & (rows.attacker == attacker)]
    if found.value.isna().all():
        return "–"
    best = found.loc[found.value.idxmax()]
    return f"{best.value:.2f} [{best.low:.2f}–{best.high:.2f}]"


if __name__ == "__main__":
    data, work = Path(sys.argv[1]), Path(sys.argv[2])
    for name in ("emodb", "ravdess"):
        print(f"\n### {name}\n\n{table(study(data / name, work))}")
