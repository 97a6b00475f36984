"""What privacy costs on real voices, the tables of docs/results.md: benchmarks/crema_private.py DATA [TABLE ...].

DATA has ``crema-d``, ``ravdess`` and ``emodb``; as many actors of CREMA-D are used as are there. Tables: ``clips``
(one clip protected), ``people`` (one person protected), ``needed`` (how many people that takes), ``open`` (no privacy).
Options of the learner are its own defaults; they were chosen on other random splits of 40 of the actors.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from sklearn.svm import SVC

from personare.core.randomness import generator
from personare.core.types import Array, Batch
from personare.data.readers.crema_d import CremaD
from personare.data.readers.emodb import EmoDb
from personare.data.readers.ravdess import Ravdess
from personare.data.splits import k_folds_with_validation, leaky_random_9_1
from personare.evaluate.classification import EQUAL_WIDTH, calibration_error, calibration_parts
from personare.features.mel_statistics import mel_statistics, vary_mel
from personare.learn.accounting import epsilon_of, noise_for
from personare.train.private_head import PrivateHead

SEEDS = 10
EPSILONS = (1.0, 2.0, 4.0, 8.0)
COPIES = 4
# Few people pay for few steps and few numbers; the mean gradient of a person is short
FOR_PEOPLE = {"unit": "person", "steps": 10, "components": 16, "discriminants": 5, "clip_norm": 0.1, "momentum": 0.5}
FOR_PEOPLE |= {"learning_rate": 25.0}
PEOPLE_NEEDED = (32, 73, 150, 300, 1000, 3000)
CLASSES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
FEW = 5  # how often people are split anew


def mel_filters(bands: int = 128, rate_hz: int = 16000, size: int = 1024) -> Array:
    """Return Slaney's mel filters (bands, size / 2 + 1), as CREMA-D's spectrograms were made with."""
    top = 15 + 27 * np.log(rate_hz / 2000) / np.log(6.4)
    mel = np.linspace(0, top, bands + 2)
    edges = np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))
    ramps = edges[:, None] - np.linspace(0, rate_hz / 2, size // 2 + 1)
    steps = np.diff(edges)[:, None]
    filters = np.maximum(0, np.minimum(-ramps[:-2] / steps[:-1], ramps[2:] / steps[1:]))
    return filters * 2 / (edges[2:] - edges[:-2])[:, None]


def log_mel(samples: Array, filters: Array) -> Array:
    """Return (1, 128, 188) of the first 3 s of speech at 16 kHz, 0 to 1 over 80 dB."""
    loud = np.convolve(samples**2, np.ones(400), "same")
    first = int(np.argmax(loud > 1e-3 * loud.max()))  # a take may begin with a second of silence
    speech = samples[max(0, first - 3200) :][:48000]
    padded = np.pad(speech, (512, 512 + 48000 - len(speech)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, 1024)[::256] * np.hanning(1025)[:-1]
    level = 10 * np.log10(np.maximum(filters @ np.abs(np.fft.rfft(frames)).T ** 2, 1e-10))
    level = np.maximum(level - level.max(), -80)
    return (1 - level / level.min())[None].astype(np.float32)


def public_people(data: Path) -> Batch:
    """Describe RAVDESS and EmoDB, as they are and as they might have been: they stand for people nobody protects."""
    filters, rng = mel_filters(), generator(0, "variations")
    names, speech, people = [], [], []
    for folder, reader in (("ravdess", Ravdess()), ("emodb", EmoDb())):
        for recording in reader(data / folder)[0]:
            path = data / folder / recording.tracks.get("audio", "")
            if path.suffix == ".flac":
                names.append(f"{folder} {recording.labels['emotion']}")
                people.append(f"{folder} {recording.subject}")
                speech.append(log_mel(soundfile.read(path)[0], filters))
    mel = np.stack(speech)
    rows = [mel_statistics(mel), *(mel_statistics(vary_mel(mel, rng=rng)) for _ in range(COPIES))]
    return table(np.concatenate(rows), names * len(rows), people * len(rows), sorted(set(names)))


def actors(data: Path) -> tuple[Batch, Array]:
    """Describe CREMA-D's spectrograms, and return the acoustic statistics beside (rows of NaN where there are none)."""
    source = data / "crema-d"
    recordings = [r for r in CremaD()(source)[0] if "logmel" in r.tracks]
    mel = np.stack([spectrogram(source, r.tracks["logmel"]) for r in recordings])
    made = CremaD().make(source)
    rows_of = [r.tracks["acoustics"].split("#") if "acoustics" in r.tracks else None for r in recordings]
    acoustics = [np.ravel(made(*row).values) if row else None for row in rows_of]
    size = max(len(row) for row in acoustics if row is not None)
    rows = np.array([np.full(size, np.nan) if row is None else row for row in acoustics], np.float32)
    labels = [r.labels["emotion"] for r in recordings]
    return table(mel_statistics(mel), labels, [r.subject for r in recordings], CLASSES), rows


