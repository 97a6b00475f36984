"""How a model bears missing modalities and noise: the curves of accuracy, recall and calibration."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from personare.core.errors import OptionError
from personare.core.protocols import Predictor
from personare.core.types import Array, Batch, Result
from personare.evaluate.classification import Answers, overall

__all__ = ["judge_robustness", "with_missing", "with_noise"]

_FIGURES = ("accuracy", "uar", "ece")


def judge_robustness(
    predictor: Predictor,
    batch: Batch,
    *,
    missing: Sequence[float] = (0.0, 0.2, 0.5),
    snr_db: Sequence[float] = (20.0, 10.0, 0.0),
    rng: np.random.Generator,
) -> list[Result]:
    """Measure a model on recordings that lost a modality, and on noisy ones, one modality at a time.

    Args:
        predictor: The model.
        batch: Recordings of people it never met.
        missing: Shares of recordings from which the modality is taken.
        snr_db: Signal-to-noise ratios; text gets no noise.
        rng: Draws what is lost, noise and the bootstrap.

    Returns:
        Rows of the method ``robustness``: ``accuracy``, ``uar`` and ``ece`` of subsets such as ``audio_missing50`` and
        ``audio_snr10db``; the undisturbed figure is the baseline.

    Raises:
        OptionError: A share outside [0, 1].
    """
    whole = {r.figure: r.value for r in _judged(predictor, batch, "", rng)}
    rows: list[Result] = []
    for name, disturbed in _disturbed(batch, missing, snr_db, rng):
        rows += _judged(predictor, disturbed, name, rng)
    return [replace(r, baseline=whole[r.figure]) for r in rows]


def _disturbed(
    batch: Batch, missing: Sequence[float], snr_db: Sequence[float], rng: np.random.Generator
) -> Iterator[tuple[str, Batch]]:
    for modality, values in batch.arrays.items():
        for share in missing:
            yield f"{modality}_missing{share * 100:.0f}", with_missing(batch, modality, share, rng=rng)
        for ratio in snr_db if values.dtype.kind == "f" else ():
            yield f"{modality}_snr{ratio:.0f}db", with_noise(batch, modality, ratio, rng=rng)


def _judged(predictor: Predictor, batch: Batch, name: str, rng: np.random.Generator) -> list[Result]:
    found = overall(Answers.of(predictor(batch), batch, rng=rng), rng=rng)
    # the confusion matrix and the diagrams of every disturbance would fill the report
    columns = {"kind": "model", "method": "robustness", "subset": name, "detail": {}}
    return [replace(r, **columns) for r in found if r.figure in _FIGURES]  # type: ignore[arg-type]


def with_missing(batch: Batch, modality: str, share: float, *, rng: np.random.Generator) -> Batch:
    """Return the batch without a modality in a share of the recordings, drawn by chance.

    Example:
        >>> two = Batch(ids=("a", "b"), arrays={"x": np.ones((2, 1))}, present={"x": np.ones(2, dtype=bool)},
        ...     labels=np.zeros(2, int), classes=("c",), subjects=np.array(["a", "b"]))
        >>> with_missing(two, "x", 0.5, rng=np.random.default_rng(0)).arrays["x"].sum()
        np.float64(1.0)
    """
    if not 0 <= share <= 1:
        raise OptionError(f"The share of recordings without {modality} must be in [0, 1], given {share}.")
    lost = rng.permutation(len(batch))[: round(share * len(batch))]
    values, present = batch.arrays[modality].copy(), batch.present[modality].copy()
    values[lost], present[lost] = np.zeros(1, dtype=values.dtype)[0], False
    return _changed(batch, modality, values, present)


def with_noise(batch: Batch, modality: str, snr_db: float, *, rng: np.random.Generator) -> Batch:
    """Return the batch with Gaussian noise in one modality.

    A table's columns have their own units: noise is measured against each column's variance over the recordings. In
    signals, spectrograms and pictures it is measured against the variance within each recording.
    """
    values, present = batch.arrays[modality], batch.present[modality]
    if not present.any():
        return batch
    known = values[present].astype(float)
    axes = (0,) if values.ndim == 2 else tuple(range(1, values.ndim))
    spread = known.std(axis=axes, keepdims=True) * 10 ** (-snr_db / 20)
    noisy = values.copy()
    noisy[present] = known + spread * rng.standard_normal(known.shape)
    return _changed(batch, modality, noisy, present)


def _changed(batch: Batch, modality: str, values: Array, present: Array) -> Batch:
    arrays: Mapping[str, Array] = {**batch.arrays, modality: values}
    return replace(batch, arrays=arrays, present={**batch.present, modality: present})
