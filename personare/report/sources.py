"""What each method says of itself: its summary and its source, read from its file's text without running it."""

import ast
import importlib.util
import inspect
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from personare.core.errors import PersonareError
from personare.core.registry import find

__all__ = ["about", "sources_of"]

_FOLDERS = ("anonymize", "evaluate.attacks", "evaluate.utility", "represent", "synthesize", "train")
_OF = {"representations": "represent", "synthetic": "synthesize", "model": "train"}


@cache
def _known(folder: str) -> dict[str, tuple[str, str]]:
    try:
        return {name: (method.summary, method.module) for name, method in find(f"personare.{folder}").items()}
    except (PersonareError, ModuleNotFoundError, SyntaxError):
        return {}  # a folder with one unreadable file must not cost the study its report


@cache
def about(name: str, kind: str = "") -> tuple[str, str]:
    """Return a method's summary and source, empty where it has none; ``kind`` tells methods of one name apart."""
    folders = [_OF[kind]] if kind in _OF else _FOLDERS
    summary, module = next((_known(folder)[name] for folder in folders if name in _known(folder)), ("", ""))
    spec = importlib.util.find_spec(module) if module else None
    if spec is None or spec.origin is None:
        return "", ""
    return summary, _source(Path(spec.origin).read_text(encoding="utf-8"))


def sources_of(methods: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return (method, source) of those methods, each with what it makes, that state one: each once, sorted."""
    stated = dict.fromkeys((name, about(name, kind)[1]) for name, kind in sorted(set(methods)))
    return [(name, source) for name, source in stated if source]


def _source(text: str) -> str:
    tree = ast.parse(text)
    pattern = r"^(?:\*\*Sources?\.?:?\*\*[:.]?|Sources?:)\s*(.*?)(?=\n\s*\n|\n\*\*|\Z)"
    documented: list[ast.Module | ast.ClassDef] = [tree, *(n for n in tree.body if isinstance(n, ast.ClassDef))]
    for node in documented:
        if found := re.search(pattern, ast.get_docstring(node) or "", re.S | re.M):
            return re.sub(r"\s+", " ", inspect.cleandoc(found.group(1)).replace("``", "")).strip()
    return ""
