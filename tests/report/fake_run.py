"""A run folder as a study leaves it. EVERY NUMBER IS INVENTED: it is test data, measured on nobody."""

import json
import math
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np

EMOTIONS = ("neutral", "happiness", "sadness", "anger", "fear", "disgust")

# release -> (modality, emotion fixed, emotion retrained, ignorant, lazy, semi)
FAKE: Mapping[str, tuple[str, float, float, float, float, float]] = {
    "voice_mcadams": ("audio", 0.34, 0.61, 0.24, 0.39, 0.54),
    "voice_codebook": ("audio", 0.26, 0.47, 0.15, 0.19, 0.26),
    "voice_codebook_per_clip": ("audio", 0.29, 0.58, 0.71, 0.79, 0.86),
    "voice_vocoder": ("audio", 0.57, 0.69, 0.46, 0.55, 0.63),
    "voice_noise": ("audio", 0.51, 0.66, 0.88, 0.90, 0.93),
    "voice_veil": ("audio", 0.41, 0.62, 0.14, 0.20, 0.27),
    "face_solid": ("video", 0.17, 0.18, 0.08, 0.10, 0.19),
    "face_blur": ("video", 0.38, 0.52, 0.44, 0.81, 0.96),
    "face_pixelate": ("video", 0.30, 0.49, 0.31, 0.74, 0.95),
    "face_autoencoder": ("video", 0.33, 0.43, 0.12, 0.58, 0.91),
    "face_k_same": ("video", 0.24, 0.31, 0.09, 0.14, 0.22),
    "face_landmarks": ("video", 0.55, 0.61, 0.16, 0.52, 0.71),
    "face_avatar": ("video", 0.52, 0.63, 0.09, 0.17, 0.30),
    "avatar_and_veil": ("audio+video", 0.55, 0.70, 0.11, 0.26, 0.38),
    "blur_and_mcadams": ("audio+video", 0.44, 0.66, 0.41, 0.83, 0.97),
}
ORIGINAL = {"audio": (0.74, 0.94), "video": (0.68, 0.98), "audio+video": (0.79, 0.99)}
READERS = {
    "audio": ("reader", "voice_emotion_svm"),
    "video": ("reader", "face_emotion_pixels"),
    "audio+video": ("reader",),
}
ATTACKS = {
    "audio": ("voice_gmm", "voice_ecapa"),
    "video": ("face_pixels", "face_cnn", "face_motion"),
    "audio+video": ("fusion",),
}
SELDOM = "not informative: names 0.14 of people in originals, must reach 0.50"


