"""Which of all that was measured stands for a release: the one place where "the strongest attack" is chosen.

The judge, the report and the terminal all choose here, so that they cannot choose differently. An attack counts only
where it passed its self-test; where none did, the strongest of the others is given, and its status says so.
"""

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from personare.core.types import RISKS, Result

CANARIES = ("synthetic_canaries_neighbor", "synthetic_canaries_normal")
"""Attacks on people who were planted to be found: they never stand for everybody."""

GAIN = "learning_gain"
"""Of an attack that names people: how many more of the others it ranks after the right one than with half to learn."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """Which rows of a release may stand for it; what is left empty may be anything."""

    questions: tuple[str, ...]
    figures: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    subset: str = ""
    attacker: str = ""

    def rows(self, rows: Sequence[Result], release: str, group: str) -> list[Result]:
        """Return the rows of a release that are asked for."""
        matches = [
            r
            for r in rows
            if r.release == release
            and group_of(r) == group
            and r.question in self.questions
            and r.figure in (self.figures or (r.figure,))
            and r.method in (self.methods or (r.method,))
            and r.method not in self.without
            and r.subset == self.subset
        ]
        of_attacker = [r for r in matches if r.attacker == self.attacker] if self.attacker else matches
        # Training again on originals changes nothing, so one attacker's or reader's row is enough for them.
        return of_attacker or (matches if release == "original" else [])

    def find(self, rows: Sequence[Result], release: str, group: str) -> Result | None:
        """Return the row that stands for a release."""
        return strongest(self.rows(rows, release, group))


IDENTIFY = Query(questions=("identify",), figures=("top1",), attacker="semi_informed")
IDENTIFY_ALL = replace(IDENTIFY, figures=("person_top1",))
READ = Query(questions=("read",), figures=("uar", "ccc"), methods=("reader",), attacker="retrained_reader")
MEMBER = Query(questions=("member",), figures=("auc", "person_auc"))
MEMBER_PEOPLE = Query(questions=("member",), figures=("auc",), without=CANARIES)
LEARNED = Query(questions=("read",), figures=("tstr_uar", "next_visit_auc"))  # of histories: what comes next
_NO_ATTACKER = "no retrained attacker was run on it"
STANDS: Mapping[str, Sequence[tuple[Query, str]]] = {
    "recordings": ((IDENTIFY, _NO_ATTACKER), (READ, "no retrained reader was run on it")),
    "representations": ((IDENTIFY, _NO_ATTACKER), (READ, "no reader was run on it")),
    "synthetic": (
        (MEMBER_PEOPLE, "no membership attack on its people was run"),
        (LEARNED, "what is learned from it was not measured"),
    ),
    "model": (
        (MEMBER, "no membership attack was run on it"),
        (Query(questions=("read",), figures=("uar",), methods=("model",)), "its recall was not measured"),
    ),
    "assistant": (
        (Query(questions=("identify",), figures=("top1",)), "no attack on what leaves it was run"),
        (Query(questions=("read",), figures=("rules",), subset="visual"), "whether its answers fit was not measured"),
    ),
}
"""The risk and the utility that stand for a release on the frontier, by its kind, and what is said without them."""
ANY_KIND = (
    (Query(questions=RISKS, figures=("top1", "auc", "person_auc", "risk")), "no attack was run on it"),
    (Query(questions=("read",), figures=("uar", "ccc", "tstr_uar", "accuracy")), "nothing was read from it"),
)
"""The same for a kind of release that came with a package of its own."""


def group_of(row: Result) -> str:
    """Return what a row is compared within: the modality of recordings, else the kind of release."""
    return row.modality if row.kind == "recordings" else row.kind


def informative(row: Result) -> bool:
    """Whether the attack behind a row passed its self-test."""
    return row.status != "not_informative"


def lower_bounds(rows: Sequence[Result]) -> list[Result]:
    """Return each top-1 that more recordings to learn from would raise.

    That is where the interval of what their second half added lies above zero, and that of the top-1 below one: who is
    named already cannot be named more. Elsewhere the attack has what it can use; another one may still do more.
    """
    key = operator.attrgetter("release", "kind", "modality", "method", "attacker")
    rising = {key(r) for r in rows if r.figure == GAIN and informative(r) and r.low > 0}
    return [r for r in rows if (r.question, r.figure) == ("identify", "top1") and key(r) in rising and r.high < 1]


def strongest(rows: Sequence[Result]) -> Result | None:
    """Return the attack that finds most, or the reader that reads most.

    The judge's own choice comes first, then attacks that passed their self-test, then the others, then what could not
    be measured, for its reason. The best of several noisy figures is a little too high: it errs on the side of risk.
    """
    choices = [r for r in rows if r.method == "strongest"]
    finite = [r for r in choices or rows if math.isfinite(r.value)]
    credible = [r for r in finite if informative(r)] or finite
    if not credible:
        return next(iter(choices or rows), None)
    return max(reversed(credible), key=lambda r: r.value if r.risk == (r.better == "lower") else -r.value)


def broken_claim(rows: Sequence[Result], release: str) -> Result | None:
    """Return a row in which an attack found more than a privacy claim allows; None where none did."""
    return next((r for r in rows if r.release == release and r.status == "claim_broken"), None)


def choose(rows: Sequence[Result], release: str, kind: str, modality: str = "") -> tuple[Result, Result] | str:
    """Return the risk and the utility that stand for a release, or why there are none."""
    if broken_claim(rows, release) is not None:
        return "its privacy claim does not hold"
    pair: list[Result] = []
    for query, without in STANDS.get(kind, ANY_KIND):
        row = query.find(rows, release, modality if kind == "recordings" else kind)
        if row is None or not math.isfinite(row.value):
            return (row.reason if row else "") or without
        pair.append(row)
    return pair[0], pair[1]


def baseline(row: Result | None) -> Result | None:
    """Return what the same figure was where nothing was protected."""
    if row is None or not math.isfinite(row.baseline):
        return None
    return replace(row, release="original", value=row.baseline, low=math.nan, high=math.nan, reason="", detail={})


def unprotected(rows: Sequence[Result], risk: Result, utility: Result) -> tuple[Result, Result] | None:
    """Return what the baselines of a release say of the originals; None where they say nothing.

    Shadow generators may have no worst release to be tried on: beside them stands the strongest attack that has one.
    """
    risk_before, utility_before = baseline(risk), baseline(utility)
    if risk_before is None and risk.kind == "synthetic":
        baselines = [baseline(r) for r in MEMBER_PEOPLE.rows(rows, risk.release, "synthetic")]
        risk_before = max(filter(None, baselines), key=lambda r: r.value, default=None)
    return (risk_before, utility_before) if risk_before and utility_before else None
