"""The card that goes with a released model: what it is, its price in privacy, how it was attacked, what it is for."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from personare.core.types import Cohort, Result, Spend
from personare.data.atomic import write_text

__all__ = ["write_card"]

_USES = """\
## Intended use

Research on behavior in groups of people who agreed to it, by those whom their consent names.

## Prohibited use

Deciding about single people; reading emotions at work or in education (EU AI Act, Art. 5(1)(f)); naming people; any
purpose outside the consent under which the recordings were made.
"""


def write_card(
    path: Path,
    cohort: Cohort,
    model: Any,
    spends: Sequence[Spend],
    rows: Sequence[Result],
    made: Mapping[str, Any],
) -> None:
    """Write the card of a model.

    Args:
        path: The file, Markdown with a YAML head.
        cohort: Whose recordings it learned from.
        model: What was asked for.
        spends: The privacy that training cost; none: no protection.
        rows: What was measured.
        made: ``classes`` and ``modalities`` it knows, ``recordings`` and ``people`` it learned from.
    """
    head = f"---\nlibrary_name: personare\ntags: [{model.label}, {model.method}]\n---\n\n# {model.name}\n"
    task = (
        f"Reads {model.label} ({', '.join(made['classes'])}) from {', '.join(made['modalities'])}. "
        f"Learned by `{model.method}` from {made['recordings']} recordings of {made['people']} people of "
        f"{cohort.name}; protocol `{model.protocol}`. Options: {dict(model.options) or 'as they come'}.\n"
    )
    titles = {False: "What it can do", True: "What attacks find out"}
    tables = [_table(title, [r for r in rows if r.risk == risk]) for risk, title in titles.items()]
    write_text(path, "\n".join([head, task, "## Privacy\n", _privacy(spends), *tables, _USES]))


def _privacy(spends: Sequence[Spend]) -> str:
    if not spends:
        return "**None.** The model may remember people it learned from. Keep it inside the circle of its recordings.\n"
    lines = [
        f"- ε = {s.epsilon:.3g} at δ = {s.delta:.1e} for one **{s.unit}** (of {s.units}; accountant {s.accountant}; "
        f"Poisson rate {s.sampling_rate:.3g}, noise {s.noise_multiplier:.3g}, {s.steps} steps; add or remove one)."
        for s in spends
    ]
    lines.append(
        "- The claim holds for the weights. The figures below were measured on the people, and are outside it."
    )
    if any(s.unit == "recording" for s in spends):
        lines.append("- A claim for one recording is not one for a person who has several of them.")
    return "\n".join(lines) + "\n"


def _table(title: str, rows: Sequence[Result]) -> str:
    lines = [f"## {title}\n", "| measure | value | 95 % | guessing | note |", "|---|---|---|---|---|"]
    absent: dict[str, list[str]] = {}
    for row in rows:
        if math.isfinite(row.value):
            ends = f"{row.low:.3f}–{row.high:.3f}" if math.isfinite(row.low) else "–"
            control = f"{row.control:.3f}" if math.isfinite(row.control) else "–"
            lines.append(f"| {row.name} | {row.value:.3f} | {ends} | {control} | {row.reason} |")
        else:
            absent.setdefault(row.reason, []).append(row.name)
    lines += ["", *(f"- Without a figure: {', '.join(names)}: {why}" for why, names in absent.items())]
    return "\n".join(lines).rstrip() + "\n"
