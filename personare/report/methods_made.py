"""Writes the methods paragraphs about representations and synthetic people, from what the study recorded of them."""

import re
from collections.abc import Sequence

from personare.core.types import Result
from personare.report.figures import informative
from personare.report.phrases import count, listing
from personare.report.run import RunRecord

__all__ = ["made_paragraphs"]


def made_paragraphs(record: RunRecord) -> list[str]:
    """Return the paragraphs; none where neither was released."""
    return [text for text in (_represented(record), _made_up(record)) if text]


def _represented(record: RunRecord) -> str:
    names = record.of("representation")
    if not names:
        return ""
    rows = [r for r in record.results if r.modality == "representation"]
    many = f"{count(len(names), 'representation')} {_were(names)} fitted"
    text = f"{many}: {_listed(record, names)}. {_claims(record, names)}"
    if readers := _families(rows, r"reader_(\w+)\.uar"):
        text += f" Behavior of people to whom nothing was fitted was read by {listing(readers)} readers;"
        text += " the one that read held-out known people best counts."
    if attackers := _families(rows, r"naming_(\w+)\.top1"):
        text += f" The same people were named by {listing(attackers)} attackers trained on the representation"
        text += " (semi-informed), enrolled and tested on different content; the strongest that names people by the raw"
        text += " features counts."
    if tasks := _families(rows, r"transfer\.(.+)"):
        text += f" Each was also read, as it is, for {listing(tasks)}."
    if any(r.detail.get("carriers") for r in rows):
        text += " What carries identity is the drop of the share named when one part of the input is exchanged between"
        text += " recordings (permutation importance)."
    return text


def _made_up(record: RunRecord) -> str:
    names = record.of("synthetic")
    if not names:
        return ""
    rows = [r for r in record.results if r.modality == "synthetic"]
    many = f"{count(len(names), 'cohort')} of people who do not exist {_were(names)} made"
    text = f"{many}: {_listed(record, names)}. {_claims(record, names)}"
    if readers := _families(rows, r"synthetic\.(\w+)\.tstr_uar"):
        text += f" Use was measured by {listing(readers)} readers taught by synthetic people and tried on real people"
        text += " whom the generator never met, beside the same readers taught by the real people learned from."
        text += " Likeness stands between other real people (best) and recordings whose modalities were put together at"
        text += " random (worst)."
    return text + _attacked(rows)


def _attacked(rows: Sequence[Result]) -> str:
    named = {"shadow": "membership through shadow generators", "canaries": "planting extreme people"}
    attacks = [named.get(name, name) for name in _families(rows, r"synthetic_(\w+)(?:\..*)?")]
    if not attacks:
        return " No attack on the people behind them was run."
    text = (
        f" The people learned from were attacked by {listing(attacks)}, held against people who were not learned from;"
    )
    text += (
        " what finds nobody where the real recordings are released as they are is not informative. Intervals of what"
    )
    text += " is guessed or joined are Wilson's and Newcombe's."
    believed = [r for r in rows if "_exposed" not in r.measure]
    failed = _families([r for r in believed if not informative(r)], r"synthetic_(\w+)(?:\..*)?")
    return text + (f" Not informative on some release: {listing(failed)}." if failed else "")


def _were(names: Sequence[str]) -> str:
    return "was" if len(names) == 1 else "were"


def _listed(record: RunRecord, names: Sequence[str]) -> str:
    return "; ".join(f"{name} ({', '.join(_about(record, name))})" for name in names)


def _about(record: RunRecord, name: str) -> list[str]:
    one = record.release(name)
    methods = [str(m) for m in (one.get("methods") or {}).values()]
    options = [f"{k} = {v}" for chosen in (one.get("options") or {}).values() for k, v in dict(chosen).items()]
    counts = one.get("counts") or {}
    size = (
        [f"{count(counts.get('recordings'), 'recording')} of {count(counts.get('people'), 'person')}"] if counts else []
    )
    return [*methods, *options, *size] or ["how is not recorded"]


def _claims(record: RunRecord, names: Sequence[str]) -> str:
    return f"Privacy claimed: {'; '.join(f'{name}, {record.claim(name).words}' for name in names)}."


def _families(rows: Sequence[Result], pattern: str) -> list[str]:
    found = (re.fullmatch(pattern, r.measure) for r in rows)
    return list(dict.fromkeys(match[1].partition(".")[0].replace("_", " ") for match in found if match))
