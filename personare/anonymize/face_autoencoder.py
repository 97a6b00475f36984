"""Rebuilds each face by an autoencoder that only knows other people; a known weak method, kept for comparison."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, Self

import cv2
import numpy as np
import torch

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Face, LocatedFrame
from personare.features.face import square
from personare.features.patching import disc_over
from personare.learn.autoencoder import Autoencoder, Damage, TrainingPlan, fresh, reconstruct, train_autoencoder
from personare.learn.checkpoints import load_weights, save_weights

__all__ = ["FaceAutoencoder"]

_GROUND = 128  # gray of the picture where background is "plain"


@dataclass(frozen=True, kw_only=True)
class FaceAutoencoder:
    """Cuts each face out, masks and noises it, squeezes it through a network, and puts what comes out in its place.

    **Guarantee**: every pixel of the covered area comes from the network, and the network was trained on none of the
    pictures it is shown here (``fit_on = "others"``). That this hides identity is *not* guaranteed: an attacker who
    learns from rebuilt faces of the same people can name them.

    Attributes:
        latent: Numbers a face is squeezed into.
        size: Side in pixels of the picture the network sees.
        color: ``rgb`` or ``gray``.
        mask: Share of the face's tiles (an eighth of a side of 64 pixels) that is blanked before encoding.
        noise: Standard deviation of noise added before encoding; black is -1, white 1.
        steps: Times the network is corrected in training.
        batch: Pictures a step.
        learning_rate: Of Adam.
        most_crops: Training pictures at most, spread evenly over the recordings.
        enlarge: Share of the face's size by which the covered area reaches beyond it on each side.
        background: ``keep`` what is around the face, as the paper did, or make it ``plain``.
        policy: Whose randomness a recording gets.

    Raises:
        OptionError: An option out of its range.

    Source:
        Ranade, Agrawal, Kochrekar and Vatsaraj 2024 (USC), "Privacy Preserving Representation Learning for
        Multimodal Behavior Understanding": latent 300, Adam 0.001, mean squared error, batch 64. Changed: trained on
        other people of the cohort instead of FFHQ, convolutional, and at 64 pixels.

    Example:
        >>> FaceAutoencoder(mask=1.0)
        Traceback (most recent call last):
        personare.core.errors.OptionError: mask must be a share from 0 to below 1, it is 1.0.
    """

    latent: int = 300
    size: int = 64
    color: Literal["rgb", "gray"] = "rgb"
    mask: float = 0.25
    noise: float = 0.1
    steps: int = 200
    batch: int = 64
    learning_rate: float = 0.001
    most_crops: int = 1500
    enlarge: float = 0.1
    background: Literal["keep", "plain"] = "keep"
    policy: Literal["recording", "person", "common"] = "recording"

    fit_on: ClassVar[str] = "others"

    def __post_init__(self) -> None:
        """Check the options."""
        for name, choices in (("color", ("rgb", "gray")), ("background", ("keep", "plain"))):
            if getattr(self, name) not in choices:
                raise OptionError(f"{name} must be {' or '.join(choices)}, it is '{getattr(self, name)}'.")
        if self.most_crops < 1:
            raise OptionError(f"most_crops must be at least 1, it is {self.most_crops}.")
        if self.enlarge < 0:
            raise OptionError(f"enlarge must not be negative, it is {self.enlarge}.")
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
        """Train the network on faces of other people than those it will hide.

        Raises:
            DataError: No face was found in any recording.
        """
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
    """A ``FaceAutoencoder`` with a trained network.

    Attributes:
        method: The options.
        network: The trained network.
        losses: Training error at each step.
    """

    method: FaceAutoencoder
    network: Autoencoder = field(repr=False)
    losses: tuple[float, ...] = ()

    @property
    def policy(self) -> str:
        """Whose randomness a recording gets."""
        return self.method.policy

    def __call__(self, frames: Iterable[LocatedFrame], *, subject: str, rng: np.random.Generator) -> Iterator[Array]:
        """Yield a uint8 RGB picture (height, width, 3) for every frame."""
        draw = _draw(rng)
        for frame in frames:
            keep = self.method.background == "keep"
            shown = frame.image.copy() if keep else np.full_like(frame.image, _GROUND)
            for face in frame.faces:
                disc_over(face.box, enlarge=self.method.enlarge).put(shown, self._rebuild(frame.image, face, draw))
            yield shown

    def _rebuild(self, image: Array, face: Face, draw: torch.Generator) -> Array:
        made = reconstruct(self.network, self.method.cut(image, face)[None], damage=self.method.damage(), draw=draw)[0]
        return np.repeat(made, 3, axis=2) if made.shape[2] == 1 else made

    def save(self, path: Path) -> None:
        """Write options and weights to a safetensors file."""
        options = {name: str(value) for name, value in asdict(self.method).items()}
        save_weights(path, self.network.state_dict(), options)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what ``save`` wrote.

        Raises:
            DataError: The file is not one.
        """
        weights, options = load_weights(path)
        kinds = {name: type(value) for name, value in asdict(FaceAutoencoder()).items()}
        if set(options) != set(kinds):
            raise DataError(f"{path} holds no face_autoencoder: write it with its save.")
        method = FaceAutoencoder(**{name: kinds[name](text) for name, text in options.items()})
        network = method.network(torch.Generator())
        network.load_state_dict(weights)
        return cls(method=method, network=network.eval())


def _draw(rng: np.random.Generator) -> torch.Generator:
    return torch.Generator().manual_seed(int(rng.integers(2**62)))
