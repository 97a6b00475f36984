"""What each method says of itself: its summary and its source, read from its file's text without running it."""

import ast
import importlib.util
import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from personare.core.errors import PersonareError
from personare.core.registry import find

__all__ = ["About", "about", "sources_of"]

_FOLDERS = (
    "personare.anonymize",
    "personare.evaluate.attacks",
    "personare.evaluate.utility",
    "personare.represent",
    "personare.synthesize",
    "personare.train",
)
_OF = {"representation": "personare.represent", "synthetic": "personare.synthesize", "model": "personare.train"}


@dataclass(frozen=True, kw_only=True)
class About:
    """A method's own words.

    Attributes:
        summary: What it does to the person's data.
        source: Where it comes from; empty if its file does not say.
    """

    summary: str
    source: str


@cache
def _known(folder: str) -> dict[str, tuple[str, str]]:
    try:
        return {name: (method.summary, method.module) for name, method in find(folder).items()}
    except (PersonareError, ModuleNotFoundError, SyntaxError):
        return {}  # a folder with one unreadable file must not cost the study its report


@cache
def about(name: str, modality: str = "") -> About:
    """Return what a method says of itself; empty words for a method that is not on this machine.

    Args:
        name: The method.
        modality: What it makes, where methods of several kinds share a name: ``representation``, ``synthetic``,
            ``model``; else any.

    Example:
        >>> about("no_such_method")
        About(summary='', source='')
    """
    folders = [_OF[modality]] if modality in _OF else _FOLDERS
    summary, module = next((_known(folder)[name] for folder in folders if name in _known(folder)), ("", ""))
    spec = importlib.util.find_spec(module) if module else None
    if spec is None or spec.origin is None:
        return About(summary="", source="")
    return About(summary=summary, source=_source(Path(spec.origin).read_text(encoding="utf-8")))


def sources_of(methods: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return (method, source) of those methods, each with what it makes, that state one: each once, sorted."""
    stated = list(dict.fromkeys((name, about(name, modality).source) for name, modality in sorted(set(methods))))
    return [(name, source) for name, source in stated if source]


def _source(text: str) -> str:
    tree = ast.parse(text)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    documented: list[ast.Module | ast.ClassDef] = [tree, *classes]
    for node in documented:
        doc = ast.get_docstring(node)
        found = re.search(
            r"^(?:\*\*Sources?\.?:?\*\*[:.]?|Sources?:)\s*(.*?)(?=\n\s*\n|\n\*\*|\Z)", doc or "", re.S | re.M
        )
        if found:
            return re.sub(r"\s+", " ", inspect.cleandoc(found.group(1)).replace("``", "")).strip()
    return ""
