"""Rebuilds each face by an autoencoder that only knows other people; a known weak method, kept for comparison."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, Self

import cv2
import numpy as np
import torch

from personare.core.errors import DataError
from personare.core.options import check_options
from personare.core.state import load_weights, save_weights
from personare.core.types import Array, Face, LocatedFrame
from personare.features.face import square
from personare.features.patching import disc_over
from personare.learn.autoencoder import Autoencoder, Damage, TrainingPlan, fresh, reconstruct, train_autoencoder

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

    latent: int = 300  # numbers a face is squeezed into
    size: int = 64  # side in pixels of the picture the network sees
    color: Literal["rgb", "gray"] = "rgb"
    mask: float = 0.25  # share of the face's tiles (an eighth of a side of 64 pixels) that is blanked before encoding
    noise: float = 0.1  # standard deviation of noise added before encoding; black is -1, white 1
    steps: int = 200  # times the network is corrected in training
    batch: int = 64  # pictures a step
    learning_rate: float = 0.001  # of Adam
    most_crops: int = 1500  # training pictures at most, spread evenly over the recordings
    enlarge: float = 0.1  # share of the face's size by which the covered area reaches beyond it on each side
    background: Literal["keep", "plain"] = "keep"  # what is around the face, which the paper kept
    policy: Literal["recording", "person", "common"] = "recording"  # whose randomness a recording gets

    fit_on: ClassVar[str] = "others"

    def __post_init__(self) -> None:
        check_options(self, most_crops=(1, math.inf), enlarge=(0, math.inf))
        self.damage(), self.plan(), self.network(torch.Generator())

    def damage(self) -> Damage:
        """What is done to a face before it is encoded."""
        return Damage(mask=self.mask, noise=self.noise)

    def plan(self) -> TrainingPlan:
        """How the network is trained."""
        return TrainingPlan(steps=self.steps, batch=self.batch, learning_rate=self.learning_rate)

    def network(self, draw: torch.Generator) -> Autoencoder:
        """A network that has learned nothing yet."""
        channels = 3 if self.color == "rgb" else 1
        return fresh(size=self.size, channels=channels, latent=self.latent, draw=draw)

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
        network = self.network(draw)
        losses = train_autoencoder(network, crops, damage=self.damage(), plan=self.plan(), draw=draw)
        return FittedFaceAutoencoder(method=self, network=network, losses=tuple(losses))

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
    """A ``FaceAutoencoder`` with a trained network, and the training error at each step."""

    method: FaceAutoencoder
    network: Autoencoder = field(repr=False)
    losses: tuple[float, ...] = ()

    def __call__(self, frames: Iterable[LocatedFrame], *, subject: str, rng: np.random.Generator) -> Iterator[Array]:
        """Yield a uint8 RGB picture (height, width, 3) for every frame."""
        draw = _draw(rng)
        for frame in frames:
            keep = self.method.background == "keep"
            shown = frame.image.copy() if keep else np.full_like(frame.image, _GROUND)
            for face in frame.faces:
                cut = self.method.cut(frame.image, face)[None]
                made = reconstruct(self.network, cut, damage=self.method.damage(), draw=draw)[0]
                rgb = np.repeat(made, 3, axis=2) if made.shape[2] == 1 else made
                disc_over(face.box, enlarge=self.method.enlarge).put(shown, rgb)
            yield shown

    def save(self, path: Path) -> None:
        """Write options and weights to a safetensors file."""
        options = {name: str(value) for name, value in asdict(self.method).items()}
        save_weights(path, self.network.state_dict(), options)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what ``save`` wrote."""
        weights, options = load_weights(path)
        kinds = {name: type(value) for name, value in asdict(FaceAutoencoder()).items()}
        if set(options) != set(kinds):
            raise DataError(f"{path} holds no face_autoencoder: write it with its save.")
        method = FaceAutoencoder(**{name: kinds[name](text) for name, text in options.items()})
        network = method.network(torch.Generator())
        network.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
        return cls(method=method, network=network.eval())


def _draw(rng: np.random.Generator) -> torch.Generator:
    return torch.Generator().manual_seed(int(rng.integers(2**62)))
