"""Asking the vault for what a release or a study needs, and finding the ledger that notes it."""

import os
from collections.abc import Sequence
from pathlib import Path

from personare.core.types import Cohort, Recording, Withheld
from personare.data.vault import Vault
from personare.govern.ledger import Ledger

__all__ = ["Admitted", "admit", "open_ledger"]

Admitted = tuple[tuple[Recording, ...], dict[str, dict[str, Path]], list[Withheld]]
"""The recordings that may be opened, their files by recording and track, and what was refused."""


def admit(cohort: Cohort, tracks: Sequence[str], purpose: str, ledger: Ledger) -> Admitted:
    """Ask for every recording of a cohort; each opening and each refusal is a row of the ledger."""
    vault = Vault(cohort, purpose=purpose, ledger=ledger)
    sources: dict[str, dict[str, Path]] = {}
    refused: list[Withheld] = []
    for track in tracks:
        opened, withheld = vault.admit([r for r in cohort.recordings if track in r.tracks], track)
        refused += withheld
        for name, path in opened.items():
            sources.setdefault(name, {})[track] = path
    return tuple(r for r in cohort.recordings if r.id in sources), sources, refused


def open_ledger(given: str | None, folder: Path) -> Ledger:
    """Open the ledger that was named, that ``PERSONARE_LEDGER`` names, or ``ledger.sqlite`` in a folder."""
    return Ledger(given or os.environ.get("PERSONARE_LEDGER") or folder / "ledger.sqlite")
