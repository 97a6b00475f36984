"""Prints whether representations fitted to emotion in CREMA-D serve another task, and other cohorts.

    python benchmarks/representations_transfer.py CREMA_D RAVDESS EMODB

The first cohort has the track ``logmel``, the others ``audio``, of which the same spectrograms are made. Emotions that
all three have are read. Half of the people of each cohort are known, the others are new; one split.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from personare.core.randomness import generator
from personare.core.types import Batch
from personare.data.cohort import open_cohort
from personare.data.splits import person_folds
from personare.evaluate.representations import transfer
from personare.features.audio import read as read_audio
from personare.features.batches import read_batch
from personare.features.mel_statistics import mel_statistics
from personare.features.voicing import mel_of
from personare.govern.ledger import Ledger
from personare.represent.adversarial import Adversarial
from personare.represent.bottleneck import Bottleneck
from personare.represent.leace import Leace
from personare.study.access import admit

EMOTIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
FRAMES = 188
RATE_HZ = 16000


def main() -> None:
    """Fit to the first cohort, read all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohorts", type=Path, nargs="+")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    tasks = {f"{path.name} emotion": halves(read(path, "emotion")) for path in asked.cohorts}
    first = asked.cohorts[0]
    tasks[f"{first.name} sentence"] = halves(read(first, "sentence"))
    known = tasks[f"{first.name} emotion"][0]
    methods = {"bottleneck vq 32": Bottleneck(codes=32), "adversarial 0": Adversarial(strength=0)}
    methods |= {"adversarial 1": Adversarial(strength=1), "leace": Leace()}
    watch = np.isin(known.subjects, np.unique(known.subjects)[::5])
    fitted = {
        name: method.fit(known.take(~watch), validation=known.take(watch), rng=generator(0, name))
        for name, method in methods.items()
    }
    print("| representation -> task | uar | 95 % | raw features | guessing |\n|---|---|---|---|---|")
    for name, transform in fitted.items():
        for task, sides in tasks.items():
            row = transfer(transform, *sides, rng=generator(0, "transfer", name, task))[0]
            said = f"{row.value:.2f} | {row.low:.2f}–{row.high:.2f} | {row.baseline:.2f} | {row.control:.2f}"
            print(f"| {name} -> {task} | {said} |", flush=True)


def read(path: Path, label: str) -> Batch:
    """Return recordings described by their spectrogram, as one table."""
    cohort = open_cohort(path)
    track = "logmel" if any("logmel" in r.tracks for r in cohort.recordings) else "audio"
    kept = [r for r in cohort.recordings if label != "emotion" or r.labels.get("emotion") in EMOTIONS]
    with tempfile.TemporaryDirectory() as scratch:
        recordings, sources, _ = admit(
            replace(cohort, recordings=tuple(kept)), [track], "training", Ledger(Path(scratch) / "ledger.sqlite")
        )
        if track == "logmel":
            batch, _ = read_batch(recordings, sources, label=label, modalities=["logmel"])
            return replace(batch, arrays={"voice": mel_statistics(batch.arrays["logmel"])}, present=_whole(batch))
        mels = np.stack([_mel(sources[r.id]["audio"]) for r in recordings])
    labels = [r.labels[label] for r in recordings]
    batch = Batch(
        ids=tuple(r.id for r in recordings),
        arrays={"voice": mel_statistics(mels[:, None])},
        present={},
        labels=np.array([EMOTIONS.index(name) for name in labels]),
        classes=EMOTIONS,
        subjects=np.array([r.subject for r in recordings]),
    )
    return replace(batch, present=_whole(batch))


def _whole(batch: Batch) -> dict[str, np.ndarray]:
    return {"voice": np.ones(len(batch), dtype=bool)}


def _mel(path: Path) -> np.ndarray:
    """Return (128, frames), each recording scaled to [0, 1] by itself as those of CREMA-D are."""
    sound = read_audio(path, rate_hz=RATE_HZ).values.mean(axis=1)
    mel = mel_of(sound, 128)[:, :FRAMES]
    mel = (mel - mel.min()) / max(float(np.ptp(mel)), 1e-9)
    return np.pad(mel, ((0, 0), (0, FRAMES - mel.shape[1]))).astype(np.float32)


def halves(batch: Batch) -> tuple[Batch, Batch]:
    """Return known people and new ones."""
    row = {name: i for i, name in enumerate(batch.ids)}
    subjects = dict(zip(batch.ids, map(str, batch.subjects), strict=True))
    known, new = person_folds(subjects, 2, rng=generator(0, "halves"))[0]
    return batch.take(np.array([row[i] for i in known])), batch.take(np.array([row[i] for i in new]))


if __name__ == "__main__":
    main()
