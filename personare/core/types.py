"""What flows through personare: small frozen records, numpy arrays inside."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # pandas takes most of a second to import, and the command line must answer at once
    import pandas as pd

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One take of one person.

    ``tracks`` are paths relative to the cohort's root: of ``audio``, ``video``, ``physio``, ``text``, ``events``, or of
    a precomputed feature track such as ``logmel``.
    """

    id: str  # unique in its cohort, e.g. sub-01_ses-01_task-angry
    subject: str  # the person's pseudonym, e.g. 01; never a name
    session: str
    tracks: Mapping[str, str]
    labels: Mapping[str, str] = field(
        default_factory=dict
    )  # the behavior, e.g. {"emotion": "anger", "sentence": "DFA"}


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """A folder of people's recordings (BIDS-shaped) and what is known about the people."""

    root: Path
    name: str
    recordings: tuple[Recording, ...]
    participants: "pd.DataFrame"  # a row for each person, by pseudonym; columns such as sex (F/M) and age (years)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Recordings as arrays, row by row the same recordings everywhere: training data, or what an attacker sees.

    Shapes tell what arrays are: (N, D) a table, (N, T, D) a signal, (N, 1, F, T) a spectrogram, (N, 3, H, W) a picture,
    all float32, and (N,) str a text. Missing rows are zeros or empty. Recordings of any length are (N,) objects, an
    array each; see ``of``.
    """

    ids: tuple[str, ...]
    arrays: Mapping[str, Array]  # by modality
    present: Mapping[str, Array]  # by modality, (N,) bool: False where a recording lacks it
    labels: Array  # (N,) int64, index into ``classes``
    classes: tuple[str, ...]  # what the labels mean, in a fixed order; empty where no label was chosen
    subjects: Array  # (N,) str, whose recording it is
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by modality, the D of a table or a signal
    # facts by recording id: subject, session, the labels and, where known, sex and age (years); missing is NaN
    table: "pd.DataFrame | None" = None

    @classmethod
    def of(cls, table: "pd.DataFrame", tracks: Mapping[str, Mapping[str, Array]]) -> "Batch":
        """Return recordings of any length, as a judge sees the originals or one release.

        ``table`` has a row a recording, with ``subject``; ``tracks`` are arrays by track, then by the ids of those
        recordings that have it, and are read when they are first looked at.
        """
        ids = tuple(map(str, table.index))

        def ragged(clips: Mapping[str, Array]) -> Array:
            values = np.empty(len(ids), dtype=object)  # numpy would put arrays of one shape together
            for n, i in enumerate(ids):
                values[n] = clips.get(i, np.empty(0))
            return values

        return cls(
            ids=ids,
            arrays=_Ragged(tracks, ragged),
            present=_Ragged(tracks, lambda clips: np.array([i in clips for i in ids], dtype=bool)),
            labels=np.zeros(len(ids), dtype=np.int64),
            classes=(),
            subjects=table["subject"].to_numpy(dtype=str),
            table=table,
        )

    def __len__(self) -> int:
        """Return how many recordings there are."""
        return len(self.ids)

    def digest(self) -> str:
        """Return a short hash of all that is learned from these recordings."""
        arrays = {}
        for name, values in self.arrays.items():
            content = values.tobytes() if values.dtype.kind != "O" else json.dumps(values.tolist()).encode()
            arrays[name] = hashlib.sha256(content).hexdigest()
        what = [self.ids, self.classes, self.labels.tolist(), self.subjects.tolist(), arrays]
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]

    def clips(self, track: str) -> dict[str, Array]:
        """Return one track by recording id, of the recordings that have it."""
        if track not in self.arrays:
            return {}
        return {i: self.arrays[track][n] for n, i in enumerate(self.ids) if self.present[track][n]}

    def take(self, rows: Array) -> "Batch":
        """Return these rows (positions, or (N,) bool), in this order."""
        positions = np.flatnonzero(rows) if rows.dtype == bool else rows
        return replace(
            self,
            ids=tuple(self.ids[i] for i in positions),
            arrays={name: values[positions] for name, values in self.arrays.items()},
            present={name: values[positions] for name, values in self.present.items()},
            labels=self.labels[positions],
            subjects=self.subjects[positions],
            table=None if self.table is None else self.table.iloc[positions],
        )

    def only(self, *modalities: str) -> "Batch":
        """Return the same recordings with these modalities alone."""
        columns = {name: self.columns[name] for name in modalities if name in self.columns}
        arrays, present = ({name: of[name] for name in modalities} for of in (self.arrays, self.present))
        return replace(self, arrays=arrays, present=present, columns=columns)


class _Ragged(Mapping[str, Array]):
    """Tracks of all recordings, each made when it is first asked for: there may be more than fit into memory."""

    def __init__(self, tracks: Mapping[str, Mapping[str, Array]], make: Callable[[Mapping[str, Array]], Array]) -> None:
        self._tracks, self._values = tracks, cache(lambda name: make(tracks[name]))

    def __getitem__(self, name: str) -> Array:
        return self._values(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tracks)

    def __len__(self) -> int:
        return len(self._tracks)


@dataclass(frozen=True, kw_only=True)
class Latents:
    """What a generator draws before it makes recordings of it: standard normal numbers, and nobody's data."""

    labels: Array  # (N,) int64, the class of each recording
    whose: Array  # (N,) which made-up person's each is, counted from 0
    person: Array  # (P, A), kept over all recordings of a person
    moment: Array  # (N, B), of each recording


