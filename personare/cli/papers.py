"""The verb that drafts the papers of a finished run."""

import json
from pathlib import Path

import click

from personare.cli.terminal import PATH


@click.command()
@click.argument("run", type=PATH)
@click.option("--out", type=PATH, help="A folder without papers; default: RUN/papers, which each study writes anew.")
def papers(run: Path, out: Path | None) -> None:
    """Draft the papers of a RUN from its records: impact assessment, record of processing, cards and more.

    What no record says is marked in them for a person to write.
    """
    from personare.study.papers import write_papers

    folder = write_papers(run, out)
    for file, paper in json.loads((folder / "papers.json").read_text(encoding="utf-8")).items():
        left = sum(bool(field["to_write"]) for field in paper["fields"])
        click.echo(f"{file:<40} {left:>2} of {len(paper['fields']):>2} headings left to a person")
    click.echo(f"Papers: {folder}")
