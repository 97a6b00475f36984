"""What the assistant knows of its user: cues that passed a gate, each with where it came from, for them to see."""

import json
import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any, Final

import numpy as np

from personare.assist.prompting import plain_text
from personare.core.errors import DataError, OptionError, PolicyError


@dataclass(frozen=True, kw_only=True)
class Cue:
    """Something that may be noted of a person; ``values`` is the closed list, empty where they say it as they like."""

    name: str
    label: str
    sources: Sequence[str]  # of camera, voice, self
    values: Sequence[str] = ()
    consent: str = ""  # what a page asks before it is inferred
    from_years: Mapping[str, float] | None = None  # for an age: from which one on each value holds
    most_characters: int = 0
    confided: bool = False  # told in confidence: an answer speaks of it only to who asks


_TEXT: Final[dict[str, Any]] = tomllib.loads(
    (resources.files("personare.assist") / "profile.toml").read_text(encoding="utf-8")
)
_SAID: Final[Mapping[str, str]] = _TEXT["sentences"]
CUES: Final[Mapping[str, Cue]] = {name: Cue(name=name, **about) for name, about in _TEXT["cues"].items()}
"""Every cue there is, in the order of a profile."""

SOURCES: Final[Mapping[str, str]] = _TEXT["sources"]
"""Where a cue comes from, in words: ``camera`` and ``voice`` are guesses, ``self`` is what the person declares."""

CHILD: Final = "under 18"
"""The age band of whom no camera tells anything."""

ROLES: Final[Mapping[str, frozenset[str]]] = {
    "health": frozenset(),
    "tutor": frozenset({"camera.expression", "camera.age_band", "camera.sex"}),
}
"""What each role refuses, consent or not: EU AI Act, Article 5(1)(f), forbids to infer emotions in education."""

_NEVER: Final = re.compile(r"race|racial|ethnic|skin|complexion|nationality|religio|orientation|politic", re.IGNORECASE)


def cue(name: str) -> Cue:
    """Return a cue by its name; what must never be noted of anybody is refused, with the reason."""
    if _NEVER.search(name):
        raise PolicyError(_SAID["never"].format(cue=name[:40]))
    if name not in CUES:
        raise OptionError(f"A cue must be one of {', '.join(CUES)}; {name[:40]!r} is none. Leave it out.")
    return CUES[name]


def coarse(about: Cue, value: str | Mapping[str, float]) -> str:
    """Return the one word that is kept of a reading: of a distribution the likeliest value, of an age its band.

    Example:
        >>> coarse(CUES["age_band"], "63"), coarse(CUES["expression"], {"neutral": 0.2, "sadness": 0.8})
        ('50 and over', 'sadness')
    """
    if isinstance(value, Mapping):
        shares = list(value.values())
        if not shares or not all(math.isfinite(share) and share >= 0 for share in shares) or not sum(shares) > 0:
            raise OptionError(f"A reading of {about.name} must have shares of at least 0, not all 0: given {value}.")
        value = max(zip(shares, value, strict=True))[1]
    words = " ".join(plain_text(str(value)).split())
    if about.from_years and re.fullmatch(r"\d{1,3}(\.\d*)?", words):
        words = [band for band, years in about.from_years.items() if years <= float(words)][-1]
    allowed = {*about.values, *(about.from_years or ())}
    if allowed and words not in allowed:
        raise OptionError(f"{about.label} must be one of {', '.join(about.values)}; given {words[:40]!r}.")
    if not allowed and not 0 < len(words) <= about.most_characters:
        raise OptionError(f"{about.label} must have 1 to {about.most_characters} characters, given {len(words)}.")
    return words


def randomized(value: str, values: Sequence[str], epsilon: float, *, rng: np.random.Generator) -> str:
    """Return the value, or by chance another of the list.

    **Guarantee**: epsilon local differential privacy: no answer is more than exp(epsilon) times as likely for one value
    as for any other. The true value is kept with probability exp(epsilon) / (exp(epsilon) + k - 1) of k values.

    **Source**: S. Warner, "Randomized response", 1965 (10.1080/01621459.1965.10480775); of k values: P. Kairouz, S. Oh,
    P. Viswanath, "Extremal mechanisms for local differential privacy", 2014 (arXiv:1407.1338).
    """
    if rng.random() < 1 / (1 + (len(values) - 1) * math.exp(-epsilon)):
        return value
    return str(rng.choice([other for other in values if other != value]))


