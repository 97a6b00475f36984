"""Rebuilds each face by an autoencoder that only knows other people; a known weak method, kept for comparison."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import cv2
import numpy as np
import torch

from personare.core.errors import DataError
from personare.core.options import Count, NotNegative, PartShare, Positive, check_options
from personare.core.types import Array, Face, LocatedFrame
from personare.features.face import square
from personare.features.masking import disc_over
from personare.learn.autoencoder import Autoencoder, fresh, reconstruct, train_autoencoder

__all__ = ["FaceAutoencoder"]

_GROUND = 128  # gray of the picture where background is "plain"


@dataclass(frozen=True, kw_only=True)
class FaceAutoencoder:
    """Cuts each face out, masks and noises it, squeezes it through a network, and puts what comes out in its place.

    **Guarantee**: every pixel of the covered area comes from the network, and the network was trained on none of the
    pictures it is shown here (``fit_on = "others"``). That this hides identity is *not* guaranteed: an attacker who
    learns from rebuilt faces of the same people can name them.

    Source:
        Ranade, Agrawal, Kochrekar and Vatsaraj 2024 (USC), "Privacy Preserving Representation Learning for
        Multimodal Behavior Understanding": latent 300, Adam 0.001, mean squared error, batch 64. Changed: trained on
        other people of the cohort instead of FFHQ, convolutional, and at 64 pixels.
    """

    latent: Count = 300  # numbers a face is squeezed into
    size: int = 64  # side in pixels of the picture the network sees
    color: Literal["rgb", "gray"] = "rgb"
    mask: PartShare = 0.25  # share of the face's tiles (an eighth of a side of 64 pixels) blanked before encoding
    noise: NotNegative = 0.1  # standard deviation of noise added before encoding; black is -1, white 1
    steps: Count = 200  # times the network is corrected in training
    batch: Count = 64  # pictures a step
    learning_rate: Positive = 0.001  # of Adam
    most_crops: Count = 1500  # training pictures at most, spread evenly over the recordings
    enlarge: NotNegative = 0.1  # share of the face's size by which the covered area reaches beyond it on each side
    background: Literal["keep", "plain"] = "keep"  # what is around the face, which the paper kept
    policy: Literal["recording", "person", "common"] = "recording"  # whose randomness a recording gets

    fit_on: ClassVar[str] = "others"

    def __post_init__(self) -> None:
        check_options(self)
        self._network(torch.Generator())

    def _network(self, draw: torch.Generator) -> Autoencoder:
        return fresh(size=self.size, channels=3 if self.color == "rgb" else 1, latent=self.latent, draw=draw)

    def cut(self, image: Array, face: Face) -> Array:
        """Return (size, size, channels): the square around a face and its surroundings."""
        picture = square(image, disc_over(face.box, enlarge=self.enlarge).square, size=self.size)
        return picture if self.color == "rgb" else np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))[..., None]

    def fit(
        self, background: Iterable[tuple[str, Iterable[LocatedFrame]]], *, rng: np.random.Generator
    ) -> "FittedFaceAutoencoder":
        """Train the network on faces of other people than those it will hide."""
        crops = self._crops(background, rng)
        draw = _draw(rng)
        network = self._network(draw)
        train_autoencoder(
            network,
            crops,
            mask=self.mask,
            noise=self.noise,
            steps=self.steps,
            batch=self.batch,
            learning_rate=self.learning_rate,
            draw=draw,
        )
        return FittedFaceAutoencoder(method=self, network=network)

    def _crops(self, background: Iterable[tuple[str, Iterable[LocatedFrame]]], rng: np.random.Generator) -> Array:
        """Return (N, size, size, C): a fair sample of all faces shown, in memory of ``most_crops`` alone."""
        kept: list[Array] = []
        seen = 0
        for _, frames in background:
            for frame in frames:
                for face in frame.faces if frame.index % 3 == 0 else ():
                    seen += 1
                    if len(kept) < self.most_crops:
                        kept.append(self.cut(frame.image, face))
                    elif (place := int(rng.integers(seen))) < self.most_crops:
                        kept[place] = self.cut(frame.image, face)
        if not kept:
            raise DataError("face_autoencoder has nothing to learn from: no face was found in any recording.")
        return np.stack(kept)

    def __call__(self, frames: Iterable[LocatedFrame], *, subject: str, rng: np.random.Generator) -> Iterator[Array]:
        """Refuse: a network that has learned nothing cannot rebuild a face."""
        raise DataError("face_autoencoder must be fitted on other people first: call fit, or give --background COHORT.")


@dataclass(frozen=True, kw_only=True)
class FittedFaceAutoencoder:
    """A ``FaceAutoencoder`` with a trained network."""

    method: FaceAutoencoder
    network: Autoencoder = field(repr=False)

    def __call__(self, frames: Iterable[LocatedFrame], *, subject: str, rng: np.random.Generator) -> Iterator[Array]:
        """Yield a uint8 RGB picture (height, width, 3) for every frame."""
        method, draw = self.method, _draw(rng)
        for frame in frames:
            shown = frame.image.copy() if method.background == "keep" else np.full_like(frame.image, _GROUND)
            for face in frame.faces:
                cut = method.cut(frame.image, face)[None]
                made = reconstruct(self.network, cut, mask=method.mask, noise=method.noise, draw=draw)[0]
                disc_over(face.box, enlarge=method.enlarge).put(shown, np.broadcast_to(made, (*made.shape[:2], 3)))
            yield shown


def _draw(rng: np.random.Generator) -> torch.Generator:
    return torch.Generator().manual_seed(int(rng.integers(2**62)))
