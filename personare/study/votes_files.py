"""Votes as files for other programs: a table (CSV), or the tasks of Label Studio (JSON), both read back."""

import csv
import io
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from personare.core.atomic import write_json, write_text
from personare.core.errors import DataError, data_errors
from personare.data.votes import VOTE_COLUMNS
from personare.study.reviewing import Review

_SIDES = {"left": "a", "right": "b"}
_TEXTS = [name for name in VOTE_COLUMNS if name not in ("id", "repeat")]


def export_votes(review: Review, path: Path) -> int:
    """Write the answers that count, with their raters' pseudonyms, and return how many: ``.csv`` or ``.json``.

    The JSON is Label Studio's, for a project with ``Pairwise name="pair" toName="a,b"`` and ``Choices`` named
    ``answer`` and ``failures`` and a ``TextArea`` named ``note`` on ``a``.
    """
    table = review.votes()
    if _suffix(path) == ".csv":
        write_text(path, table.to_csv(index=False, lineterminator="\n"))
    else:
        write_json(path, [_task(row) for row in table.to_dict("records")])
    return len(table)


def import_votes(review: Review, path: Path) -> int:
    """Take over answers from a file that ``export_votes`` or Label Studio wrote; returns how many are new.

    **Guarantee**: all of a file or nothing. Every row must be an answer to a task, on items of this review, of a rater
    who agreed here; what was taken over before is not doubled, and an answer that is another one now is refused.
    """
    read = _from_csv if _suffix(path) == ".csv" else _from_tasks
    odd = (csv.Error, KeyError, TypeError, AttributeError)  # of another shape
    with data_errors(f"{path} must hold votes, but cannot be read", "Export it again.", *odd):
        text = path.read_text(encoding="utf-8-sig")
        rows = read(text)
        for row in rows:
            datetime.fromisoformat(row["time"])
    return review.take_over(rows)


def _suffix(path: Path) -> str:
    if path.suffix not in (".csv", ".json"):
        raise DataError(f"Votes are written and read as .csv or .json (Label Studio), not as {path.name}. Rename it.")
    return path.suffix


def _from_csv(text: str) -> list[dict[str, Any]]:
    table = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    if tuple(table.fieldnames or ()) != VOTE_COLUMNS:
        raise ValueError(f"its columns must be {','.join(VOTE_COLUMNS)}")
    if not text.endswith("\n"):
        raise ValueError("its last line has no end, it was cut")
    rows = []
    for line, row in enumerate(table, start=2):
        if None in row or None in row.values() or row["repeat"] not in ("True", "False"):
            raise ValueError(f"line {line} is no vote, it was cut or changed")
        rows.append({name: row[name] for name in _TEXTS} | {"repeat": row["repeat"] == "True"})
    return rows


def _task(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a vote as a task of Label Studio with one annotation."""

    def result(name: str, kind: str, value: Any) -> dict[str, Any]:
        return {"from_name": name, "to_name": "a", "type": kind, "value": value}

    if row["task"] == "compare" and row["answer"] in _SIDES.values():
        side = next(side for side, answer in _SIDES.items() if answer == row["answer"])
        results = [result("pair", "pairwise", {"selected": side})]
    else:
        results = [result("answer", "choices", {"choices": [row["answer"]]})]
    if row["failures"]:
        results.append(result("failures", "choices", {"choices": row["failures"].split(";")}))
    if row["note"]:
        results.append(result("note", "textarea", {"text": [row["note"]]}))
    data = {name: row[name] for name in ("task", "a", "b", "x", "rater", "repeat")}
    return {"id": row["id"], "data": data, "annotations": [{"created_at": row["time"], "result": results}]}


def _from_tasks(text: str) -> list[dict[str, Any]]:
    rows, tasks = [], json.loads(text)
    if not isinstance(tasks, list):
        raise ValueError("it must be a list of tasks")
    for task in tasks:
        data = {"task": "compare", "b": "", "x": "", "repeat": False, **task["data"]}
        for annotation in task.get("annotations", ()):
            if annotation.get("was_cancelled"):
                continue
            values = {part["from_name"]: part["value"] for part in annotation["result"]}
            pair, answer, person = values.get("pair"), values.get("answer"), annotation.get("completed_by")
            number = person["id"] if isinstance(person, dict) else person
            rows.append(
                {
                    **{name: str(data[name]) for name in ("task", "a", "b", "x")},
                    "rater": data.get("rater") or f"label-studio-{number}",
                    "time": annotation["created_at"],
                    "answer": _SIDES[pair["selected"]] if pair else answer["choices"][0] if answer else "cannot_tell",
                    "failures": ";".join(values.get("failures", {"choices": ()})["choices"]),
                    "note": " ".join(values.get("note", {"text": ()})["text"]),
                    "repeat": bool(data["repeat"]),
                }
            )
    return rows
