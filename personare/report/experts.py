"""What experts changed: a release of synthetic people before and after its generator was adapted to them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from personare.core.strongest import STANDS
from personare.core.types import Result
from personare.report import plots, words
from personare.report.run import RunRecord

METHOD = "experts"
_HUMAN = "human"


def adapted_sections(record: RunRecord, examples: Mapping[str, Sequence[Mapping[str, str]]]) -> list[dict[str, Any]]:
    """Gather for each adapted release what raters said, what it cost, and the same figures of the release before.

    ``lines`` are (heading, before, after) of rows, ``failures`` the same by kind of failure; what was not measured is
    None. ``examples`` are those of all releases.
    """
    return [_section(record, name, examples) for name in record.of("synthetic") if _plan(record, name)]


def human_rows(record: RunRecord) -> list[Result]:
    """Return what human raters found out about people, of any release."""
    return [row for row in record.results if row.attacker == _HUMAN]


def _plan(record: RunRecord, name: str) -> Mapping[str, Any]:
    release = record.release(name)
    method = (release.get("methods") or {}).get("adapt")
    return (release.get("options") or {}).get(method) or {} if method else {}


def _section(record: RunRecord, name: str, examples: Mapping[str, Sequence[Mapping[str, str]]]) -> dict[str, Any]:
    plan = _plan(record, name)
    rows = [row for row in record.rows("synthetic") if row.release == name and row.method == METHOD]
    lines: list[tuple[str, Result | None, Result | None]] = []
    for query, _ in STANDS["synthetic"]:
        before, after = (query.find(record.results, release, "synthetic") for release in (plan["of"], name))
        if row := after or before:
            lines.append((words.measure(row), before, after))
    course: Sequence[Mapping[str, float]] = next((row.detail["course"] for row in rows if row.detail.get("course")), [])
    title = (
        "How often the adapted generator wins, by how far it went: as the raters who were heard say, and the others."
    )
    return {
        "name": name,
        "of": plan["of"],
        "method": plan["method"],
        "simulated": plan.get("feedback", "simulated") == "simulated",
        "wins": [row for row in rows if row.figure == "win_rate"],
        "agreement": [row for row in rows if row.figure in ("alpha", "consistency")],
        "drift": next((row for row in rows if row.figure == "drift"), None),
        "failures": [row for row in rows if row.figure == "failures" and math.isfinite(row.value)],
        "lines": lines,
        "course": plots.to_svg(plots.draw_course(course), title=title) if course else "",
        "claim": str(record.release(name).get("claim") or ""),
        "examples": [(release, examples.get(release, [])[:2]) for release in (plan["of"], name)],
    }
