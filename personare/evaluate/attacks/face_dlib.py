"""Names the person with dlib's face network, which others trained on three million faces (optional)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from personare.core.errors import extra
from personare.core.types import Array
from personare.evaluate.classifiers import Clips, Kernel, unit
from personare.features.models import find_model

__all__ = ["FaceDlib"]

_SIDE = 150  # pixels of the network's pictures


@dataclass(frozen=True, kw_only=True)
class FaceDlib:
    """Turns faces by the corners of their eyes, makes vectors of them, and learns the enrolled people from those.

    The network itself is not retrained; what is learned from its vectors is. Unlike the file of ``face_encoder``, it is
    in the public domain and comes with an extra: anybody can run this attack.

    **Guarantee**: what it says of a recording depends on that recording and on what was enrolled, not on other tests.

    **Source**: D. King, "Dlib-ml: a machine learning toolkit", JMLR 10, 2009; its face recognition ResNet and 5-point
    shape predictor (CC0).
    """

    question: ClassVar = "identify"
    modality: ClassVar[str] = "video"
    views: ClassVar[tuple[str, ...]] = ("faces112",)
    learns: ClassVar[bool] = False

    def fit(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> Kernel:
        """Load the network for faces (F, H, W, 3) uint8; nothing is learned before enrollment."""
        with extra("face-attack", "face_dlib"):
            import dlib
        network = dlib.face_recognition_model_v1(str(find_model("dlib_face")))
        corners = dlib.shape_predictor(str(find_model("dlib_face_corners")))
        whole = dlib.rectangle(0, 0, _SIDE - 1, _SIDE - 1)  # a crop is a face, which need not be found again

        def encode(picture: Array) -> Array:
            face = np.ascontiguousarray(cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR))
            return np.asarray(network.compute_face_descriptor(face, corners(face, whole)))

        return Kernel(describe=lambda clip: [unit(np.mean([encode(p) for p in clip], axis=0))], standardize=False)
