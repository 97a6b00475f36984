"""The verbs that open a page in the browser: serve, review."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from personare.cli.terminal import LEDGER, PATH, method_options

_PORT = click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any that is free.")
_NO_BROWSER = click.option(
    "--no-browser", is_flag=True, help="Only print the address: where others use this machine too."
)


@click.command()
@_PORT
@click.option("--folder", type=PATH, help="Where uploads, cohorts and runs of the app lie; default: your data folder.")
@click.option("--backend", default="", help="What answers in the Assistant; default: the embedded model if it is here.")
@click.option("--option", "-o", "options", multiple=True, metavar="NAME=VALUE", help="An option of the backend.")
@click.option("--crisis-line", default="", metavar="NUMBER", help="Whom to call in a crisis: your clinic's number.")
@click.option("--facts", type=PATH, help="A text file of what the Assistant may rely on, a paragraph each.")
@_NO_BROWSER
def serve(port: int, folder: Path | None, no_browser: bool, **assistant: Any) -> None:
    """Open the rooms of personare in your browser: hide people in a film, make a study, review its people, be assisted.

    It answers this machine alone, and only the browser that opens the address it prints.
    """
    from personare.serve.app import run_app
    from personare.serve.hide import hide_room
    from personare.serve.pages import Pages
    from personare.serve.review import review_room
    from personare.serve.study import study_room

    pages, folder = Pages(), folder or _data_folder()
    rooms = [hide_room(pages, folder), study_room(pages, folder), review_room(pages, folder / "runs")]
    rooms.append(_assistant(pages, folder, **assistant))
    run_app(folder, rooms, port=port, browser=not no_browser, tell=_tell)


def _assistant(
    pages: Any, folder: Path, *, backend: str, options: Sequence[str], crisis_line: str, facts: Path | None
) -> Any:
    """Return the Assistant room; the model is opened when first it is asked."""
    from contextlib import suppress
    from importlib.util import find_spec

    import numpy as np

    from personare.core import registry
    from personare.core.errors import MissingModelError, data_errors
    from personare.features.models import find_model
    from personare.serve.assistant import assistant_room

    if not backend:
        backend = "template"
        with suppress(MissingModelError):
            find_model("smollm2")
            backend = "gguf" if find_spec("cyllama") else backend
    texts: list[str] = []
    if facts:
        with data_errors(f"{facts} cannot be read", "Give a text file in UTF-8, paragraphs set apart by empty lines."):
            texts = [" ".join(part.split()) for part in facts.read_text(encoding="utf-8").split("\n\n") if part.strip()]
    answering = registry.create("personare.assist.backends", backend, method_options(options))
    return assistant_room(
        pages, folder, backend=answering, rng=np.random.default_rng(), crisis_line=crisis_line, facts=texts
    )


@click.command()
@click.argument("path", type=PATH)
@click.option("--votes", default="", help="Votes file or database URL; default: beside PATH.")
@click.option("--task", default="", help="Refuse to begin where this cannot be asked: compare, check or same.")
@click.option("--export", type=PATH, help="Write the answers to a .csv, or a .json of Label Studio, and end.")
@click.option("--import", "import_", type=PATH, help="Take over answers from such a file, and end.")
@_PORT
@_NO_BROWSER
@LEDGER
def review(path: Path, votes: str, task: str, port: int, no_browser: bool, ledger: str | None, **files: Any) -> None:
    """Let experts rate the made-up or hidden people of a cohort or run at PATH, in your browser.

    Several raters use it one after another. Nothing identifiable is shown.
    """
    from personare.govern.ledger import Ledger
    from personare.study.reviewing import Review

    opened = Review.open(path, votes, task=task, ledger=Ledger(ledger) if ledger else None)
    if files["import_"] or files["export"]:
        from personare.study.votes_files import export_votes, import_votes

        if files["import_"]:
            click.echo(f"{import_votes(opened, files['import_'])} answers taken over from {files['import_']}.")
        if files["export"]:
            click.echo(f"{files['export']}: {export_votes(opened, files['export'])} answers.")
        return
    from personare.serve.app import run_app
    from personare.serve.pages import Pages
    from personare.serve.review import review_room

    run_app(_data_folder(), [review_room(Pages(), opened)], port=port, browser=not no_browser, tell=_tell)


def _data_folder() -> Path:
    from platformdirs import user_data_path

    return user_data_path("personare") / "app"


def _tell(address: str) -> None:
    click.echo(f"personare is at {address}\nThe address opens it once. Stop it with Ctrl-C; a study goes on.")
