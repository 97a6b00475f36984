"""What a study file says of each release, and of the figures beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from personare.core import registry
from personare.core.errors import OptionError
from personare.core.protocols import Representation

__all__ = ["ModelPlan", "Published", "RepresentationPlan", "SyntheticPlan", "TransferPlan"]

_REPRESENT = "personare.represent"


@dataclass(frozen=True, kw_only=True)
class ModelPlan:
    """A model to train.

    Attributes:
        name: Unique in the study.
        method: A file of ``train``.
        options: Its options, ``epsilon`` among them.
        modalities: Tracks to read; none: all but films.
        label: What is learned; empty: the study's.
        protocol: ``person_folds``: judged on people it never met. ``unseen_sentences``: who also say what it never
            heard. ``published``: the parts that the data set's authors named, in the label ``split``.
            ``leaky_random_9_1``: on other clips of the same people, to compare with tables published that way.
    """

    name: str
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    modalities: Sequence[str] = ()
    label: str = ""
    protocol: str = "person_folds"

    def __post_init__(self) -> None:
        """Check the protocol, and that the method exists and takes its options."""
        known = ("person_folds", "unseen_sentences", "published", "leaky_random_9_1")
        if self.protocol not in known:
            raise OptionError(f"The protocol must be one of {', '.join(known)}, not {self.protocol!r}.")
        registry.create("personare.train", self.method, self.options)


@dataclass(frozen=True, kw_only=True)
class RepresentationPlan:
    """What is described, and how.

    Attributes:
        name: Unique in a study; anything elsewhere.
        method: A file of ``represent``.
        options: Its options.
        then: What follows it, each with ``method`` and ``options``, fitted to what the one before shows.
        label: What is to be kept, such as ``emotion``; empty: the study's.
        modalities: Tracks to read; none: all but films and events.
        held_out: Share of the people it is not fitted to; they are represented too, and it is judged by them.

    Raises:
        OptionError: A number out of its range.
    """

    method: str
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    then: Sequence[Mapping[str, Any]] = ()
    label: str = ""
    modalities: Sequence[str] = ()
    held_out: float = 0.5

    def __post_init__(self) -> None:
        """Check the numbers, and that the methods exist and take their options."""
        if not 0 <= self.held_out < 1:
            raise OptionError(f"held_out must be a share from 0 to below 1, not {self.held_out}. Give e.g. 0.5.")
        self.methods()

    def methods(self) -> list[Representation]:
        """Return the method, and what follows it."""
        links = [{"method": self.method, "options": self.options}, *self.then]
        return [registry.create(_REPRESENT, str(link.get("method", "")), link.get("options", {})) for link in links]


@dataclass(frozen=True, kw_only=True)
class SyntheticPlan:
    """What people are made up.

    Attributes:
        name: Unique in a study; anything elsewhere.
        method: A file of ``synthesize``.
        options: Its options, ``epsilon`` among them.
        people: How many.
        recordings: Of each.
        label: What recordings are made of, such as ``emotion``; empty: the study's.
        classes: Only these; none: all that the cohort has.
        modalities: Tracks to learn; none: all but films and events.
        held_out: Share of the people who are kept out of learning, to measure risk and use by.
        media: Whether sound and films are made of arrays that have none of their own.

    Raises:
        OptionError: A number out of its range.
    """

    method: str
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    people: int = 50
    recordings: int = 12
    label: str = ""
    classes: Sequence[str] = ()
    modalities: Sequence[str] = ()
    held_out: float = 0.2
    media: bool = True

    def __post_init__(self) -> None:
        """Check the numbers, and that the method exists and takes its options."""
        if self.people < 1 or self.recordings < 1:
            raise OptionError(
                f"There must be at least one person and one recording of each, not {self.people} and {self.recordings}."
            )
        if not 0 <= self.held_out < 1:
            raise OptionError(f"held_out must be a share from 0 to below 1, not {self.held_out}. Give e.g. 0.2.")
        registry.create("personare.synthesize", self.method, self.options)

    @property
    def texts(self) -> bool:
        """Whether the generator makes words; else they are not among the tracks that it learns where none are named."""
        return bool(getattr(registry.load("personare.synthesize", self.method), "makes_texts", True))


@dataclass(frozen=True, kw_only=True)
class TransferPlan:
    """Another task that representations are judged by, as they were fitted.

    Attributes:
        name: Unique in a study.
        label: What is read.
        cohort: Folder of another cohort; empty: the study's own, where the label must be another one.
    """

    name: str
    label: str
    cohort: str = ""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A figure that somebody published, and the row of ours that answers it.

    Attributes:
        row: What was measured.
        published: The figure as published.
        release: Our release.
        measure: Our measure.
        attacker: Who looks, as the publication did.
        retrained: Who looks after retraining; empty where that has no meaning.
    """

    row: str
    published: str
    release: str
    measure: str
    attacker: str = ""
    retrained: str = ""
