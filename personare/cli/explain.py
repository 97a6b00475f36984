"""The verb that explains single answers of a run."""

import json
from pathlib import Path

import click

from personare.cli.terminal import LEDGER, PATH


@click.command()
@click.argument("run", type=PATH)
@click.argument("item")
@click.option("--only", multiple=True, metavar="NAME", help="A release or a model of RUN; default: all that know ITEM.")
@click.option("--release", is_flag=True, help="Write it into RUN: nobody real is in ITEM, or agreed to sharing.")
@LEDGER
def explain(run: Path, item: str, only: tuple[str, ...], release: bool, ledger: str | None) -> None:
    """Explain what moved a model's answer about a recording ITEM of a RUN, and what still points to its person."""
    from personare.study.explaining import explain_item

    page = explain_item(run, item, only=only, release=release, ledger=ledger)
    for one in json.loads((page.parent / "explanation.json").read_text(encoding="utf-8"))["explanations"]:
        click.echo(f"{one['release']}, {one['question'][0].lower()}{one['question'][1:]}: {one['answer']}")
        if one["most"]:
            click.echo("  " + ", ".join(f"{part['name']} {part['value']:+.3f}" for part in one["most"]))
        if one["status"] != "ok":
            click.echo(f"  {one['status'].replace('_', ' ')}: {one['reason']}")
    click.echo(f"\nPage: {page}" + ("" if release else "\nIt tells about a person's recording: it is not to be sent."))
