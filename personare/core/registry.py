"""The folder is the registry: a file in it is a method, found without importing it.

The summary comes from the file's own text, so listing every method costs no import of torch, OpenCV or MediaPipe.
"""

import ast
import dataclasses
import importlib
import importlib.util
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from personare.core.errors import OptionError, UnknownMethodError

_SOURCE = re.compile(
    r"^(?:\*\*Sources?\.?:?\*\*[:.]?|Sources?:)\s*(.*?)(?=\n\s*\n|\n\*\*|\Z)", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method as its file describes it.

    ``summary`` is the first line of its docstring, ``source`` what the paragraph **Source** of one says, ``question``
    what an attack asks (of ``RISKS``); empty where there is none. One that works ``alone`` needs no group of people to
    be fitted on.
    """

    name: str
    summary: str
    module: str
    class_name: str
    source: str = ""
    question: str = ""
    alone: bool = True


def find(package: str) -> dict[str, Method]:
    """Return the methods of a folder by name, e.g. of ``personare.anonymize``.

    Those of an installed package that offers the entry point of that name are among them
    (``[project.entry-points."personare.anonymize"]``, ``name = "module:Class"``).

    Example:
        >>> "emodb" in find("personare.data.readers")
        True
    """
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or []) if spec else []
    files = sorted(f for folder in folders for f in Path(folder).glob("*.py") if not f.name.startswith("_"))
    methods = {f.stem: _describe(f, f"{package}.{f.stem}", f.stem, f.stat().st_mtime_ns) for f in files}
    for entry in _offered(package, tuple(sys.path)):
        spec = importlib.util.find_spec(entry.module)
        if spec is None or spec.origin is None:
            raise OptionError(
                f"The method {entry.name} should be in {entry.module}, which is not there: install it again."
            )
        file = Path(spec.origin)
        methods[entry.name] = _describe(file, entry.module, entry.name, file.stat().st_mtime_ns)
    return methods


@cache
def _offered(group: str, _path: tuple[str, ...]) -> metadata.EntryPoints:
    """Return what installed packages offer, read once: that takes longer than to find every method of the house."""
    return metadata.entry_points(group=group)


@cache
def _describe(file: Path, module: str, name: str, _changed_ns: int) -> Method:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    public: list[str] = []
    question, members = "", set[str]()
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            public = ast.literal_eval(node.value)
    if len(public) != 1:
        raise OptionError(f"{file} must name exactly one public class in __all__, it names {public}.")
    for node in tree.body:
        for line in node.body if isinstance(node, ast.ClassDef) and node.name == public[0] else ():
            members |= {line.name} if isinstance(line, ast.FunctionDef) else {ast.unparse(line).partition(":")[0]}
            if isinstance(line, ast.AnnAssign) and line.value and ast.unparse(line.target) == "question":
                question = ast.literal_eval(line.value)
    texts = [
        ast.get_docstring(node) or "" for node in (tree, *tree.body) if isinstance(node, ast.Module | ast.ClassDef)
    ]
    sources = [match[1] for text in texts if (match := _SOURCE.search(text))]
    return Method(
        name=name,
        summary=texts[0].split("\n")[0],
        module=module,
        class_name=public[0],
        source=" ".join(sources[0].replace("``", "").split()) if sources else "",
        question=question,
        alone="fit" not in members or "works_alone" in members,
    )


def load(package: str, name: str) -> Any:
    """Import a method's file and return its class."""
    methods = find(package)
    if name not in methods:
        folder = package.removeprefix("personare.").replace(".", "/")
        raise UnknownMethodError(f"There is no '{name}' in {folder}. Choose one of: {', '.join(methods)}.")
    return getattr(importlib.import_module(methods[name].module), methods[name].class_name)


def create(package: str, name: str, options: Mapping[str, Any] | None = None) -> Any:
    """Make a method with its options; one it does not have, or a value it cannot use, is refused."""
    cls = load(package, name)
    names = [f.name for f in dataclasses.fields(cls)]
    unknown = sorted(set(options or {}) - set(names))
    if unknown:
        raise OptionError(f"{name} has no option {', '.join(unknown)}. It has: {', '.join(names) or 'none'}.")
    try:
        return cls(**(options or {}))
    except TypeError as error:
        values = ", ".join(f"{option} = {value!r}" for option, value in (options or {}).items())
        raise OptionError(f"{name} cannot be made with {values or 'no options'}: {error}.") from error