def spectrogram(source: Path, address: str) -> Array:
    """Return (1, F, T), 0 to 1."""
    file, _, clip = address.partition("#")
    with np.load(source / file) as arrays:
        return arrays[clip][None].astype(np.float32) / 255


def table(rows: Array, names: Sequence[str], people: Sequence[str], classes: Sequence[str]) -> Batch:
    """Return descriptions as a batch of one modality."""
    return Batch(
        ids=tuple(f"{i}" for i in range(len(rows))),
        arrays={"speech": rows},
        present={"speech": np.ones(len(rows), dtype=bool)},
        labels=np.array([list(classes).index(name) for name in names]),
        classes=tuple(classes),
        subjects=np.array(people),
    )


def clip_splits(batch: Batch) -> Iterator[tuple[Array, Array]]:
    """Yield training and test rows of ``leaky_random_9_1``, once a seed."""
    for seed in range(SEEDS):
        split = leaky_random_9_1(batch.ids, rng=generator(seed, "split"))
        yield np.array([int(i) for i in split.train]), np.array([int(i) for i in split.test])


def people_splits(batch: Batch, *, repeats: int = FEW) -> Iterator[tuple[Array, Array]]:
    """Yield training and test rows of five folds of people, drawn anew each time."""
    subjects = dict(zip(batch.ids, batch.subjects.tolist(), strict=True))
    for seed in range(repeats):
        for split in k_folds_with_validation(subjects, 5, rng=generator(seed, "folds")):
            train = np.array([int(i) for i in (*split.train, *split.validation)])  # nothing is chosen on validation
            yield train, np.array([int(i) for i in split.test])


def measured(
    learner: PrivateHead, batch: Batch, public: Batch | None, splits: Sequence[tuple[Array, Array]]
) -> tuple[dict[str, float], Array]:
    """Return accuracy (mean and 95 % interval over splits), recall and calibration, and the accuracy of each split."""
    inside = np.zeros((len(splits), len(batch)), dtype=bool)
    for row, (train, _) in zip(inside, splits, strict=True):
        row[train] = True
    models = learner.fit_many(batch, inside, rng=generator(1, "noise"), public=public)
    answers = [model(batch)[test] for model, (_, test) in zip(models, splits, strict=True)]
    truths = [batch.labels[test] for _, test in splits]
    right = [a.argmax(axis=1) == t for a, t in zip(answers, truths, strict=True)]
    return figures(answers, truths), np.array([r.mean() for r in right])


def figures(answers: Sequence[Array], truths: Sequence[Array]) -> dict[str, float]:
    """Return the figures of answers to several test sets."""
    right = [a.argmax(axis=1) == t for a, t in zip(answers, truths, strict=True)]
    scores = np.array([r.mean() for r in right])
    recalls = [np.mean([r[t == c].mean() for c in np.unique(t)]) for r, t in zip(right, truths, strict=True)]
    sure, hit = np.concatenate([a.max(axis=1) for a in answers]), np.concatenate(right)
    return {
        "accuracy": scores.mean(),
        "+-": interval(scores),
        "UAR": float(np.mean(recalls)),
        "ECE": ece(sure, hit),
        "ECE a split": float(np.mean([ece(a.max(axis=1), r) for a, r in zip(answers, right, strict=True)])),
        "ConfAcc_Low": hit[sure <= 0.5].mean() if (sure <= 0.5).any() else float("nan"),
    }


def interval(scores: Array) -> float:
    """Return half the 95 % interval of a mean over splits."""
    return float(1.96 * scores.std(ddof=1) / np.sqrt(len(scores)))


def ece(sure: Array, hit: Array) -> float:
    """Return the expected calibration error over 15 bins of equal width."""
    return float(calibration_error(calibration_parts(sure, hit, EQUAL_WIDTH).sum(axis=0)))


def clips(batch: Batch, public: Batch) -> pd.DataFrame:
    """One clip is protected; speakers are shared by training and test, as in published tables."""
    return by_epsilon(batch, public, list(clip_splits(batch)), {"unit": "recording"}, delta=1e-5)


def people(batch: Batch, public: Batch) -> pd.DataFrame:
    """One person is protected; test people are new."""
    delta = 0.1 / len(np.unique(batch.subjects))
    return by_epsilon(batch, public, list(people_splits(batch)), FOR_PEOPLE, delta=delta)


