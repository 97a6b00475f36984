"""The verb about sites that learn together, each in a process and on a machine of its own."""

from pathlib import Path
from typing import Any

import click

import personare
from personare.cli.terminal import LEDGER, PATH
from personare.core.errors import IncompleteError, OptionError


@click.group()
def federate() -> None:
    """Learn one model with other sites over a network; recordings stay where they are."""


@federate.command()
@click.argument("folder", type=PATH)
@click.option("--host", default="localhost", show_default=True, help="By which sites reach this machine.")
@click.option("--port", default=9443, show_default=True)
@click.option("--site", "sites", type=PATH, multiple=True, required=True, help="Public key of a site that may join.")
def serve(folder: Path, host: str, port: int, sites: tuple[Path, ...]) -> None:
    """Let sites in until Ctrl-C; key, certificate and Flower's files are in FOLDER."""
    from personare.study.flower import serve

    serve(folder, host, port, sites, click.echo)


@federate.command()
@click.argument("cohort", type=PATH)
@click.option("--server", required=True, help="HOST:PORT of the server.")
@click.option(
    "--certificate", type=PATH, required=True, help="The server's server.pem, as its operator gave it to you."
)
@click.option("--key", type=PATH, required=True, help="Of this site; made where there is none.")
@click.option("--name", default="", help="By which the server calls this site; default: the name of the key.")
@click.option("--secure-only", is_flag=True, help="Take part only where updates are masked.")
@click.option("--epsilon", type=float, help="The most that all plans together may cost a person; none: no limit.")
@click.option("--delta", type=float, default=1e-5, show_default=True, help="The chance that this fails.")
@click.option("--method", "methods", multiple=True, help="Take part with this learner only; repeat for several.")
@click.option("--held-out", default=0.0, help="Share of people who are not learned from, and judge the model here.")
@LEDGER
def join(cohort: Path, server: str, certificate: Path, key: Path, name: str, ledger: str | None, **how: Any) -> None:
    """Take part with a COHORT in what a server plans, as far as consent, policy and these terms allow."""
    from personare.govern.budget import Budget
    from personare.study.federating import Node, Terms
    from personare.study.flower import join, site_key

    if not key.exists():
        public = site_key(key)
        raise IncompleteError(
            f"This site has a key now. Give {public} to whoever runs the server, then run this again."
        )
    if not certificate.is_file():
        raise OptionError(f"There is no certificate {certificate}. Ask whoever runs the server for its server.pem.")
    budget = None if how["epsilon"] is None else Budget(epsilon=how["epsilon"], delta=how["delta"])
    terms = Terms(budget=budget, secure=how["secure_only"], methods=how["methods"], held_out=how["held_out"])
    people = personare.open_cohort(cohort)
    book = personare.open_ledger(ledger, people.root)
    node = Node(cohort=people, ledger=book, name=name or key.stem, terms=terms, tell=click.echo)
    join(node, server, certificate, key)


@federate.command()
@click.argument("plan", type=PATH)
@click.option("--server", type=PATH, required=True, help="The folder of the server on this machine.")
@click.option("--out", type=PATH, required=True, help="A new folder for the model.")
def run(plan: Path, server: Path, out: Path) -> None:
    """Learn by a PLAN with the sites that have joined, and write the model and who took part."""
    from personare.study.flower import run

    record = run(server, plan, out)
    cost = "{:.3g} at delta {:g}".format(*record["cost"]) if record["cost"] else "none: nothing was noised"
    click.echo(f"Model: {out / 'model.safetensors'}\nSites: {', '.join(record['sites'])}\nEpsilon: {cost}")
    for site, count in record["late"].items():
        click.echo(f"{site} was late for {count} of {record['sums']} sums")
    if record["not_taking_part"]:
        lines = [f"  {site}: {why}" for site, why in record["not_taking_part"].items()]
        raise IncompleteError("\n".join(["sites that were asked and are not in the model:", *lines]))
