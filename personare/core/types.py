"""What flows through personare: small frozen records, numpy arrays inside."""

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
    """One take of one person, whose ``subject`` is a pseudonym (``01``) and never a name.

    ``id`` is such as ``sub-01_ses-01_task-angry``; ``tracks`` are paths relative to the cohort's root by track
    (``audio``, ``video``, ``physio``, ``text``, ``events``, or a precomputed feature track such as ``logmel``);
    ``labels`` say what the behavior is, e.g. ``{"emotion": "anger", "sentence": "DFA"}``.
    """

    id: str
    subject: str
    session: str
    tracks: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """A folder of people's recordings (BIDS-shaped) and what is known about the people.

    ``participants`` has a row for each person, by pseudonym; columns such as ``sex`` (``F``/``M``) and ``age`` (years).
    """

    root: Path
    name: str
    recordings: tuple[Recording, ...]
    participants: "pd.DataFrame"


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Recordings as arrays, row by row the same recordings everywhere: what is learned from, and what an attacker sees.

    Attributes:
        ids: Of N recordings.
        arrays: By modality, (N, ...) float32, or (N,) str for text. Shapes tell what they are: (N, D) a table,
            (N, T, D) a signal, (N, 1, F, T) a spectrogram, (N, 3, H, W) a picture. Missing rows are zeros or empty.
            Recordings of any length are (N,) objects, an array each; see ``of``.
        present: By modality, (N,) bool: False where a recording lacks it.
        labels: (N,) int64, index into ``classes``.
        classes: What the labels mean, in a fixed order; empty where no label was chosen.
        subjects: (N,) str, whose recording it is.
        columns: By modality, what the D columns of a table or a signal are, where known.
        table: Facts by recording id: ``subject``, ``session``, the labels (``emotion``, ``sentence`` ...) and, where
            known, ``sex`` and ``age`` (years). Missing is NaN. None where nobody asks for them.
    """

    ids: tuple[str, ...]
    arrays: Mapping[str, Array]
    present: Mapping[str, Array]
    labels: Array
    classes: tuple[str, ...]
    subjects: Array
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
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

    def __init__(self, tracks: Mapping[str, Mapping[str, Array]], made: Callable[[Mapping[str, Array]], Array]) -> None:
        self._tracks, self._made = tracks, cache(lambda name: made(tracks[name]))

    def __getitem__(self, name: str) -> Array:
        return self._made(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tracks)

    def __len__(self) -> int:
        return len(self._tracks)


@dataclass(frozen=True, kw_only=True)
class Spend:
    """A mechanism that touched people's data, as ``learn`` prices it: what was sampled, and under how much noise.

    Attributes:
        unit: What counts as one: all recordings of one ``person``, or one ``recording``.
        sampling_rate: The chance of each unit to be in a step (Poisson); 1 where everyone is in each.
        noise_multiplier: Standard deviation of the Gaussian noise over what one unit can change (L2).
        steps: How often.
        epsilon: What it costs, by the ``accountant`` named (``pld`` or ``prv``).
        delta: The chance that the bound fails.
        units: How many units there were; public.
    """

    unit: Literal["person", "recording"]
    sampling_rate: float
    noise_multiplier: float
    steps: int
    epsilon: float
    delta: float
    accountant: str
    units: int


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


@dataclass(frozen=True, kw_only=True)
class Face:
    """One face in one frame.

    Attributes:
        box: (4,) left, top, right, bottom in pixels; may reach beyond the frame.
        score: The detector's confidence in [0, 1]; for a tracked or interpolated box, that of its anchors.
        track: A number that stays with the face through one video.
        landmarks: (478, 3) MediaPipe mesh, x and y in pixels of the frame, z in the same scale; None if not asked for.
        blendshapes: (52,) MediaPipe blendshape scores in [0, 1], in MediaPipe's order; None if not asked for.
        pose: (4, 4) facial transformation matrix; None if not asked for.
    """

    box: Array
    score: float
    track: int
    landmarks: Array | None = None
    blendshapes: Array | None = None
    pose: Array | None = None


@dataclass(frozen=True, kw_only=True)
class LocatedFrame:
    """One frame of a video, ``image`` (height, width, 3) uint8 RGB, and the faces found in it.

    Attributes:
        index: Position in the video, from 0.
        time_s: Presentation time.
        faces: The largest first; empty if nobody is seen.
        certain: False where the locator cannot vouch for the faces (drift, loss): the frame must be covered whole.
        smallest_face_px: Width of the smallest face that was promised to be found; NaN: nothing was promised.
    """

    index: int
    time_s: float
    image: Array
    faces: tuple[Face, ...]
    certain: bool
    smallest_face_px: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class Withheld:
    """A recording or a file that does not leave (or did not enter), why, and what the user can do."""

    item: str
    problem: str
    fix: str


@dataclass(frozen=True, kw_only=True)
class Release:
    """What leaves the circle of people who may see a cohort.

    Attributes:
        name: Unique in a study, e.g. ``face_blur``.
        kind: ``recordings``, ``representations``, ``synthetic``, ``model``, or another package's own.
        root: The folder that holds it; for recordings, itself a cohort.
        modalities: What was made, ``audio`` and/or ``video``.
        methods: By modality.
        options: By method.
        counts: What was done: ``recordings``, ``frames``, ``frames_covered_whole``, ``seconds`` ...
        claim: What may be claimed about the people it was made of, in words; empty where nothing was put into words.
    """

    name: str
    kind: str
    root: Path
    modalities: tuple[str, ...]
    methods: Mapping[str, str]
    options: Mapping[str, Mapping[str, Any]]
    counts: Mapping[str, float]
    withheld: tuple[Withheld, ...] = ()
    claim: str = ""


RISKS = ("identify", "infer", "member", "link")
"""The questions an attacker asks: who is it, what kind of person, were they in it, do two records belong together."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One measured number about one release: a row of ``results.json``.

    A row is known by its ``release``, ``kind``, ``modality``, ``question``, ``method``, ``figure``, ``subset`` and
    ``attacker``. No code reads meaning out of a text: what a program decides by has a column.

    Attributes:
        release: The release's name; ``original`` for unprotected data. Whoever judges fills in this and ``kind``.
        kind: Of release: ``recordings``, ``representations``, ``synthetic``, ``model``, or another package's own;
            originals have the kind that they are the baseline of.
        modality: ``audio``, ``video`` or ``audio+video`` (``visits`` of histories); empty where the release is of none.
        question: One of ``RISKS``; ``read`` (what behavior is still read), ``resemble`` (how like real people made-up
            ones are) or ``cost``.
        method: The attack, reader or measure; ``strongest`` and ``reader`` are chosen of several.
        figure: What the number is: ``top1``, ``auc``, ``uar`` ...
        subset: Of whom or of what: ``exposed`` people, ``sex_F``, a modality, an attribute (``sex``), a task's label.
        attacker: ``ignorant``, ``lazy_informed``, ``semi_informed``, ``shadow`` or ``canaries`` for a risk;
            ``fixed_reader`` or ``retrained_reader`` for behavior; empty where neither applies.
        status: ``ok``; ``not_informative`` where the attack failed its self-test; ``not_measured`` where there is no
            number; ``claim_broken`` where an attack refutes what the release claims.
        value: The number; NaN where it cannot be had. ``low`` to ``high`` is its 95 % interval (people resampled).
        n: Number of recordings (or people, see unit) behind it.
        unit: ``share``, ``correlation``, ``seconds`` ...
        better: ``higher`` or ``lower``, from the releasing side: risks are better lower.
        baseline: The same figure on unprotected data.
        control: What guessing gives (chance, or the majority).
        reason: Anything a reader must know, in words for people; no code decides by it.
        detail: For the report only (confusion matrix, histograms, which attack was ``strongest``); not in
            ``results.json``.
    """

    release: str = ""
    kind: str = "recordings"
    modality: str = ""
    question: Literal["identify", "infer", "member", "link", "read", "resemble", "cost"]
    method: str
    figure: str
    subset: str = ""
    attacker: str = ""
    status: Literal["ok", "not_informative", "not_measured", "claim_broken"] = "ok"
    value: float
    low: float = float("nan")
    high: float = float("nan")
    n: int = 0
    unit: str = "share"
    better: Literal["higher", "lower"] = "higher"
    baseline: float = float("nan")
    control: float = float("nan")
    reason: str = ""
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
