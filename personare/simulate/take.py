"""One take of a made-up person: what is said, shown, heard and felt at once, and the truth about it."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from personare.core.randomness import generator
from personare.core.types import Array, Signal
from personare.simulate.body import Physio, feel
from personare.simulate.expression import ACTION_UNITS, EMOTIONS, POSE, Motion, move
from personare.simulate.face import Painter
from personare.simulate.people import Person, person
from personare.simulate.scene import Scene, draw_scene
from personare.simulate.sentences import Utterance, speak
from personare.simulate.voice import CONTROL_HZ, Prosody, Speech, intend, say

__all__ = ["Take", "contact_sheet", "perform"]


@dataclass(frozen=True, kw_only=True)
class Take:
    """A performed sentence, not yet painted."""

    person: Person
    emotion: str
    sentence: str
    seed: int
    rate_hz: float
    utterance: Utterance
    prosody: Prosody
    speech: Speech
    motion: Motion
    physio: Physio
    scene: Scene

    def pictures(self, size: int) -> Iterator[Array]:
        """Yield the frames, uint8 RGB (size, size, 3)."""
        return self._painted(range(len(self.motion.actions)), size)

    def apex(self, size: int) -> Array:
        """Return the frame of the middle half, where the expression is strongest, that speech and blinks move least."""
        frames = len(self.motion.actions)
        moved = self.motion.actions[:, [ACTION_UNITS.index("AU26"), ACTION_UNITS.index("AU45")]].sum(axis=1)
        best = frames // 4 + int(moved[frames // 4 : 3 * frames // 4].argmin())
        return next(self._painted(range(best, best + 1), size))

    def _painted(self, frames: range, size: int) -> Iterator[Array]:
        motion = self.motion
        painter = Painter(
            self.person,
            self.scene,
            size=size,
            own=generator(self.seed, "skin", self.person.subject),
            take=generator(self.seed, "camera", self.person.subject, self.emotion, self.sentence),
        )
        for index in frames:
            yield painter.paint(
                dict(zip(ACTION_UNITS, motion.actions[index].astype(float).tolist(), strict=True)),
                rounding=float(motion.round[index]),
                pose=motion.pose[index],
                gaze=motion.gaze[index],
                frame=index,
            )

    def sound(self) -> Signal:
        """Return the speech, exactly as long as the pictures."""
        values = self.speech.sound.values
        wanted = round(len(self.motion.actions) / self.rate_hz * self.speech.sound.rate_hz)
        fitted = np.zeros((wanted, 1), dtype=np.float32)
        fitted[: len(values)] = values[:wanted]
        return Signal(values=fitted, rate_hz=self.speech.sound.rate_hz)

    def truth(self) -> dict[str, Array]:
        """Return everything that was set, as arrays by name; no array holds objects."""
        motion, speech = self.motion, self.speech
        return {
            "action_unit_names": np.array(ACTION_UNITS),
            "action_units": motion.actions,
            "lip_rounding": motion.round,
            "pose_names": np.array(POSE),
            "pose": motion.pose,
            "gaze": motion.gaze,
            "frame_time_s": np.arange(len(motion.actions)) / self.rate_hz,
            "strength": np.array(motion.strength),
            "f0_hz": speech.f0_hz,
            "formants_hz": speech.formants_hz,
            "level_db": speech.level_db,
            "control_time_s": np.arange(len(speech.f0_hz)) / CONTROL_HZ,
            "gain_db": np.array(speech.gain_db),
            "syllables_s": self.utterance.syllables_s,
            "stress": self.utterance.stress,
            "sounds_s": np.array([(sound.start_s, sound.end_s) for sound in self.utterance.sounds]),
            "arousal": np.array(self.physio.arousal),
            "skin_responses_s": self.physio.responses_s,
            **{f"prosody_{name}": np.array(value) for name, value in vars(self.prosody).items()},
            **{f"scene_{name}": np.array(value) for name, value in vars(self.scene).items()},
        }


def perform(person: Person, emotion: str, sentence: str, *, seed: int, rate_hz: float = 25) -> Take:
    """Let a person say a sentence (``S1`` to ``S4``) with an emotion; the same arguments always give the same take.

    Example:
        >>> take = perform(person(0, 1), "fear", "S1", seed=0)
        >>> len(take.truth()["action_units"]) == len(take.motion.pose)
        True
    """

    def chance(part: str) -> np.random.Generator:
        return generator(seed, part, person.subject, emotion, sentence)

    strength = float(chance("strength").uniform(0.6, 1.15))
    prosody = intend(emotion, strength=strength, rng=chance("prosody"))
    utterance = speak(sentence, voice=person.voice, rate=prosody.rate, rng=chance("words"))
    walls = generator(seed, "walls", person.subject)
    return Take(
        person=person,
        emotion=emotion,
        sentence=sentence,
        seed=seed,
        rate_hz=rate_hz,
        utterance=utterance,
        prosody=prosody,
        speech=say(utterance, person.voice, prosody, room=person.room, walls=walls, rng=chance("voice")),
        motion=move(emotion, utterance, person.style, strength=strength, rate_hz=rate_hz, rng=chance("face")),
        physio=feel(emotion, person.body, strength=strength, duration_s=utterance.duration_s, rng=chance("body")),
        scene=draw_scene(chance("scene")),
    )


def contact_sheet(*, people: int = 6, seed: int = 0, sentence: str = "S1", size: int = 128) -> Array:
    """Return one frame of each take of a sentence, ``size`` pixels wide: a row a person, a column an emotion.

    Example:
        >>> contact_sheet(people=1, size=96).shape
        (96, 576, 3)
    """

    def apex(number: int, emotion: str) -> Array:
        return perform(person(seed, number), emotion, sentence, seed=seed).apex(2 * size)

    rows = [[apex(number, emotion) for emotion in EMOTIONS] for number in range(1, people + 1)]
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    half = cv2.resize(sheet, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)  # no grain, no jagged lines
    return np.asarray(half)
