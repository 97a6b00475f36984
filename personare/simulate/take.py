"""One take of a made-up person: what is said, shown, heard and felt at once, and the truth about it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from personare.core.errors import OptionError
from personare.core.randomness import generator
from personare.core.types import Array, Signal
from personare.simulate.expression import ACTION_UNITS, feel, move
from personare.simulate.face import Painter, Scene, draw_scene
from personare.simulate.people import EMOTIONS, Person, person
from personare.simulate.sentences import speak
from personare.simulate.voice import intend, say


@dataclass(frozen=True, kw_only=True)
class Take:
    """A performed sentence, not yet painted."""

    person: Person
    emotion: str
    sentence: str
    seed: int
    scene: Scene
    text: str
    sound: Signal  # exactly as long as the pictures
    physio: Array  # (N, 2), see ``feel``
    truth: Mapping[str, Array]  # everything that was set, by name; no array holds objects

    def pictures(self, size: int, frames: range | None = None) -> Iterator[Array]:
        """Yield all or some frames, uint8 RGB (size, size, 3)."""
        truth = self.truth
        painter = Painter(
            self.person,
            self.scene,
            size=size,
            own=generator(self.seed, "skin", self.person.subject),
            take=generator(self.seed, "camera", self.person.subject, self.emotion, self.sentence),
        )
        for index in frames or range(len(truth["pose"])):
            yield painter.paint(
                dict(zip(ACTION_UNITS, truth["action_units"][index].astype(float).tolist(), strict=True)),
                rounding=float(truth["lip_rounding"][index]),
                pose=truth["pose"][index],
                gaze=truth["gaze"][index],
                frame=index,
            )

    def apex(self, size: int) -> Array:
        """Return the frame of the middle half, where the expression is strongest, that speech and blinks move least."""
        moved = self.truth["action_units"][:, [ACTION_UNITS.index("AU26"), ACTION_UNITS.index("AU45")]].sum(axis=1)
        first = len(moved) // 4
        best = first + int(moved[first : 3 * len(moved) // 4].argmin())
        return next(self.pictures(size, range(best, best + 1)))


def perform(person: Person, emotion: str, sentence: str, *, seed: int, rate_hz: float = 25) -> Take:
    """Let a person say a sentence (``S1`` to ``S4``) with an emotion; the same arguments always give the same take."""
    if emotion not in EMOTIONS:
        raise OptionError(f"There is no emotion '{emotion}' here. Choose one of: {', '.join(EMOTIONS)}.")

    def chance(part: str) -> np.random.Generator:
        return generator(seed, part, person.subject, emotion, sentence)

    strength = float(chance("strength").uniform(0.6, 1.15))
    prosody = intend(emotion, strength=strength, rng=chance("prosody"))
    said = speak(sentence, voice=person.voice, rate=prosody.rate, rng=chance("words"))
    walls = generator(seed, "walls", person.subject)
    speech, heard = say(said, person.voice, prosody, room=person.room, walls=walls, rng=chance("voice"))
    shown = move(emotion, said, person.style, strength=strength, rate_hz=rate_hz, rng=chance("face"))
    physio, felt = feel(emotion, person.body, strength=strength, duration_s=said.duration_s, rng=chance("body"))
    scene = draw_scene(chance("scene"))
    sound = np.zeros((round(len(shown["pose"]) / rate_hz * speech.rate_hz), 1), dtype=np.float32)
    sound[: len(speech.values)] = speech.values[: len(sound)]
    timing = {
        "syllables_s": said.syllables_s,
        "stress": said.stress,
        "sounds_s": np.array([(one.start_s, one.end_s) for one in said.sounds]),
    }
    settings = {f"prosody_{name}": np.array(value) for name, value in vars(prosody).items()}
    settings |= {f"scene_{name}": np.array(value) for name, value in vars(scene).items()}
    return Take(
        person=person,
        emotion=emotion,
        sentence=sentence,
        seed=seed,
        scene=scene,
        text=said.text,
        sound=Signal(values=sound, rate_hz=speech.rate_hz),
        physio=physio,
        truth={**shown, **heard, **timing, **felt, **settings},
    )


def contact_sheet(*, people: int = 6, seed: int = 0, sentence: str = "S1", size: int = 128) -> Array:
    """Return one frame of each take of a sentence, ``size`` pixels wide: a row a person, a column an emotion."""

    def apex(number: int, emotion: str) -> Array:
        return perform(person(seed, number), emotion, sentence, seed=seed).apex(2 * size)

    rows = [[apex(number, emotion) for emotion in EMOTIONS] for number in range(1, people + 1)]
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    half = cv2.resize(sheet, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)  # no grain, no jagged lines
    return np.asarray(half)
