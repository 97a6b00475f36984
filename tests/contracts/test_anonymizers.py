"""Every file of ``anonymize`` keeps the contract: new signal out, same shape, nothing passed through."""

import numpy as np
import pytest

from personare.core import registry
from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.types import Face, LocatedFrame, Signal

PACKAGE = "personare.anonymize"
METHODS = registry.find(PACKAGE)
VOICES = [name for name in METHODS if name.startswith("voice_")]
WORDLESS = [name for name in VOICES if not getattr(registry.load(PACKAGE, name), "needs_words", False)]
FACES = [name for name in METHODS if name.startswith("face_")]


def speech(rate_hz: float, seconds: float, channels: int = 1, pitch_hz: float = 120.0) -> Signal:
    """A buzz with a moving formant: enough like a voice for every analysis to find something."""
    t = np.arange(int(rate_hz * seconds)) / rate_hz
    buzz = sum(np.sin(2 * np.pi * pitch_hz * k * t) / k for k in range(1, 20))
    swing = 1 + 0.5 * np.sin(2 * np.pi * 3 * t)
    values = 0.1 * np.asarray(buzz) * swing + 0.001 * generator(0, "breath").standard_normal(len(t))
    return Signal(values=np.repeat(values[:, None], channels, axis=1).astype(np.float32), rate_hz=rate_hz)


def fitted(method, background):
    if getattr(method, "fit_on", "nothing") == "nothing":
        return method
    return method.fit(background, rng=generator(0, "fit"))


def voice(name):
    people = [
        ("01", speech(16000, 1.0)),
        ("02", speech(16000, 1.0, pitch_hz=210)),
        ("03", speech(16000, 1.0, pitch_hz=160)),
    ]
    return fitted(registry.create(PACKAGE, name), iter(people))


@pytest.mark.parametrize("name", WORDLESS)
@pytest.mark.parametrize(("rate_hz", "channels"), [(16000, 1), (44100, 2)])
def test_voice_keeps_rate_length_channels_and_loudness(name, rate_hz, channels):
    before = speech(rate_hz, 1.0, channels)
    after = voice(name)(before, rng=generator(1, name))
    assert after.rate_hz == rate_hz
    assert after.values.shape == before.values.shape
    assert after.values.dtype == np.float32
    assert np.isfinite(after.values).all()
    assert np.abs(after.values).max() <= 1
    level = [20 * np.log10(np.sqrt(np.mean(s.values**2))) for s in (before, after)]
    assert abs(level[0] - level[1]) < 1.5


@pytest.mark.parametrize("name", WORDLESS)
def test_voice_comes_out_new_and_reproducible(name):
    before = speech(16000, 1.0)
    method = voice(name)
    once, again = (method(before, rng=generator(1, name)) for _ in range(2))
    assert np.array_equal(once.values, again.values)
    assert np.corrcoef(once.values[:, 0], before.values[:, 0])[0, 1] < 0.999


@pytest.mark.parametrize("name", WORDLESS)
@pytest.mark.parametrize("seconds", [0.1, 0.5])
def test_voice_survives_silence_and_short_sound(name, seconds):
    silent = Signal(values=np.zeros((int(16000 * seconds), 1), dtype=np.float32), rate_hz=16000)
    for before in (silent, speech(16000, seconds)):
        after = voice(name)(before, rng=generator(1, name))
        assert after.values.shape == before.values.shape
        assert np.isfinite(after.values).all()


@pytest.mark.parametrize("name", sorted({*VOICES} - {*WORDLESS}))
def test_voice_that_needs_words_withholds_a_recording_without(name):
    silent = Signal(values=np.zeros((16000, 1), dtype=np.float32), rate_hz=16000)
    with pytest.raises(DataError, match="words"):
        voice(name)(silent, rng=generator(1, name))


def portrait(seed: int, index: int, found: bool = True, certain: bool = True) -> LocatedFrame:
    """A noisy picture with a box and a plausible mesh: an ellipse of points."""
    rng = generator(seed, "picture")
    image = rng.integers(0, 255, (96, 128, 3), dtype=np.uint8)
    angle = np.linspace(0, 20 * np.pi, 478)
    radius = np.linspace(0.05, 1, 478)
    mesh = np.stack([64 + 25 * radius * np.cos(angle), 48 + 30 * radius * np.sin(angle), 0 * angle], axis=1)
    shapes = np.clip(0.3 + 0.2 * np.sin(index / 3 + np.arange(52)), 0, 1)
    face = Face(
        box=np.array([39.0, 18.0, 89.0, 78.0], dtype=np.float32),
        score=0.9,
        track=0,
        landmarks=mesh.astype(np.float32),
        blendshapes=shapes.astype(np.float32),
        pose=np.eye(4, dtype=np.float32),
    )
    return LocatedFrame(index=index, time_s=index / 25, image=image, faces=(face,) if found else (), certain=certain)


def face(name):
    people = [(f"{n:02d}", [portrait(n, i) for i in range(8)]) for n in range(6)]
    return fitted(registry.create(PACKAGE, name), iter(people))


@pytest.mark.slow
@pytest.mark.parametrize("name", FACES)
def test_face_gives_one_frame_for_each_and_hides_the_face(name):
    frames = [portrait(1, i) for i in range(6)]
    shown = list(face(name)(iter(frames), subject="01", rng=generator(1, name)))
    assert len(shown) == len(frames)
    for before, after in zip(frames, shown, strict=True):
        assert after.shape == before.image.shape
        assert after.dtype == np.uint8
        inner = (slice(30, 66), slice(48, 80))
        changed = np.abs(after[inner].astype(int) - before.image[inner].astype(int)).mean()
        assert changed > 20, "the face is still there"


@pytest.mark.parametrize("name", [*VOICES, *FACES])
def test_its_file_says_whether_it_works_alone(name):
    method = registry.create(PACKAGE, name)
    works = getattr(method, "fit_on", "nothing") == "nothing" or getattr(method, "works_alone", False)
    assert METHODS[name].alone == works


@pytest.mark.parametrize("name", [*VOICES, *FACES])
def test_says_what_happens_in_one_line_and_refuses_unknown_options(name):
    assert METHODS[name].summary.endswith(".")
    with pytest.raises(OptionError, match="no option"):
        registry.create(PACKAGE, name, {"nonsense": 1})
