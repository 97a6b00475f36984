"""A cohort of still faces of people who do not exist: what a camera sees of its user, in seconds instead of films."""

from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from personare.core.atomic import replacing
from personare.core.errors import OptionError
from personare.core.randomness import generator
from personare.core.types import Array, Cohort, Recording
from personare.data.cohort import CohortWriter, recording_id
from personare.features.marks import mark, png_comment
from personare.simulate.expression import ACTION_UNITS, move
from personare.simulate.face import Painter, draw_scene
from personare.simulate.people import EMOTIONS, Person, person
from personare.simulate.sentences import SENTENCES, speak

_RATE_HZ = 25.0
_LUMA = np.array((0.299, 0.587, 0.114))
_LIGHT = 150.0  # brightness of skin, of 255, from which it is called light


def portrait(who: Person, emotion: str, sentence: str, *, seed: int, size: int = 96) -> Array:
    """Return a face of somebody made up who shows an emotion while speaking, cut out, uint8 RGB (size, size, 3)."""

    def chance(part: str) -> np.random.Generator:
        return generator(seed, "portrait", part, who.subject, emotion, sentence)

    utterance = speak(sentence, voice=who.voice, rate=1.0, rng=chance("words"))
    strength = float(chance("strength").uniform(0.6, 1.15))
    shown = move(emotion, utterance, who.style, strength=strength, rate_hz=_RATE_HZ, rng=chance("face"))
    skin = generator(seed, "skin", who.subject)
    whole, margin = 3 * size // 2, size // 4
    painter = Painter(who, draw_scene(chance("scene")), size=whole, skin=skin, camera=chance("camera"))
    frame = int(chance("frame").uniform(0.4, 0.65) * len(shown["pose"]))  # the expression is there, and not yet gone
    actions = dict(zip(ACTION_UNITS, shown["action_units"][frame].astype(float).tolist(), strict=True))
    rounding, pose, gaze = float(shown["lip_rounding"][frame]), shown["pose"][frame], shown["gaze"][frame]
    picture = painter.paint(actions, rounding=rounding, pose=pose, gaze=gaze, frame=frame)
    return picture[margin:-margin, margin:-margin]


def simulate_portraits(
    root: Path,
    *,
    people: int = 40,
    sentences: int = 2,
    seed: int = 0,
    size: int = 96,
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> Cohort:
    """Make up people and take pictures of each showing each emotion, ``sentences`` times; the track is ``picture``.

    **Guarantee**: as of ``simulate_cohort``; the people are the same as there.

    The participants' table says ``sex``, ``age`` (years) and ``skin`` (light, dark): the last so that it can be
    measured whether somebody is served worse for it, and for nothing else.
    """
    if people < 1 or not 1 <= sentences <= len(SENTENCES):
        raise OptionError(f"There must be people and 1 to {len(SENTENCES)} pictures each, not {people}, {sentences}.")
    about = {
        "License": "CC0-1.0",
        "Acknowledgements": "Painted by personare; nobody in it exists.",
        "Seed": seed,
    }
    writer = CohortWriter(root, name="Made-up faces", kind="synthetic", description=about)
    everybody = [person(seed, number) for number in range(1, people + 1)]
    says = list(SENTENCES)[:sentences]
    for who, emotion, (number, sentence) in progress(list(product(everybody, EMOTIONS, enumerate(says, start=1)))):
        task = f"{emotion}{number}"
        image = portrait(who, emotion, sentence, seed=seed, size=size)
        path = writer.path((who.subject, "01", task), "picture", ".png")
        with replacing(path) as part:
            Image.fromarray(image).save(part, format="PNG", pnginfo=png_comment(mark("simulated")))
        labels = {"emotion": emotion, "sentence": sentence}
        tracks = {"picture": path.relative_to(root).as_posix()}
        writer.add(
            Recording(
                id=recording_id(who.subject, "01", task),
                subject=who.subject,
                session="01",
                tracks=tracks,
                labels=labels,
            )
        )
    rows = [
        {"sex": who.sex, "age": who.age, "skin": "light" if _LUMA @ who.face.skin_rgb > _LIGHT else "dark"}
        for who in everybody
    ]
    return writer.finish(pd.DataFrame(rows, index=pd.Index([who.subject for who in everybody], name="subject")))
