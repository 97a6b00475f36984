"""Names the person with a face identifier that others trained on many people, if its file is on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from personare.core.errors import MissingModelError, OptionError
from personare.core.types import Array
from personare.evaluate.classifiers import Clips, Kernel, unit
from personare.features.models import find_model, open_network

__all__ = ["FaceEncoder"]


@dataclass(frozen=True, kw_only=True)
class FaceEncoder:
    """Turns faces into vectors with a pretrained network, and learns the enrolled people from those.

    The network itself is not retrained; what is learned from its vectors is. Anybody can use such a file, so it stands
    for the attacker who has seen a million faces.

    **Guarantee**: what it says of a recording depends on that recording and on what was enrolled, not on other tests.

    **Source**: the input convention of the MobileFaceNet and ArcFace families; no file comes with personare.
    """

    question: ClassVar = "identify"
    modality: ClassVar[str] = "video"
    views: ClassVar[tuple[str, ...]] = ("faces112",)
    learns: ClassVar[bool] = False

    # an ONNX file, or its name in the models folder: 112 x 112 RGB in, (x - 127.5) / 128, one vector out
    model: str = "mobilefacenet.onnx"

    def __post_init__(self) -> None:
        if not self.model:
            raise OptionError("face_encoder's model must be an ONNX file or its name, given an empty text.")

    def fit(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> Kernel:
        """Load the network for faces (F, 112, 112, 3) uint8; nothing is learned before enrollment."""
        path = Path(self.model) if Path(self.model).is_file() else find_model(self.model)
        try:
            session = open_network(path)
        except Exception as error:  # onnxruntime's own exceptions share no public base
            raise MissingModelError(
                f"{path} cannot be loaded as an ONNX network ({error}); give another file."
            ) from error
        wanted = session.get_inputs()[0]
        if 3 not in wanted.shape or 112 not in wanted.shape:
            raise MissingModelError(f"{path} must take 112 x 112 pictures with 3 channels, it takes {wanted.shape}.")

        def encode(pictures: Array) -> Array:
            ready = (pictures.astype(np.float32) - 127.5) / 128
            ready = ready.transpose(0, 3, 1, 2) if wanted.shape[1] == 3 else ready
            vectors = [session.run(None, {wanted.name: one[None]})[0].reshape(-1) for one in ready]
            return unit(np.stack(vectors))

        def describe(clip: Array) -> list[Array]:
            """Return the mean direction of a clip's faces and their mirror images."""
            faces = np.stack([cv2.resize(p, (112, 112), interpolation=cv2.INTER_AREA) for p in clip])
            mirrored = np.ascontiguousarray(faces[:, :, ::-1])
            return [unit(encode(faces).mean(axis=0) + encode(mirrored).mean(axis=0))]

        return Kernel(describe=describe, standardize=False)