def by_epsilon(
    batch: Batch, public: Batch, splits: Sequence[tuple[Array, Array]], options: Mapping[str, Any], *, delta: float
) -> pd.DataFrame:
    """Return figures by epsilon; ``loss`` is against the same features without privacy, split by split."""
    rows, free = {}, np.zeros(0)
    for epsilon, known in [(None, public), *((e, public) for e in EPSILONS), (1.0, None)]:
        found, scores = measured(PrivateHead(epsilon=epsilon, delta=delta, **options), batch, known, splits)
        free = scores if epsilon is None else free
        found |= {"loss": float((free - scores).mean()), "+- loss": interval(free - scores)}
        rows[f"epsilon {epsilon or 'none'}{'' if known else ', nobody public'}"] = found
    return pd.DataFrame(rows).T


def needed(batch: Batch, public: Batch) -> pd.DataFrame:
    """Accuracy that the noise of more people would leave on these people's data.

    Everything is trained on the same people as in ``people``; only the noise is that of N people in training and of
    delta = 0.1 / N. More people would also bring more data: the curve says what noise takes, and no more.
    """
    splits = list(people_splits(batch))
    own = len(np.unique(batch.subjects[splits[0][0]]))
    rows: dict[str, dict[str, float]] = {}
    for epsilon in EPSILONS[:-1]:
        for count in PEOPLE_NEEDED:
            steps = int(FOR_PEOPLE["steps"]) + 1  # the mean is one
            noise = noise_for(epsilon, 1.0, steps, 0.1 / count) * own / count
            same = min(epsilon_of(noise, 1.0, steps, 0.1 / own), 100.0)
            found, _ = measured(PrivateHead(epsilon=same, delta=0.1 / own, **FOR_PEOPLE), batch, public, splits)
            rows.setdefault(f"epsilon {epsilon}", {})[f"{count} people"] = found["accuracy"]
    return pd.DataFrame(rows).T


def unprotected(batch: Batch, acoustics: Array) -> pd.DataFrame:
    """No privacy; test people are new, and the penalty is chosen on validation people."""
    subjects = dict(zip(batch.ids, batch.subjects.tolist(), strict=True))
    speech, answers = batch.arrays["speech"], {"spectrogram": [], "spectrogram and acoustic table": []}
    both = np.concatenate([speech, np.nan_to_num(acoustics)], axis=1)
    for seed in range(FEW):
        for split in k_folds_with_validation(subjects, 5, rng=generator(seed, "folds")):
            parts = [np.array([int(i) for i in ids]) for ids in (split.train, split.validation, split.test)]
            for name, rows in zip(answers, (speech, both), strict=True):
                answers[name].append(machine(rows, batch.labels, parts))
    return pd.DataFrame({name: summary(np.array(found), seeds=FEW) for name, found in answers.items()}).T


def machine(rows: Array, labels: Array, parts: Sequence[Array]) -> float:
    """Return the recall (mean over classes) of a support vector machine on the last part."""
    train, validation, test = parts
    center, spread = rows[train].mean(axis=0), rows[train].std(axis=0) + 1e-6
    rows = (rows - center) / spread

    def recall(penalty: float, asked: Array) -> float:
        made = SVC(C=penalty, gamma=0.5 / rows.shape[1]).fit(rows[train], labels[train])
        right = made.predict(rows[asked]) == labels[asked]
        return float(np.mean([right[labels[asked] == c].mean() for c in np.unique(labels)]))

    best = max((1.0, 4.0), key=lambda penalty: recall(penalty, validation))
    return recall(best, test)


def summary(found: Array, *, seeds: int) -> dict[str, float]:
    """Return the mean, and the 95 % interval over seeds: folds of one seed test each person once."""
    means = found.reshape(seeds, -1).mean(axis=1)
    return {"UAR": means.mean(), "+- seeds": 1.96 * means.std(ddof=1) / np.sqrt(seeds), "fold std": found.std(ddof=1)}


def main(data: Path, tables: Sequence[str]) -> None:
    """Print the tables asked for, all of them if none is named."""
    batch, acoustics = actors(data)
    public = public_people(data)
    print(f"{len(batch)} clips of {len(np.unique(batch.subjects))} actors, {len(public)} public rows\n")
    made = {
        "clips": lambda: clips(batch, public),
        "people": lambda: people(batch, public),
        "needed": lambda: needed(batch, public),
        "open": lambda: unprotected(batch, acoustics),
    }
    for name in tables or made:
        print(f"### {name}\n\n{made[name]().round(3).to_string()}\n", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
