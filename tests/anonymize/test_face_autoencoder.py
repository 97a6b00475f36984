import numpy as np
import pytest

from personare.anonymize.face_autoencoder import FaceAutoencoder
from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.state import load_weights, restored, save_weights, state_of
from personare.core.types import Face, LocatedFrame

BOX = np.array([30.0, 20.0, 70.0, 75.0])
SMALL = {"size": 16, "latent": 8, "steps": 20, "batch": 16}


def clip(seed, count=12, faces=1, box=BOX):
    rng = generator(seed, "clip")
    located = tuple(Face(box=box, score=1.0, track=n) for n in range(faces))
    images = rng.integers(0, 255, (count, 96, 128, 3), dtype=np.uint8)
    return [LocatedFrame(index=i, time_s=i / 25, image=m, faces=located, certain=True) for i, m in enumerate(images)]


@pytest.fixture(scope="module")
def fitted():
    return FaceAutoencoder(**SMALL).fit([(str(s), clip(s)) for s in range(3)], rng=generator(0, "fit"))


def shown(method, frames, seed=0):
    return list(method(iter(frames), subject="01", rng=generator(seed, "t")))


def test_guarantee_nothing_of_the_face_is_seen_but_what_went_through_the_network(fitted):
    one = clip(5, count=1)[0]
    # Pictures that the network sees as the same, and that differ below its resolution, come out the same.
    image = np.full_like(one.image, 90)
    fine = image.copy()
    fine[::2, ::2], fine[1::2, 1::2] = 120, 60
    crops = [FaceAutoencoder(**SMALL).cut(i, one.faces[0]).astype(float) for i in (image, fine)]
    assert np.abs(crops[0] - crops[1]).max() < 10
    pictures = [
        shown(fitted, [LocatedFrame(index=0, time_s=0, image=i, faces=one.faces, certain=True)])[0]
        for i in (image, fine)
    ]
    left, top, right, bottom = BOX.astype(int)
    inside = [p[top:bottom, left:right].astype(float) for p in pictures]
    assert np.abs(inside[0] - inside[1]).max() < 12
    assert np.abs(fine[top:bottom, left:right].astype(float) - inside[1]).max() > 25


def test_one_picture_for_each_frame_and_the_rest_is_kept(fitted):
    frames = clip(6)
    pictures = shown(fitted, frames)
    assert [p.shape for p in pictures] == [f.image.shape for f in frames]
    assert np.array_equal(pictures[0][:, 110:], frames[0].image[:, 110:])


def test_plain_background_shows_nothing_else():
    method = FaceAutoencoder(**SMALL, background="plain").fit([("1", clip(1))], rng=generator(0, "fit"))
    picture = shown(method, clip(6))[0]
    assert (picture[:, 110:] == 128).all()


def test_several_faces_and_none_and_beyond_the_rim(fitted):
    assert len(shown(fitted, clip(6, faces=3))) == 12
    assert np.array_equal(shown(fitted, clip(6, faces=0))[0], clip(6)[0].image)
    assert len(shown(fitted, clip(6, box=np.array([-60.0, 60, -10, 120])))) == 12


def test_same_seed_same_release(fitted):
    once, again, other = (shown(fitted, clip(6), seed=s) for s in (1, 1, 2))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)


def test_saved_and_loaded_it_does_the_same(fitted, tmp_path):
    save_weights(tmp_path / "face.safetensors", *state_of(fitted))
    loaded = restored(FaceAutoencoder(), *load_weights(tmp_path / "face.safetensors"))
    assert loaded.method == fitted.method
    assert np.array_equal(shown(loaded, clip(6)), shown(fitted, clip(6)))


def test_another_file_is_refused():
    with pytest.raises(DataError, match="not the state of what FaceAutoencoder fits"):
        restored(FaceAutoencoder(), {}, {"a": "1"})


def test_it_refuses_before_it_was_fitted_and_without_faces():
    with pytest.raises(DataError, match="fitted on other people"):
        shown(FaceAutoencoder(), clip(1))
    with pytest.raises(DataError, match="no face"):
        FaceAutoencoder().fit([("1", clip(1, faces=0))], rng=generator(0, "fit"))


def test_a_fair_sample_of_all_faces_in_bounded_memory():
    method = FaceAutoencoder(**SMALL, most_crops=10)
    crops = method._crops(((str(s), clip(s, count=60)) for s in range(4)), generator(0, "c"))
    assert crops.shape == (10, 16, 16, 3)


def test_gray():
    method = FaceAutoencoder(**SMALL, color="gray").fit([("1", clip(1))], rng=generator(0, "fit"))
    picture = shown(method, clip(6))[0][40:50, 45:55]
    assert np.ptp(picture.astype(int), axis=2).max() <= 1


@pytest.mark.parametrize(
    "options",
    [
        {"mask": 1.0},
        {"noise": -1},
        {"steps": 0},
        {"size": 10},
        {"latent": 0},
        {"color": "red"},
        {"background": "x"},
        {"enlarge": -1},
        {"most_crops": 0},
        {"learning_rate": 0},
    ],
)
def test_options_out_of_range(options):
    with pytest.raises(OptionError):
        FaceAutoencoder(**options)


def test_nothing_is_learned_where_no_face_was_found():
    with pytest.raises(DataError, match="no face was found"):
        FaceAutoencoder(**SMALL).fit([("1", clip(1, faces=0))], rng=generator(0, "fit"))
