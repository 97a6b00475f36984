"""One take of a made-up person: what is said, shown, heard and felt at once, and the truth about it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from personare.core.errors import OptionError
from personare.core.randomness import generator
from personare.core.types import Array, Signal
from personare.simulate.expression import ACTION_UNITS, feel, move
from personare.simulate.face import Painter, Scene, draw_scene
from personare.simulate.people import EMOTIONS, Person
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

    def pictures(self, size: int) -> Iterator[Array]:
        """Yield the frames, uint8 RGB (size, size, 3)."""
        truth = self.truth
        painter = Painter(
            self.person,
            self.scene,
            size=size,
            skin=generator(self.seed, "skin", self.person.subject),
            camera=generator(self.seed, "camera", self.person.subject, self.emotion, self.sentence),
        )
        for index in range(len(truth["pose"])):
            yield painter.paint(
                dict(zip(ACTION_UNITS, truth["action_units"][index].astype(float).tolist(), strict=True)),
                rounding=float(truth["lip_rounding"][index]),
                pose=truth["pose"][index],
                gaze=truth["gaze"][index],
                frame=index,
            )


def perform(person: Person, emotion: str, sentence: str, *, seed: int, rate_hz: float = 25) -> Take:
    """Let a person say a sentence (``S1`` to ``S4``) with an emotion; the same arguments always give the same take."""
    if emotion not in EMOTIONS:
        raise OptionError(f"There is no emotion '{emotion}' here. Choose one of: {', '.join(EMOTIONS)}.")

    def chance(part: str) -> np.random.Generator:
        return generator(seed, part, person.subject, emotion, sentence)

    strength = float(chance("strength").uniform(0.6, 1.15))
    prosody = intend(emotion, strength=strength, rng=chance("prosody"))
    utterance = speak(sentence, voice=person.voice, rate=prosody.rate, rng=chance("words"))
    walls = generator(seed, "walls", person.subject)
    speech, heard = say(utterance, person.voice, prosody, room=person.room, walls=walls, rng=chance("voice"))
    shown = move(emotion, utterance, person.style, strength=strength, rate_hz=rate_hz, rng=chance("face"))
    physio, felt = feel(emotion, person.body, strength=strength, duration_s=utterance.duration_s, rng=chance("body"))
    scene = draw_scene(chance("scene"))
    sound = np.zeros((round(len(shown["pose"]) / rate_hz * speech.rate_hz), 1), dtype=np.float32)
    sound[: len(speech.values)] = speech.values[: len(sound)]
    timing = {
        "syllables_s": utterance.syllables_s,
        "stress": utterance.stress,
        "sounds_s": np.array([(one.start_s, one.end_s) for one in utterance.sounds]),
    }
    settings = {f"prosody_{name}": np.array(value) for name, value in vars(prosody).items()}
    settings |= {f"scene_{name}": np.array(value) for name, value in vars(scene).items()}
    return Take(
        person=person,
        emotion=emotion,
        sentence=sentence,
        seed=seed,
        scene=scene,
        text=utterance.text,
        sound=Signal(values=sound, rate_hz=speech.rate_hz),
        physio=physio,
        truth={**shown, **heard, **timing, **felt, **settings},
    )
