"""Who is named by a voice told anew, its mood and words (RAVDESS); names that are bleeped in made-up sentences.

python benchmarks/retold_voices.py ../shared/data/ravdess/speech WORK 01,02,03,04,05,06

WORK keeps each released recording, so that a second call goes on. It needs the extras asr, tts and text.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from personare.anonymize.voice_retell import VoiceRetell
from personare.core.errors import DataError
from personare.core.randomness import generator
from personare.core.types import Batch, Result, Signal
from personare.evaluate.attacks.voice_gmm import VoiceGmm
from personare.evaluate.attacks.voice_prosody import VoiceProsody
from personare.evaluate.identification import identify, measure_trials
from personare.evaluate.utility.prosody import Prosody
from personare.evaluate.utility.voice_emotion import VoiceEmotion
from personare.evaluate.utility.word_error import WordError
from personare.features import audio
from personare.features.functionals import describe
from personare.features.speech_synthesis import draw_voice
from personare.features.spoken_names import spoken_names

VIEWS = ("mfcc", "functionals", "prosody", "waveform")
HEARD = 4  # every so many recordings are listened to for their words
SENTENCES = (  # names between stars
    "My name is *Anna Fernandez* and I live in *Lisbon*",
    "Yesterday I met *Thomas* at the station in *Chicago*",
    "My sister *Rebecca* works for *Siemens*",
    "We moved to *Toronto* with my husband *Michael*",
    "Then *Daniel Cooper* told me that I should see a doctor",
    "My teacher *Missus Henderson* was always kind to me",
    "I felt so lonely in *Birmingham* until *Susan* called me",
    "After the accident *Kevin* drove me to *Boston*",
    "My daughter *Emily* is afraid of the dog that *Patrick* has",
    "The nurse *Angela* gave me the pills every morning",
)


def released(file: Path, work: Path) -> Signal:
    """Release a recording, or take what was released before."""
    original, kept = audio.read(file), work / f"{file.stem}.npy"
    if not kept.exists():
        np.save(kept, VoiceRetell()(original, rng=generator(0, "voice_retell", file.stem)).values[:, 0])
    return Signal(values=np.load(kept)[:, None], rate_hz=original.rate_hz)


def attack(files: list[Path], work: Path) -> None:
    """Enroll on half of the emotions and test on the others, and the reverse."""
    ids = [file.stem for file in files]
    table = pd.DataFrame([{"emotion": i.split("-")[2], "subject": i.split("-")[-1]} for i in ids], index=ids)
    halves = tuple(
        ([i for i in ids if int(i.split("-")[2]) % 2 == k], [i for i in ids if int(i.split("-")[2]) % 2 != k])
        for k in (0, 1)
    )
    sounds = {"original": audio.read, "voice_retell": lambda file: released(file, work)}
    batches = {}
    for name, sound in sounds.items():
        views = {file.stem: describe(sound(file), VIEWS) for file in files}
        batches[name] = Batch.of(table, {view: {i: views[i][view] for i in ids} for view in VIEWS})
    original = batches["original"]
    for name, batch in batches.items():
        rows: list[Result] = []
        for attacker, method in (("voice_prosody", VoiceProsody()), ("voice_gmm", VoiceGmm())):
            for trials in identify(method, original, batch, name=attacker, halves=halves, seed=0):
                rows += measure_trials(trials, figures=("top1", "top1_5", "person_top1"), rng=generator(0))
        rows += VoiceEmotion()(original, batch, rng=generator(0))
        if batch is not original:
            some = np.arange(0, len(ids), HEARD)
            rows += Prosody()(original, batch, rng=generator(0))
            rows += WordError()(original.take(some), batch.take(some), rng=generator(0))
        for row in rows:
            print(
                f"{name}: {row.name} {row.attacker} {row.value:.3f} [{row.low:.3f}, {row.high:.3f}] of {row.n}",
                flush=True,
            )


def bleep() -> None:
    """Say sentences piece by piece, so that it is known where the names are, and count those that are bleeped."""
    names, others = [], []
    for number, sentence in enumerate(SENTENCES):
        voice, sounds = draw_voice(generator(number, "voice")), []
        for place, piece in enumerate(sentence.split("*")):
            if not piece:
                continue
            sound = voice.speak(piece.split())
            loud = np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max())
            sounds.append((place % 2 == 1, sound[loud[0] : loud[-1]]))
        speech = Signal(values=np.concatenate([sound for _, sound in sounds])[:, None], rate_hz=16000)
        gone = np.zeros(len(speech.values), bool)
        try:
            stretches = spoken_names(speech)
        except DataError as error:
            print(f"{sentence}: withheld, {error}", flush=True)
            continue
        for stretch in stretches:
            gone[round(stretch.from_s * 16000) : round(stretch.to_s * 16000)] = True
        at, first = 0, len(names)
        for is_name, sound in sounds:
            (names if is_name else others).append(gone[at : at + len(sound)].mean())
            at += len(sound)
        print(sentence, [f"{share:.2f}" for share in names[first:]], flush=True)
    found = np.array(names) > 0.9
    print(
        f"bleeped for nine tenths or more: {found.sum()} of {len(found)}; of the rest {np.mean(others):.0%} of the time"
    )


if __name__ == "__main__":
    people = sys.argv[3].split(",")
    attack([f for f in sorted(Path(sys.argv[1]).glob("*.flac")) if f.stem[-2:] in people], Path(sys.argv[2]))
    bleep()
