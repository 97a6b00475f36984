"""The verbs that open a page in the browser: serve, review."""

from pathlib import Path

import click

from personare.cli.terminal import PATH

_PORT = click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any that is free.")
_NO_BROWSER = click.option("--no-browser", is_flag=True, help="Print the address, and open no browser.")


@click.command()
@_PORT
@click.option("--folder", type=PATH, help="Where uploads, cohorts and runs of the app lie; default: your data folder.")
@_NO_BROWSER
def serve(port: int, folder: Path | None, no_browser: bool) -> None:
    """Open the rooms of personare in your browser: hide people in a film, make a study, without a terminal.

    It answers this machine alone, and only the browser that opens the address it prints.
    """
    from personare.serve.app import run_app
    from personare.serve.pages import Pages
    from personare.serve.study import study_room

    pages, folder = Pages(), folder or _data_folder()
    run_app(folder, [study_room(pages, folder)], port=port, browser=not no_browser, tell=_tell)


def _data_folder() -> Path:
    from platformdirs import user_data_path

    return user_data_path("personare") / "app"


def _tell(address: str) -> None:
    click.echo(f"personare is at {address}\nThe address opens it once. Stop it with Ctrl-C; a study goes on.")