Reward = Callable[[Batch], Array]
"""How much made-up recordings are liked, (N,); higher is better, only differences mean something."""


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """What raters said of made-up recordings, ready to adapt the generator that made them.

    The raters are parted: ``pairs`` and ``reward`` are of some, ``judge`` of the others. An adaptation may follow the
    first; the second only ever stops it.
    """

    items: Batch  # the recordings that were compared; nobody real is among them
    pairs: Array  # (M, 2) int, positions in ``items``: which was preferred to which
    reward: Reward  # learned from the same raters; where it is not sure it says less
    judge: Reward  # learned from the raters who were kept out


@dataclass(frozen=True, kw_only=True)
class Spend:
    """A mechanism that touched people's data, as ``learn`` prices it: what was sampled, and under how much noise."""

    unit: Literal["person", "recording"]  # what counts as one: all recordings of a person, or one recording
    sampling_rate: float  # the chance of each unit to be in a step (Poisson); 1 where everyone is in each
    noise_multiplier: float  # deviation of the Gaussian noise over what one unit can change (L2)
    steps: int
    epsilon: float  # what it costs at ``delta``, by the accountant named
    delta: float  # the chance that the bound fails
    accountant: str  # pld or prv
    units: int  # how many there were; public
    failure: float = 0.0  # part of ``delta``: the chance that something shows which no noise is on


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What was said in a conversation, by whom; a picture is held in memory and goes nowhere but to the model."""

    role: Literal["system", "user", "assistant"]
    text: str
    picture: Array | None = None  # uint8 RGB, (H, W, 3)


@dataclass(frozen=True, kw_only=True)
class Signal:
    """Evenly sampled float32 ``values``, (samples, channels), from ``start_s`` of the recording; audio in [-1, 1]."""

    values: Array
    rate_hz: float
    start_s: float = 0.0

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.values) / self.rate_hz


TrackKind = Literal["table", "signal", "spectrogram", "picture", "text", "sound", "film"]


@dataclass(frozen=True, kw_only=True)
class Track:
    """What a file holds."""

    kind: TrackKind  # table (D,), signal (T, D), spectrogram (F, T), picture (3, H, W) or text
    values: Array | str  # whole numbers of a known range keep their type, so that a cohort fits in memory
    columns: tuple[str, ...] = ()  # names of the columns of a table or a signal, where known
    rate_hz: float = 0.0  # samples a second of a signal; 0 where there is none
    start_s: float = 0.0  # when a signal starts, in seconds of the recording


@dataclass(frozen=True, kw_only=True)
class Face:
    """One face in one frame; landmarks, blendshapes and pose are None where they were not asked for."""

    box: Array  # (4,) left, top, right, bottom in pixels; may reach beyond the frame
    score: float  # the detector's confidence in [0, 1]; of a tracked or interpolated box, that of its anchors
    track: int  # stays with the face through one video
    landmarks: Array | None = None  # (478, 3) MediaPipe mesh, x and y in pixels of the frame, z in the same scale
    blendshapes: Array | None = None  # (52,) MediaPipe blendshape scores in [0, 1], in MediaPipe's order
    pose: Array | None = None  # (4, 4) facial transformation matrix


@dataclass(frozen=True, kw_only=True)
class LocatedFrame:
    """One frame of a video and the faces found in it.

    Where it is not ``certain`` the locator cannot vouch for the faces (drift, loss): it must be covered whole.
    """

    index: int  # position in the video, from 0
    time_s: float  # presentation time
    image: Array  # uint8 RGB, (height, width, 3)
    faces: tuple[Face, ...]  # the largest first; empty if nobody is seen
    certain: bool
    smallest_face_px: float = float("nan")  # width of the smallest face promised to be found; NaN: nothing was promised


@dataclass(frozen=True, kw_only=True)
class Withheld:
    """A recording or a file that does not leave (or did not enter), why, and what the user can do."""

    item: str
    problem: str
    fix: str


@dataclass(frozen=True, kw_only=True)
class Release:
    """What leaves the circle of people who may see a cohort."""

    name: str  # unique in a study, e.g. face_blur
    kind: str  # recordings, representations, synthetic, model, or another package's own
    root: Path  # the folder that holds it; of recordings, itself a cohort
    modalities: tuple[str, ...]  # what was made, audio and/or video
    methods: Mapping[str, str]  # by modality
    options: Mapping[str, Mapping[str, Any]]  # by method
    counts: Mapping[str, float]  # what was done: recordings, frames, frames_covered_whole, seconds ...
    withheld: tuple[Withheld, ...] = ()
    claim: str = ""  # what may be claimed about the people it was made of; empty where nothing was put into words


RISKS = ("identify", "infer", "member", "link")
"""The questions an attacker asks: who is it, what kind of person, were they in it, do two records belong together."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One measured number about one release: a row of ``results.json``.

    A row is known by its ``release``, ``kind``, ``modality``, ``question``, ``method``, ``figure``, ``subset`` and
    ``attacker``. No code reads meaning out of a text: what a program decides by has a column.

    Its question is one of ``RISKS``; ``read`` (what behavior is still read), ``resemble`` (how like real people made-up
    ones are) or ``cost``. Its status is ``ok``; ``not_informative`` where the attack failed its self-test;
    ``not_measured`` where there is no number; ``claim_broken`` where an attack refutes what the release claims.
    """

    release: str = ""  # "original" for unprotected data; whoever judges fills in this and ``kind``
    kind: str = "recordings"  # of release; originals have the kind that they are the baseline of
    modality: str = ""  # audio, video or audio+video (visits of histories); empty where the release is of none
    question: Literal["identify", "infer", "member", "link", "read", "resemble", "cost"]
    method: str  # the attack, reader or measure; "strongest" and "reader" are chosen of several
    figure: str  # what the number is: top1, auc, uar ...
    subset: str = ""  # of whom or of what: outliers, sex_F, a modality, an attribute (sex), a task's label
    # of a risk ignorant, lazy_informed, semi_informed, shadow or canaries; of behavior fixed_reader or retrained_reader
    attacker: str = ""
    status: Literal["ok", "not_informative", "not_measured", "claim_broken"] = "ok"
    value: float  # NaN where it cannot be had
    low: float = float("nan")  # to ``high``: the 95 % interval (people resampled)
    high: float = float("nan")
    n: int = 0  # recordings (or people, see unit) behind it
    unit: str = "share"  # share, correlation, seconds ...
    better: Literal["higher", "lower"] = "higher"  # from the releasing side: risks are better lower
    baseline: float = float("nan")  # the same figure on unprotected data
    control: float = float("nan")  # what guessing gives (chance, or the majority)
    reason: str = ""  # anything a reader must know, in words for people; no code decides by it
    # for the report only (confusion matrix, histograms, which attack was strongest); not in results.json
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """What has no number was not measured and what has one was, whoever made the row of whatever other row."""
        if self.value != self.value:
            object.__setattr__(self, "status", "not_measured")
        elif self.status == "not_measured":
            object.__setattr__(self, "status", "ok")

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What was measured, of whatever release: the same of originals and of a release."""
        return self.question, self.method, self.figure, self.subset, self.attacker

    @property
    def name(self) -> str:
        """What a table calls it, e.g. ``voice_gmm.top1`` or ``model.uar.sex_F``."""
        return ".".join(filter(None, (self.method, self.figure, self.subset)))

    @property
    def risk(self) -> bool:
        """Whether it says what attackers learn about people."""
        return self.question in RISKS
