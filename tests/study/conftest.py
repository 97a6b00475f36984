"""A small made-up cohort that the tests of the study share."""

from pathlib import Path

import pytest

from personare.core.types import Cohort
from personare.simulate.cohort import simulate_cohort


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Three people, two emotions, two sentences: twelve recordings."""
    root = tmp_path_factory.mktemp("made-up") / "cohort"
    return simulate_cohort(root, people=3, emotions=("happiness", "anger"), sentences=2, seed=1, size=160)


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
