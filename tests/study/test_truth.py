"""What was set in made-up people, asked of a release: the action units are kept, the person's geometry is gone."""

from functools import partial

import numpy as np
import pytest

from personare.anonymize._video import anonymize_video
from personare.core import registry
from personare.core.randomness import generator
from personare.features import video
from personare.features.expression import BLENDSHAPES, FaceLandmarker, normalize_landmarks
from personare.features.locations import locate_live

SMILE = [BLENDSHAPES.index(name) for name in ("mouthSmileLeft", "mouthSmileRight")]


def read(path):
    with FaceLandmarker() as landmarker:
        shapes, mesh = landmarker.measure((image for _, _, image in video.read(path)), rate_hz=10)
    return shapes, np.nanmean(normalize_landmarks(mesh), axis=0)


@pytest.fixture(scope="module")
def released(made_up, tmp_path_factory):
    """One happy recording each of two people, original and as an avatar: blendshapes, mean geometry, truth of AU12."""
    group = (
        (r.subject, locate_live(video.read(made_up.root / r.tracks["video"]), mesh=True)) for r in made_up.recordings
    )
    mask = registry.create("personare.anonymize", "face_avatar").fit(group, rng=generator(0, "fit"))
    folder = tmp_path_factory.mktemp("avatars")
    found = []
    for recording in [r for r in made_up.recordings if r.labels["emotion"] == "happiness"][::2][:2]:
        source = made_up.root / recording.tracks["video"]
        target = folder / f"{recording.id}.mp4"
        locate = partial(locate_live, mesh=True)
        rng = generator(0, recording.id)
        anonymize_video(source, target, mask, subject=recording.subject, rng=rng, locate=locate, sound=None)
        truth = np.load(made_up.root / recording.tracks["truth"], allow_pickle=False)
        au12 = truth["action_units"][:, list(truth["action_unit_names"]).index("AU12")]
        found.append((read(source), read(target), au12))
    return found


@pytest.mark.slow
def test_the_avatar_smiles_when_the_person_was_told_to(released):
    for _, (shapes, _), au12 in released:
        smile = shapes[:, SMILE].mean(axis=1)
        known = ~np.isnan(smile)
        assert known.mean() > 0.9
        assert np.corrcoef(smile[known], au12[: len(smile)][known])[0, 1] > 0.8


@pytest.mark.slow
def test_two_people_have_one_face_after_and_two_before(released):
    (one, one_after, _), (other, other_after, _) = released
    apart = [np.linalg.norm(a[1] - b[1], axis=1).mean() for a, b in ((one, other), (one_after, other_after))]
    assert apart[1] < 0.6 * apart[0]
