"""Which identifier names most people, and would more recordings help? python benchmarks/identifiers.py DATA MODELS.

Faces: 20 people of AT&T, 10 pictures each. Voices: RAVDESS, 14 people, every other clip; EmoDB, 5 people, every fourth
clip. Needs the extras ``face-attack`` and ``speaker-encoder``; attackers are trained on the release (semi-informed).
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import pandas as pd

from personare.core.protocols import Enroller
from personare.core.randomness import generator
from personare.core.registry import create
from personare.core.types import Array, Batch, LocatedFrame, Signal
from personare.data.splits import content_halves
from personare.evaluate.attacks.fusion import Fusion
from personare.evaluate.identification import Trials, identify, learning_gain, measure_trials
from personare.features import audio
from personare.features.face import square
from personare.features.functionals import describe
from personare.features.locations import locate_live

FACES = ("face_pixels", "face_encoder", "face_dlib")
VOICES = ("voice_gmm", "voice_encoder", "voice_dvector")
FIGURES = ("top1", "top1_5", "person_top1", "eer")


def compare(name: str, batch: Batch, attacks: tuple[str, ...]) -> None:
    """Print what each attack names of one release."""
    enroll, test, _ = content_halves(batch.table, rng=generator(0, "content halves"))
    halves = [(enroll, test), (test, enroll)]
    every: list[Trials] = []
    for attack in attacks:
        trained: dict[object, Enroller] = {}
        method = create("personare.evaluate.attacks", attack)
        trials = identify(method, batch, batch, name=attack, halves=halves, seed=0, trained=trained)
        every += trials
        rows = measure_trials(trials[-1], figures=FIGURES, rng=generator(0))
        rows += learning_gain({attack: method}, batch, trials, halves=halves, trained={attack: trained}, seed=0)
        said = ", ".join(f"{r.figure} {r.value:.2f} [{r.low:.2f}, {r.high:.2f}]" for r in rows)
        print(f"{name} ({rows[0].n}): {attack} {said}", flush=True)
    for part in (attacks[:-1], attacks):
        some = [t for t in every if t.attack in part]
        fused = Fusion()(batch, batch, trials=some, rng=generator(0))[-1]
        [row] = measure_trials(fused, figures=("top1",), rng=generator(0))
        print(f"{name}: fusion of {', '.join(part)} top1 {row.value:.2f} [{row.low:.2f}, {row.high:.2f}]", flush=True)


def faces(folder: Path) -> None:
    """Hide the faces of pictures, each as a film of one frame."""
    located: dict[str, LocatedFrame] = {}
    for file in sorted(folder.glob("s*/*.pgm")):
        large = cv2.resize(cv2.imread(str(file)), None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
        image = cv2.copyMakeBorder(large, 60, 60, 60, 60, cv2.BORDER_REPLICATE)
        frame = next(iter(locate_live([(0, 0.0, image)], mesh=True)))
        if frame.faces:
            located[f"{file.parent.name}_{file.stem}"] = frame
    table = pd.DataFrame({"subject": [i.partition("_")[0] for i in located]}, index=list(located))

    def shown(name: str) -> Iterator[tuple[str, Array]]:
        hide = create("personare.anonymize", name) if name else None
        if hasattr(hide, "fit"):
            hide = hide.fit(((i.partition("_")[0], [f]) for i, f in located.items()), rng=generator(0, name))
        for i, frame in located.items():
            image = frame.image
            if hide:
                image = next(iter(hide([frame], subject=i.partition("_")[0], rng=generator(0, name, i))))
            yield i, square(image, frame.faces[0].box, size=112)[None]

    for name in ("", "face_blur", "face_pixelate", "face_k_same"):
        crops = dict(shown(name))
        compare(f"AT&T {name or 'original'}", Batch.of(table, {"faces112": crops, "crops": crops}), FACES)


def voices(name: str, files: list[Path], facts: list[dict[str, str]]) -> None:
    """Change the voices of clips, each with randomness of its own."""
    table = pd.DataFrame(facts, index=[f.stem for f in files])
    speech = {f.stem: audio.read(f) for f in files}
    owner = table["subject"].to_dict()
    for release in ("", "voice_mcadams", "voice_codebook"):
        changed: dict[str, Signal] = speech
        if release:
            hide = create("personare.anonymize", release)
            hide = (
                hide.fit(((owner[i], s) for i, s in speech.items()), rng=generator(0)) if hasattr(hide, "fit") else hide
            )
            changed = {i: hide(s, rng=generator(0, release, i)) for i, s in speech.items()}
        views = {i: describe(s, ["mfcc", "waveform"]) for i, s in changed.items()}
        tracks = {track: {i: one[track] for i, one in views.items()} for track in ("mfcc", "waveform")}
        compare(f"{name} {release or 'original'}", Batch.of(table, tracks), VOICES)


if __name__ == "__main__":
    data = Path(sys.argv[1])
    os.environ["PERSONARE_MODELS"] = sys.argv[2]
    faces(data / "orl-faces")
    speech = sorted((data / "ravdess/speech").glob("*.flac"), key=lambda f: (f.stem[-2:], f.stem))[::2]
    voices("RAVDESS", speech, [{"subject": f.stem[-2:], "emotion": f.stem[6:8], "sentence": "1"} for f in speech])
    speech = sorted((data / "emodb").glob("*.flac"))[::4]
    voices("EmoDB", speech, [{"subject": f.stem[:2], "emotion": f.stem[5], "sentence": f.stem[2:5]} for f in speech])
