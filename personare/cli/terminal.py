"""What verbs read from the command line and tell on the terminal, the same way everywhere."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import click

from personare.core.errors import IncompleteError, OptionError, PolicyError
from personare.core.types import Withheld

_MOST = 30  # lines about what was not made
PASSPHRASE = "PERSONARE_PASSPHRASE"  # as in govern.storage, which takes a moment to import


class _Path(click.Path):
    """A path; whoever sits at a terminal is asked for the passphrase of a locked cohort."""

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        """Return the path."""
        from personare.govern.storage import is_locked

        path = cast(Path, super().convert(value, param, context))
        if sys.stdin.isatty() and not os.environ.get(PASSPHRASE) and path.is_dir() and is_locked(path):
            ask_passphrase(path)
        return path


PATH = _Path(path_type=Path)
_USE = {
    "context": "Where answers will be used, e.g. clinic or workplace; default: research.",
    "exception": "From a rule of the policy: medical or safety.",
    "justification": "For whom the exception is, and why; every output says it.",
}
LEDGER = click.option("--ledger", help="Ledger file or database URL; default: beside the cohort, or PERSONARE_LEDGER.")


def ask_passphrase(cohort: Path, *, new: bool = False) -> str:
    """Return the passphrase of the environment, or ask for it, hidden, and put it there; a new one is asked twice."""
    if not os.environ.get(PASSPHRASE):
        if not sys.stdin.isatty():
            raise PolicyError(f"{cohort} needs a passphrase. Give it as the variable {PASSPHRASE} of the environment.")
        text = f"{'New passphrase' if new else 'Passphrase'} of {cohort}"
        os.environ[PASSPHRASE] = click.prompt(text, hide_input=True, confirmation_prompt=new)
    return os.environ[PASSPHRASE]


def use_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the options that the policy asks for."""
    for name in reversed(_USE):
        verb = click.option(f"--{name}", default="", help=_USE[name])(verb)
    return verb


def stated_use(how: Mapping[str, Any]) -> dict[str, str]:
    """Return what was said of these options."""
    return {name: how[name] for name in _USE if how[name]}


def method_options(given: Iterable[str], form: str = "NAME=VALUE, e.g. epochs=20") -> dict[str, Any]:
    """Read NAME=VALUE; the value is TOML where it can be, text otherwise."""
    import tomllib

    options: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (equals and name):
            raise OptionError(f"Options are {form}, not '{text}'.")
        try:
            options[name] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            options[name] = value
    return options


def line(item: Withheld) -> str:
    """Return what is told of a file or a recording that did not go through."""
    text = f"{item.item}: {item.problem.rstrip('.')}. {item.fix}"
    return text.encode("utf-8", "backslashreplace").decode()  # a file's name need not be text


def tell_run(out: Path, first: str = "") -> None:
    """Print what a run found and where; what was planned and not made comes last, as exit status 3."""
    from personare.data.runs import private_folder
    from personare.report.tables import text_table
    from personare.study.outputs import not_made

    click.echo(text_table(out))
    if statement := json.loads((out / "cohort.json").read_text(encoding="utf-8"))["use"]["statement"]:
        click.echo(f"\n{statement}")
    click.echo(f"\n{first}Report: {out / 'report.html'}\nNumbers: {out / 'results.json'}")
    click.echo(
        f"{out} may be sent. {private_folder(out).name}, beside it, holds faces and voices as recorded: never send it; "
        f"remove it with personare purge {out}"
    )
    tell_incomplete(not_made(out))


def tell_incomplete(items: Sequence[Withheld]) -> None:
    """Say what was planned and could not be made, and end with exit status 3; nothing where all was.

    Raises:
        IncompleteError: Something was not.
    """
    if items:
        lines = [f"  {one.item}: {one.problem.rstrip('.')}. {one.fix}" for one in items[:_MOST]]
        more = [f"  ... and {len(items) - _MOST} more"] if len(items) > _MOST else []
        raise IncompleteError("\n".join([f"planned and not made ({len(items)}):", *lines, *more]))