class Gate:
    """Lets of a camera or a microphone through what was agreed to, coarsened and, with ``epsilon``, randomized.

    **Guarantee**: what a role refuses, nobody agreed to, or is no cue never passes; of a face that looks like a child
    nothing passes from then on. With ``epsilon`` each first reading of a value costs the person epsilon of local
    differential privacy against everybody who sees the profile; the same value again gets the same answer, so that it
    costs nothing, however often it is seen in a session. ``spent()`` is the sum, by basic composition. That a
    value has changed is not hidden, and nobody may be able to guess ``rng``. What the person declares is not
    randomized.

    ``consents`` (``camera.expression`` ...) may be changed while it is in use; ``log`` has the last word on each cue,
    for the person to read.
    """

    def __init__(self, *, role: str, consents: Iterable[str] = (), epsilon: float | None = None) -> None:
        if role not in ROLES:
            raise OptionError(f"A role must be one of {', '.join(ROLES)}; given {role[:40]!r}.")
        if epsilon is not None and not 0 < epsilon < math.inf:
            raise OptionError(f"Epsilon must be above 0, given {epsilon}. Leave it out where nothing is randomized.")
        self.role, self.epsilon, self.child = role, epsilon, False
        self.consents = set(consents)
        self.log: dict[str, str] = {}
        self._answers: dict[tuple[str, str], str] = {}  # by source.cue and true value; it never leaves this object

    def spent(self, key: str = "") -> float:
        """Return the epsilon of one cue such as ``camera.sex``, or of all cues together, so far."""
        return (self.epsilon or 0.0) * sum(key in ("", k) for k, _ in self._answers)

    def refusal(self, source: str, name: str) -> str:
        """Return why a cue does not pass from a source, in words for the person; empty where it may."""
        about, key = cue(name), f"{source}.{name}"
        if source not in SOURCES:
            raise OptionError(f"A source must be one of {', '.join(SOURCES)}; given {source[:40]!r}.")
        reason = (
            "source" if source not in about.sources
            else "role" if key in ROLES[self.role]
            else "child" if self.child and source == "camera"
            else "consent" if source != "self" and key not in self.consents
            else ""
        )  # fmt: skip
        return _SAID[reason].format(label=about.label, source=source, role=self.role) if reason else ""

    def __call__(
        self, source: str, name: str, value: str | Mapping[str, float], *, rng: np.random.Generator
    ) -> str | None:
        """Return what may be noted of a reading, None where nothing may; ``log`` says what happened."""
        about, key = cue(name), f"{source}.{name}"
        word = coarse(about, value)
        self.child |= source == "camera" and word == CHILD
        if refusal := self.refusal(source, name):
            self.log[key] = refusal
            return None
        if source == "self" or self.epsilon is None:
            self.log[key] = _SAID["passed"].format(label=about.label, value=word)
            return word
        if (key, word) not in self._answers:
            self._answers[key, word] = randomized(word, about.values, self.epsilon, rng=rng)
        answer = self._answers[key, word]
        self.log[key] = _SAID["randomized"].format(label=about.label, value=answer, epsilon=self.spent(key))
        return answer

    def through(
        self, source: str, readings: Mapping[str, str | Mapping[str, float]], *, rng: np.random.Generator
    ) -> dict[str, str]:
        """Return what passes of one look; ``faces`` says how many the camera saw: nothing passes unless it is one."""
        faces = str(readings.get("faces", 1))
        self.log.pop("camera.faces", None)
        if source == "camera" and faces != "1":
            self.log["camera.faces"] = _SAID["faces"].format(faces=faces[:10])
            return {}
        names = sorted(readings, key=lambda name: name != "age_band")  # a child is noticed first
        answers = {name: self(source, name, readings[name], rng=rng) for name in names if name != "faces"}
        return {name: answer for name, answer in answers.items() if answer is not None}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing noted of a person: who says so, and what it cost."""

    value: str
    source: str
    epsilon: float = 0.0


class Profile:
    """What is noted of one person, in memory alone; they see all of it, change it, take it along and remove it.

    **Guarantee**: what the person declares is never overwritten by what was inferred, whichever came first; there is
    nothing in it but the cues of the list.
    """

    def __init__(self, entries: Mapping[str, Entry] | None = None) -> None:
        self._entries: dict[str, Entry] = {}
        for name, entry in (entries or {}).items():
            self.put(name, entry.value, source=entry.source, epsilon=entry.epsilon)

    @property
    def entries(self) -> dict[str, Entry]:
        """Everything noted, in the order of the cues."""
        return {name: self._entries[name] for name in CUES if name in self._entries}

    def put(self, name: str, value: str, *, source: str = "self", epsilon: float = 0.0) -> bool:
        """Note a value; return False where the person has declared another, which stays."""
        about = cue(name)
        if source not in about.sources:
            raise OptionError(f"{about.label} can come from {', '.join(about.sources)}; given {source[:40]!r}.")
        word = coarse(about, value)
        if word == CHILD or not 0 <= epsilon < math.inf:
            raise OptionError(f"{about.label} must be one of {', '.join(about.values)}, and epsilon at least 0.")
        if source != "self" and name in self._entries and self._entries[name].source == "self":
            return False
        self._entries[name] = Entry(value=word, source=source, epsilon=epsilon)
        return True

    def remove(self, name: str) -> None:
        """Forget one thing."""
        self._entries.pop(cue(name).name, None)

    def words(self, *, confided: bool = False) -> str:
        """Return the textual profile, as a model is told it; what was confided only where it is asked for.

        Example:
            >>> Profile({"name": Entry(value="Ana", source="self")}).words(), Profile().words()
            ('name: Ana', 'nothing')
        """
        entries = self.entries.items()
        return "; ".join(f"{n}: {e.value}" for n, e in entries if confided or not CUES[n].confided) or "nothing"

    def to_json(self) -> str:
        """Return everything, for the person to take along or to seal."""
        return json.dumps({name: asdict(entry) for name, entry in self.entries.items()}, ensure_ascii=False, indent=2)

    @classmethod
    def of_json(cls, text: str | bytes) -> "Profile":
        """Read a profile as ``to_json`` wrote it; whatever else there is in the text is an error."""
        try:
            content: Any = json.loads(text)
            return cls({name: Entry(**entry) for name, entry in content.items()})
        except (ValueError, TypeError, AttributeError, OptionError) as error:
            raise DataError(f"This is no profile as it was exported: {error}. Export it again.") from error
