"""Measure how the drawn face must be moved so that a reader sees the wanted expression, and write the table of gains.

Nobody's recordings are involved: random expressions are drawn, read back by the Face Landmarker, and the readings are
regressed onto what was drawn. Run again after any change of ``features/avatar.py``:

    PERSONARE_MODELS=... python benchmarks/face_avatar_gains.py
"""

from pathlib import Path

import numpy as np
from sklearn.linear_model import Ridge

from personare.features import avatar
from personare.features.expression import BLENDSHAPES, FaceLandmarker
from personare.features.motion import MIRROR, symmetrize

_PICTURES = 5000
_SMALLEST = 0.05  # weaker couplings are left out


def main() -> None:
    """Write ``features/avatar_gains.toml``."""
    rng = np.random.default_rng(0)
    still = np.zeros(3)
    drawn = np.abs(rng.normal(0, 0.35, (_PICTURES, 52))) * (rng.random((_PICTURES, 52)) < 0.2)
    drawn = np.clip(np.where(rng.random((_PICTURES, 1)) < 0.8, symmetrize(drawn), drawn), 0, 1)
    face = avatar.Avatar(size=256)
    with FaceLandmarker() as landmarker:
        # Twice each, at a low rate, so that the tracker's own smoothing has settled.
        read, _ = landmarker.measure((face.draw(d, still) for d in drawn for _ in range(2)), rate_hz=5)
        rest, _ = landmarker.measure([face.draw(np.zeros(52), still)] * 10, rate_hz=5)
    read = read[1::2] - rest[-1]
    seen = ~np.isnan(read[:, 0])
    gains = Ridge(alpha=0.5, fit_intercept=False).fit(read[seen], drawn[seen]).coef_  # (drawn, read)
    gains = (gains + gains[np.ix_(MIRROR, MIRROR)]) / 2
    Path(avatar.__file__).with_name("avatar_gains.toml").write_text(_toml(gains), encoding="utf-8")
    print(f"{seen.sum()} of {_PICTURES} pictures read; {(np.abs(gains) > _SMALLEST).sum()} gains written")


def _toml(gains: np.ndarray) -> str:
    lines = ["# Written by benchmarks/face_avatar_gains.py: drawn shape = { wanted reading = gain }"]
    for name, row in zip(BLENDSHAPES, gains, strict=True):
        pairs = [f"{BLENDSHAPES[k]} = {row[k]:.2f}" for k in np.flatnonzero(np.abs(row) > _SMALLEST)]
        lines += [f"{name} = {{ {', '.join(pairs)} }}"] if pairs else []
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
