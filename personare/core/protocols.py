"""What a file must offer to be a method: protocols of one or two calls.

A method class may also carry these class attributes, read by whoever runs it:

- ``policy`` (a field of anonymizers): whose randomness a recording gets: ``recording``, ``person`` or ``common``.
- ``fit_on``: ``everyone`` (one fit on the whole cohort), ``others`` (fitted on other people than those it hides) or
  ``nothing`` (the default: it has no ``fit``).
- ``works_alone``: True if the method may also be called unfitted, where there is no group of people to fit on.
- ``needs_landmarks`` (face anonymizers): True if each face must carry landmarks, blendshapes and pose.
- ``moves_face`` (face anonymizers): True if it shows a face elsewhere than it was: attackers then look for it.
- ``question`` (attacks): ``identify``, ``infer``, ``member`` or ``link``.
- ``kinds`` (attacks and measures): of which kinds of release it can be asked; recordings where it does not say.
- ``tracks`` (measures of synthetic people): it is asked where these are, and then instead of those for any track.

What a learner, a representation or a generator has fitted is saved and built again by ``core.state``, from its fields.
A method whose fields cannot say it all offers ``restore(tensors, about)``, and what it fits ``state()``: arrays and
text, no code, no data of people.

An attack on recordings that names people is an ``Identifier``; one that joins what others found, or reads attributes,
is called with originals, release and their trials. An attack on models is called with ``Signals`` and a target
(membership), or with the track ``raw`` of what went into the model and the tracks that it shows, such as ``answers``;
one on synthetic people with a ``SyntheticCase``, randomness and the claim; one on the updates of sites with ``Updates``
and randomness.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from personare.core.types import (
    Array,
    Batch,
    Feedback,
    Latents,
    LocatedFrame,
    Recording,
    Result,
    Signal,
    Spend,
    Track,
    Turn,
    Withheld,
)


class VoiceAnonymizer(Protocol):
    """Speech of a person in, speech of somebody else out.

    May offer ``fit(background: Iterable[tuple[str, Signal]], *, rng) -> VoiceAnonymizer`` over (subject, speech); what
    is fitted may have ``by_subject``, a mapping to what hides each of these people, and ``adapt_to(speech)``, which
    returns the same for other people, whose (subject, speech) it is shown.
    """

    def __call__(self, speech: Signal, *, rng: np.random.Generator) -> Signal:
        """Return new speech with the rate, length, channels and loudness of the given one."""


class FaceAnonymizer(Protocol):
    """Frames with located faces in, frames that may be shown out: one for one, same size, in order.

    May offer ``fit(background: Iterable[tuple[str, Iterable[LocatedFrame]]], *, rng) -> FaceAnonymizer``.
    """

    def __call__(self, frames: Iterable[LocatedFrame], *, subject: str, rng: np.random.Generator) -> Iterator[Array]:
        """Yield a uint8 RGB image (height, width, 3) for every frame."""


class TrackAnonymizer(Protocol):
    """A track of a person that is neither sound nor film in (body signals, words, a phone's log), a new one out.

    May offer ``fit(background: Iterable[tuple[str, Track]], *, rng) -> TrackAnonymizer`` over (subject, track), of all
    recordings of each person. Where ``may_be_unchanged`` is True, a track in which nothing had to be hidden may leave;
    ``counts`` is what is told of the release, ``suffix`` (of the class) how its files end where that is not the
    channel's (``core/channels.py``). One with ``epsilon`` is given randomness that follows from no seed.
    """

    def __call__(self, track: Track, *, subject: str, rng: np.random.Generator) -> Track:
        """Return what may be shown (see ``core.types.Track``); an error withholds the recording."""


class Reader(Protocol):
    """Reads the layout in which a data set is published.

    May offer ``make(source) -> Callable[[str], Made]`` for tracks that are no files of their own (``data/reading.py``).
    """

    def __call__(self, source: Path) -> "tuple[Sequence[Recording], object, Sequence[Withheld]]":
        """Return recordings (tracks relative to ``source``), the participants' table, and what could not be read."""


Scorer = Callable[[Mapping[str, Array]], Array]
"""Clips by recording id in; (clips, enrolled people) scores out, higher = more likely; people in sorted order."""


class Identifier(Protocol):
    """An attacker who names people. Trained on one set, enrolled on another, tested on a third.

    Class attributes: ``modality`` (``audio``/``video``), ``views`` (names of the views it reads, first one keyed).
    """

    def fit(self, clips: Mapping[str, Array], subjects: Mapping[str, str], *, rng: np.random.Generator) -> "Enroller":
        """Train the speaker- or face-independent part (UBM, embedding) on clips of known people."""


class Enroller(Protocol):
    """A trained identifier, ready to enroll people."""

    def enroll(self, clips: Mapping[str, Array], subjects: Mapping[str, str], *, rng: np.random.Generator) -> Scorer:
        """Learn how each person looks or sounds, and return what scores new clips."""


class Utility(Protocol):
    """Measures what can still be learned from a release.

    Class attributes: ``modality``, ``views``. One of synthetic people gets the members (people it was trained on), the
    synthetic ones and, as ``others``, non-members.
    """

    def __call__(self, original: Batch, released: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Return one row per figure and reader; ``release`` is left empty and filled in by the study."""


Fitted = TypeVar("Fitted", covariant=True)


class Fits(Protocol[Fitted]):
    """What learns from a group of people: a ``Learner``, a ``Representation`` or a ``Generator``.

    A learner with ``shards`` may be given ``cache``, a folder in which each shard's model stays for the next training.
    One that can do so with differential privacy has the options ``epsilon`` (None: none) and ``delta``, and a learner
    ``unit``; of a generator it is the person.
    """

    def fit(self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None) -> Fitted:
        """Learn from the people of ``train``, all labels and subjects of which are known.

        ``validation`` are other people, for early stopping and the like; under differential privacy they are not looked
        at. ``public`` are people whose data need no protection, for ranges, scaling and description.
        """


class _Spends(Protocol):
    @property
    def spends(self) -> tuple[Spend, ...]:
        """The privacy that fitting cost; empty where nothing was protected."""


class Predictor(_Spends, Protocol):
    """A trained model. Frozen: calling it changes nothing.

    May offer ``weights(batch) -> Mapping[str, Array]``, how much each modality counted, (N,) in [0, 1]; and
    ``represent(batch) -> Array``, (N, D), what the classes are read from.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """What the columns of probabilities mean."""

    def __call__(self, batch: Batch) -> Array:
        """Return (N, C) probabilities; a modality that is missing counts nothing; chance where all are missing."""


class SharedPredictor(Predictor, Protocol):
    """A model that sites learn together, and attacks can look into as its server can."""

    @property
    def last_layer(self) -> Array:
        """(C, F + 1): what the classes are read by, the last column the bias."""

    def at(self, weights: Array) -> "SharedPredictor":
        """Return the same with other shared weights, (D,), as sites send them."""

    def represent(self, batch: Batch) -> Array:
        """Return (N, F) or more columns: what the last layer reads."""


class Transform(_Spends, Protocol):
    """A fitted representation, small and frozen. It needs no label and no subject; transforms chain."""

    @property
    def guarantee(self) -> str:
        """What holds, against whom, in one sentence; and what does not."""

    def __call__(self, batch: Batch, *, rng: np.random.Generator) -> Batch:
        """Return the same recordings with one modality ``representation``, (N, D) float32."""


class Sampler(_Spends, Protocol):
    """A fitted generator.

    May be a ``LatentSampler``, and may offer ``density`` and ``adapted`` (``learn.sampling.DensitySampler``): by these
    it can be adapted in more ways.
    """

    def __call__(self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None) -> Batch:
        """Return made-up people: ``recordings`` of each, subjects ``synthetic-0001`` and so on.

        ``labels`` (people * recordings,) are the classes to make; None for those the group has.
        """


class LatentSampler(Sampler, Protocol):
    """A fitted generator that may also be called in two steps, between which latents can be moved.

    Calling it is ``decoded(latents(...))``. Only its own file knows what the latents mean.
    """

    def latents(
        self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None
    ) -> Latents:
        """Draw standard normal numbers for made-up people and for each of their recordings."""

    def decoded(self, latents: Latents, *, rng: np.random.Generator) -> Batch:
        """Return the recordings that latents stand for."""


class AdaptedSampler(Sampler, Protocol):
    """A generator after experts were heard; it costs the privacy that the generator cost, and no more."""

    @property
    def drift(self) -> float:
        """How far it went from the generator: the Kullback-Leibler divergence of a recording, in nats."""

    @property
    def course(self) -> Sequence[Mapping[str, float]]:
        """The strengths tried, weakest first, and what each came to.

        ``drift``, and how often the adapted one wins against the generator by ``reward`` and by ``judge``, in [0, 1];
        ``kept`` is 1 for the one that was kept.
        """


class Adaptation(Protocol):
    """Moves a fitted generator toward what raters prefer, without a look at anybody real."""

    def fit(self, sampler: Sampler, feedback: Feedback, *, rng: np.random.Generator) -> AdaptedSampler:
        """Adapt as far as the raters who were kept out agree; an error where this sampler cannot be adapted so."""


class Backend(Protocol):
    """Answers a conversation in words: a language model, or rules. It opens at its first call."""

    @property
    def where(self) -> str:
        """Where the words go, in plain words, e.g. ``this process``."""

    def __call__(self, turns: Sequence[Turn], *, most_tokens: int) -> Iterator[str]:
        """Yield the answer piece by piece; the same turns give the same answer. Closing the iterator stops it."""


ServerStep = Callable[[Array, Array], Array]
"""Shared weights before a round, and the mean of what the sites came to, in; shared weights after it out; all (D,)."""


class FederatedAlgorithm(Protocol):
    """Moves the weights that all sites share by the mean of what they came to in a round.

    May carry ``proximal``, how strongly a site is held near to where a round began (default 0), ``keeps_head``, whether
    the last layer stays at its site (default False), and ``combine(values, weights)``, which makes (D,) of what sites
    sent, (S, D), that count so much, (S,), in place of the weighted mean.
    """

    def start(self) -> ServerStep:
        """Return the step of the server for one training; it may remember earlier rounds."""


Learner = Fits[Predictor]
"""Learns to read behavior from any number of modalities, some of them missing."""
Representation = Fits[Transform]
"""Learns to describe behavior without the person: labels and subjects say what to keep and what to remove."""
Generator = Fits[Sampler]
"""Learns how a group behaves, so that people can be made up who do not exist."""
