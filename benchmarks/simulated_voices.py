"""Are simulated voices as hard to hide as real ones? python benchmarks/simulated_voices.py DATA WORK [SEED ...].

The voice methods, attacks and readers of the quick preset, on the sound of 12 simulated people (no films) and on EmoDB.
DATA is the folder with ``emodb``; WORK keeps cohorts and runs, so that a second call goes on.
"""

import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd

from personare.core.types import Cohort, Recording
from personare.data.cohort import CohortWriter, open_cohort, recording_id
from personare.data.importing import import_cohort
from personare.features.audio import extract_sound, write
from personare.features.files import check
from personare.simulate.people import EMOTIONS, person
from personare.simulate.take import perform
from personare.study.access import open_ledger
from personare.study.parallel import Workers
from personare.study.plan import load_plan
from personare.study.run import run_study

PEOPLE = 12
SENTENCES = ("S1", "S2")
READERS = ("fixed_reader", "retrained_reader")


def simulated(root: Path, seed: int) -> Cohort:
    """Return the sound of the quick preset's cohort, made once."""
    if root.exists():
        return open_cohort(root)
    writer = CohortWriter(root, name="Sound alone", kind="synthetic")
    for who in (person(seed, number) for number in range(1, PEOPLE + 1)):
        for emotion in EMOTIONS:
            for sentence in SENTENCES:
                key = (who.subject, "01", f"{emotion}{sentence}")
                path = writer.path(key, "audio", ".wav")
                write(path, perform(who, emotion, sentence, seed=seed).sound)
                writer.add(
                    Recording(
                        id=recording_id(*key),
                        subject=who.subject,
                        session="01",
                        tracks={"audio": path.relative_to(root).as_posix()},
                        labels={"emotion": emotion, "sentence": sentence},
                    )
                )
    people = pd.Index([f"{number:02d}" for number in range(1, PEOPLE + 1)], name="subject")
    return writer.finish(pd.DataFrame(index=people))


def real(source: Path, root: Path) -> Cohort:
    """Import a published corpus, once."""
    if not root.exists():
        import_cohort(
            source,
            root,
            reader=source.name,
            consent_purposes=["evaluation"],
            check=check,
            extract_sound=extract_sound,
        )
    return open_cohort(root)


def figures(cohort: Cohort, out: Path) -> pd.DataFrame:
    """Return one row a release: share named by the strongest retrained attacker, and the best readers' recall."""
    plan, text = load_plan("quick")
    plan = replace(
        plan,
        releases=tuple(release for release in plan.releases if release.modalities == ("audio",)),
        models=(),
        representations=(),
        synthetic=(),
        transfer=(),
        utilities=("voice_emotion",),
    )
    run_study(cohort, plan, text, out, workers=Workers(quiet=True), ledger=open_ledger(None, cohort.root))
    rows = pd.read_parquet(out / "results.parquet")
    named = rows[(rows.method == "strongest") & (rows.figure == "top1") & (rows.attacker == "semi_informed")]
    recall = rows[(rows.question == "read") & (rows.figure == "uar")]
    columns = {"named": named.set_index("release").value}
    for reader in READERS:
        columns[reader] = recall[recall.attacker == reader].groupby("release").value.max()
    return pd.DataFrame(columns).loc[named.release]


def table(simulated: pd.DataFrame, reference: pd.DataFrame) -> str:
    """Return Markdown: both shares and their difference in points, and both recalls."""
    lines = [
        "| release | simulated, named | EmoDB, named | difference, points "
        "| simulated, recall fixed / retrained | EmoDB, recall fixed / retrained |",
        "|---" * 6 + "|",
    ]
    for release, made in simulated.iterrows():
        own = reference.loc[release]
        recalls = [" / ".join(f"{row[reader]:.2f}" for reader in READERS) for row in (made, own)]
        lines.append(
            f"| {release} | {made.named:.0%} | {own.named:.0%} | {100 * (made.named - own.named):+.0f} "
            f"| {recalls[0]} | {recalls[1]} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    data, work = Path(sys.argv[1]), Path(sys.argv[2])
    reference = figures(real(data / "emodb", work / "cohorts" / "emodb"), work / "runs" / "emodb")
    for seed in map(int, sys.argv[3:] or ["0"]):
        cohort = simulated(work / "cohorts" / f"simulated-{seed}", seed)
        print(f"\nSeed {seed}\n\n{table(figures(cohort, work / 'runs' / f'simulated-{seed}'), reference)}")
