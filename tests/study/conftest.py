"""Small cohorts that the tests of the study share."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from personare.core.randomness import generator
from personare.core.types import Cohort, Recording, Signal
from personare.data.cohort import CohortWriter, recording_id
from personare.evaluate import networks
from personare.features import audio
from personare.govern.consent import consent_all
from personare.simulate.cohort import simulate_cohort


@pytest.fixture(scope="module", autouse=True)
def _networks_of_a_moment() -> Iterator[None]:
    """Judge with networks that learn next to nothing: how well they read and attack is asked in tests/evaluate."""
    real = networks.train
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "train", lambda *given, steps, **how: real(*given, steps=min(steps, 5), **how))
        yield


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Three people, two emotions, two sentences: twelve recordings."""
    root = tmp_path_factory.mktemp("made-up") / "cohort"
    return simulate_cohort(root, people=3, emotions=("happiness", "anger"), sentences=2, seed=1, size=160, rate_hz=10)


@pytest.fixture
def small_plan(tmp_path: Path) -> Path:
    """Two releases and one attack: seconds, not minutes."""
    plan = tmp_path / "study.toml"
    plan.write_text(
        'attacks = ["voice_gmm"]\nutilities = ["prosody"]\n'
        '[[releases]]\nname = "noisy"\nvoice = "voice_noise"\n'
        '[[releases]]\nname = "mcadams"\nvoice = "voice_mcadams"\n'
    )
    return plan


def write_speakers(
    root: Path, *, people: int = 8, each: int = 4, tracks: Sequence[str] = ("audio", "eda"), **about: str
) -> Cohort:
    """Write people who hum at a pitch of their own, louder when happy, and what was measured of it."""
    rng, subjects = generator(3, "speakers"), [f"{n + 1:02d}" for n in range(people)]
    writer = CohortWriter(root, name="Speakers")
    for number, subject in enumerate(subjects):
        own = rng.standard_normal(4)
        for take in range(each):
            happy, name = take % 2, (subject, "01", f"take{take}")
            files = {track: writer.path(name, track, {"audio": ".wav"}.get(track, ".npy")) for track in tracks}
            if "audio" in files:
                t = np.arange(12800) / 16000
                hum = sum(np.sin(2 * np.pi * (100 + 12 * number) * k * t) / k for k in range(1, 12))
                values = (0.02 * (1 + 4 * happy) * hum + 0.001 * rng.standard_normal(len(t)))[:, None]
                audio.write(files["audio"], Signal(values=values.astype(np.float32), rate_hz=16000))
            for track in {*files} - {"audio"}:
                np.save(files[track], (own + 3 * happy + rng.standard_normal(4)).astype(np.float32))
            labels = {"emotion": ("anger", "happiness")[happy], "sentence": f"S{take // 2}", **about}
            paths = {track: path.relative_to(root).as_posix() for track, path in files.items()}
            own_id = recording_id(*name)
            writer.add(Recording(id=own_id, subject=subject, session="01", tracks=paths, labels=labels))
    table = pd.DataFrame({"sex": np.resize(["F", "M"], people), "age": 30.0}, index=subjects)
    return writer.finish(table, consent_all(subjects, ["training", "evaluation"]))


@pytest.fixture(scope="session")
def speakers() -> Callable[..., Cohort]:
    """Write such people into a folder."""
    return write_speakers
