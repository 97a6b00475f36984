"""Real people are told from their background."""

from pathlib import Path

import numpy as np
import pytest

from personare.core.errors import MissingModelError
from personare.features import video
from personare.features.centerface import find_faces
from personare.features.models import find_model
from personare.features.person_segmentation import PersonSegmenter


def test_a_missing_model_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr("personare.features.models.platformdirs.user_cache_path", lambda _: tmp_path)
    monkeypatch.setattr("personare.features.models.installed", lambda _: [])
    monkeypatch.delenv("PERSONARE_MODELS", raising=False)
    with pytest.raises(MissingModelError, match="models fetch selfie_segmenter"), PersonSegmenter():
        pass


@pytest.mark.real
def test_a_face_and_the_hair_above_it_are_a_person_and_the_corners_are_none(real_data: Path):
    try:
        find_model("selfie_segmenter")
    except MissingModelError as error:
        pytest.skip(str(error))
    image = next(iter(video.read(real_data / "talking-faces/grid/lrwp9a.mpg")))[2]
    left, top, right, bottom = find_faces(image)[0, :4].round().astype(int)
    with PersonSegmenter() as segmenter:
        confidence = segmenter.confidence(image)
        nobody = segmenter.confidence(np.full_like(image, 90))
    assert confidence.shape == image.shape[:2]
    assert confidence[top:bottom, left:right].mean() > 0.9
    assert confidence[top - 5, (left + right) // 2] > 0.9
    assert max(confidence[0, 0], confidence[0, -1], nobody.mean()) < 0.1