def write_fake_run(root: Path, *, seed: int = 0, media: bool = True) -> Path:
    """Write the whole folder and return it."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for modality, (recall, named) in ORIGINAL.items():
        rows += _rows("original", modality, (recall, recall, named, named, named), rng)
    for name, (modality, *figures) in FAKE.items():
        rows += _rows(name, modality, tuple(figures), rng)
    details = [row.pop("detail") for row in rows]
    root.mkdir(parents=True, exist_ok=True)
    write(root, "results", [{k: _null(v) for k, v in row.items()} for row in rows])
    write(root, "details", details)
    write(root, "releases", [_release(name, modality) for name, (modality, *_) in FAKE.items()])
    write(root, "skipped", SKIPPED)
    write(root, "ledger", LEDGER)
    write(root, "cohort", COHORT)
    write(root, "versions", {"personare": "0.1.0", "python": "3.11.9", "numpy": "2.4.0", "torch": "2.13.0"})
    (root / "study.toml").write_text('# Fake study of the tests\nseed = 7\npurpose = "evaluation"\n', encoding="utf-8")
    write(root, "examples", _examples(root, rng) if media else {})
    return root


def write(root: Path, name: str, content: Any) -> None:
    (root / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def _null(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _rows(name: str, modality: str, figures: tuple[float, ...], rng: np.random.Generator) -> list[dict[str, Any]]:
    fixed, retrained, *named = figures
    recall0, named0 = ORIGINAL[modality]
    rows = []
    for rank, reader in enumerate(READERS[modality]):
        for who, value in (("fixed_reader", fixed), ("retrained_reader", retrained)):
            detail = {"confusion": _confusion(value, rng), "classes": list(EMOTIONS)}
            common = {"question": "read", "attacker": who, "baseline": recall0, "control": 1 / 6, "better": "higher"}
            rows.append(_row(name, modality, reader, "uar", value - 0.04 * rank, **common, detail=detail))
            rows.append(_row(name, modality, reader, "accuracy", value - 0.03 * rank, **common))
    for who, value in zip(("ignorant", "lazy_informed", "semi_informed"), named, strict=True):
        common = {"question": "identify", "attacker": who, "baseline": named0, "control": 1 / 12, "better": "lower"}
        strongest = ATTACKS[modality][0]
        for figure, share in (("top1_5", 0.4), ("person_top1", 0.65)):  # of what one recording leaves unnamed
            together = {"reason": f"strongest of {len(ATTACKS[modality])}: {strongest}", "n": 24, **common}
            rows.append(_row(name, modality, "strongest", figure, value + share * (1 - value), **together))
        rows.append(
            _row(
                name,
                modality,
                "strongest",
                "top1",
                value,
                **common,
                reason=f"strongest of {len(ATTACKS[modality])}: {strongest}",
            )
        )
        for rank, attack in enumerate(ATTACKS[modality]):
            note = SELDOM if attack == "voice_ecapa" else ""
            said = {"reason": note, "status": "not_informative" if note else "ok"}
            top1 = 0.14 if note else max(0.06, value - 0.09 * rank)
            rows.append(_row(name, modality, attack, "top1", top1, **common, **said))
            chance = common | {"control": 0.5, "baseline": 0.03}
            rows.append(
                _row(name, modality, attack, "eer", 0.5 * (1 - top1), **chance, **said, detail=_scores(top1, rng))
            )
    if name != "original":
        cost = {"question": "cost", "unit": "ratio", "better": "lower"}
        rows.append(_row(name, modality, "speed", "realtime_factor", 0.03, **cost))
    if modality == "audio":
        rho = {"question": "read", "unit": "correlation", "baseline": 1.0, "control": 0.0}
        rows.append(_row(name, modality, "prosody", "rho_f0", 0.7 * retrained + 0.3, **rho))
    return rows


def _row(release: str, modality: str, method: str, figure: str, value: float, **more: Any) -> dict[str, Any]:
    half = 0.07 if 0.1 < value < 0.9 else 0.035
    row = {"low": max(0.0, value - half), "high": min(1.0, value + half * 0.9), "n": 144, "baseline": math.nan}
    row |= {
        "control": math.nan,
        "unit": "share",
        "better": "higher",
        "reason": "",
        "status": "ok",
        "attacker": "",
        "detail": {},
    }
    named = {"release": release, "kind": "recordings", "modality": modality, "method": method, "figure": figure}
    return {**named, "subset": "", "value": value, **row, **more}


def _confusion(recall: float, rng: np.random.Generator) -> list[list[int]]:
    shares = np.full((6, 6), (1 - recall) / 5) + np.diag(np.full(6, recall - (1 - recall) / 5))
    return [rng.multinomial(24, np.clip(line, 0, 1) / line.sum()).tolist() for line in shares]


def _scores(named: float, rng: np.random.Generator) -> dict[str, Any]:
    edges = np.linspace(-4, 7, 34)
    mated, others = rng.normal(4 * named - 0.2, 1.0, 288), rng.normal(-0.3, 1.0, 3168)
    parts = {"mated": mated, "non_mated": others}
    return {k: {"edges": edges.tolist(), "counts": np.histogram(v, edges)[0].tolist()} for k, v in parts.items()}


def _release(name: str, modality: str) -> dict[str, Any]:
    modalities = modality.split("+")
    part = {"audio": "voice_mcadams", "video": "face_blur"}
    methods = {m: name if name.startswith(("voice", "face")) else part[m] for m in modalities}
    counts = (
        {"recordings": 143, "frames": 8936, "frames_covered_whole": 41}
        if "video" in modalities
        else {"recordings": 144}
    )
    held = {
        "item": "sub-07_ses-01_task-fear02",
        "problem": "no face was found in 71 of 75 frames",
        "fix": "Give a recording in which the face is seen.",
    }
    return {
        "name": name,
        "kind": "recordings",
        "modalities": modalities,
        "methods": methods,
        "options": {m: {"strength": 0.8, "policy": "recording"} for m in methods.values()},
        "counts": counts,
        "withheld": [held] if "video" in modalities else [],
        "seconds": 31.4,
    }


def _examples(root: Path, rng: np.random.Generator) -> dict[str, list[dict[str, str]]]:
    examples: dict[str, list[dict[str, str]]] = {}
    for name, (modality, *_) in FAKE.items():
        suffix = "wav" if modality == "audio" else "mp4"
        examples[name] = [write_example(root, name, suffix, emotion, rng) for emotion in EMOTIONS[1:4]]
    return examples


def write_example(
    root: Path, name: str, suffix: str, emotion: str = "anger", rng: np.random.Generator | None = None
) -> dict[str, str]:
    """Write a file of a release that can be played, and return its entry."""
    folder = root / "releases" / name / "sub-01"
    folder.mkdir(parents=True, exist_ok=True)
    track, make = ("audio", _tone) if suffix == "wav" else ("video", _clip)
    file = folder / f"{emotion}.{suffix}"
    make(file, rng or np.random.default_rng(0))
    return {"track": track, "path": file.relative_to(root).as_posix(), "emotion": emotion}


def _tone(file: Path, rng: np.random.Generator) -> None:
    time = np.arange(4000) / 8000
    sound = (8000 * np.sin(2 * np.pi * rng.uniform(120, 240) * time)).astype("<i2")
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(sound.tobytes())


def _clip(file: Path, rng: np.random.Generator) -> None:
    y, x = np.mgrid[:96, :128]
    color = rng.integers(90, 220, 3)
    with av.open(str(file), "w") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for i in range(8):
            image = np.full((96, 128, 3), 40, np.uint8)
            image[((x - 60 - i) / 26) ** 2 + ((y - 48) / 36) ** 2 < 1] = color
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode())


SKIPPED = [
    {"item": "sub-03_ses-01_task-anger02", "problem": "the sound track is empty", "fix": "Record or export it again."},
    {
        "item": "readme renamed.mp4",
        "problem": "it is named .mp4 and holds text <script>alert(1)</script>",
        "fix": "Remove it from the folder, or give the video itself.",
    },
]
LEDGER = {
    "verified": True,
    "rows": 1893,
    "head": "9f2c0d6a17be55e0c1d4a8b7f3e2906d5c4b3a29180716f5e4d3c2b1a0998877",
    "last": [
        {
            "number": 1892,
            "time": "2030-01-01T10:00:00Z",
            "action": "opened",
            "cohort": "fake",
            "purpose": "evaluation",
            "hash": "ab",
        },
        {
            "number": 1893,
            "time": "2030-01-01T10:04:00Z",
            "action": "released",
            "cohort": "fake",
            "purpose": "evaluation",
            "hash": "cd",
        },
    ],
}
COHORT = {
    "name": "Invented people (test data)",
    "kind": "synthetic",
    "people": 12,
    "recordings": 144,
    "emotions": dict.fromkeys(EMOTIONS, 24),
    "sex": {"F": 6, "M": 6},
    "hours": 0.12,
    "license": "CC0",
    "citation": "Invented for the tests of personare; describes nobody.",
}
REFERENCE = [
    {
        "row": "face emotion, original",
        "published": 0.39,
        "ours": 0.68,
        "low": 0.61,
        "high": 0.74,
        "attacker_note": "off-the-shelf reader",
        "retrained": 0.68,
    },
    {
        "row": "face re-identification, reconstructed",
        "published": 0.06,
        "ours": 0.12,
        "low": 0.08,
        "high": 0.17,
        "attacker_note": "ignorant attacker",
        "retrained": {"value": 0.91, "low": 0.87, "high": 0.95},
    },
    {
        "row": "R2",
        "published": "0.052 (mean)",
        "ours": None,
        "low": None,
        "high": None,
        "attacker_note": "speaker encoder absent",
        "retrained": None,
    },
]
