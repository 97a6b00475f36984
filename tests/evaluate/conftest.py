"""Made-up evidence with planted identity and planted emotion, so that attacks and readers have a known answer."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from personare.core.types import Batch

EMOTIONS = ("anger", "happiness", "sadness")
SENTENCES = ("DFA", "IEO")


def planted(
    *, identity: float = 2.0, emotion: float = 2.0, people: int = 8, seed: int = 0, shift: int = 0, noise: int = 0
) -> Batch:
    """Batch of people who look and sound like themselves as far as ``identity``, and feel as far as ``emotion``.

    With ``shift``, everybody sounds and looks like the person ``shift`` places on. ``noise`` changes the noise alone.
    """
    who = np.random.default_rng(seed)
    persons = who.standard_normal((people, 400))
    feelings = who.standard_normal((len(EMOTIONS), 400))
    courses = who.standard_normal((len(SENTENCES), 10, 64))
    rng = np.random.default_rng(1000 + seed + noise)
    rows, views = [], {v: {} for v in ("mfcc", "logmel", "functionals", "prosody", "crops", "frames", "blendshapes")}
    views |= {"landmarks": {}, "waveform": {}, "faces112": {}}
    for p in range(people):
        for e, feeling in enumerate(EMOTIONS):
            for s, sentence in enumerate(SENTENCES):
                name = f"sub-{p:02d}_{feeling}_{sentence}"
                rows.append(
                    {
                        "id": name,
                        "subject": f"{p:02d}",
                        "session": "01",
                        "emotion": feeling,
                        "sentence": sentence,
                        "sex": "FM"[p % 2],
                        "age": 20.0 + 5 * p,
                    }
                )
                me, mood = identity * persons[(p + shift) % people], emotion * feelings[e]
                for view, array in _views(me, mood, courses[s], rng).items():
                    views[view][name] = array
    return Batch.of(pd.DataFrame(rows).set_index("id"), views)


def _views(me, mood, course, rng):
    noise = rng.standard_normal
    frames = 80
    spoken = np.repeat(course, 8, axis=0)
    face = 12 * (me[:256] + mood[:256]).reshape(16, 16)
    small = np.clip(128 + face[None] + 12 * noise((4, 16, 16)), 0, 255)
    crops = np.repeat(np.repeat(small, 2, axis=1), 2, axis=2)[..., None].repeat(3, axis=3).astype(np.uint8)
    sway = np.cumsum(noise((30, 52)), axis=0)
    return {
        "mfcc": (me[:38] + 2 * noise((frames, 38))).astype(np.float32),
        "logmel": (-40 + 6 * spoken + 3 * me[:64] + 3 * mood[:64] + 3 * noise((frames, 64))).astype(np.float32),
        "functionals": (me[None, :40] + mood[None, :40] + noise((1, 40))).astype(np.float32),
        "prosody": np.column_stack([200 + 20 * np.sin(np.arange(frames) / 9 + 3 * noise()), -30 + 3 * noise(frames)]),
        "crops": crops,
        "frames": np.roll(crops, 3, axis=1),
        "blendshapes": 0.5 + 0.1 * (me[:52] + mood[:52]) + 0.015 * sway,
        "landmarks": (0.1 * (me[:40] + mood[:40]) + 0.05 * noise((30, 40))).reshape(30, 20, 2),
        "waveform": (0.1 * noise(400)).astype(np.float16),
        "faces112": np.kron(crops, np.ones((1, 4, 4, 1), dtype=np.uint8))[:, :112, :112],
    }


@pytest.fixture(scope="session")
def plant() -> Callable[..., Batch]:
    """Makes evidence; see ``planted``."""
    return planted


@pytest.fixture(scope="session")
def people() -> Batch:
    """Eight people who can be named and whose emotion can be read."""
    return planted()


@pytest.fixture(scope="session")
def nobody() -> Batch:
    """The same recordings with nothing left of the people in them."""
    return planted(identity=0.0, noise=7)
