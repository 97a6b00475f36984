"""What a released data set's own card claims, and which of its files may be opened from the report."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from personare.report.trained import NO_CLAIM, Claim

__all__ = ["links_of", "read_claims"]

_FILES = (
    ("preview.html", "all of it, to look at"),
    ("README.md", "its card"),
    ("croissant.json", "its card, Croissant"),
)


def read_claims(run: Path, releases: Sequence[Mapping[str, Any]], missing: list[str]) -> dict[str, Claim]:
    """Read the privacy that representations and synthetic people were paid for with, from their ``croissant.json``.

    Args:
        run: The run folder.
        releases: The study's record of each release.
        missing: Gets one sentence for each card that cannot be read.

    Returns:
        By release; absent where no card can be read.
    """
    found: dict[str, Claim] = {}
    for one in releases:
        if one.get("kind") not in ("representations", "synthetic"):
            continue
        name = str(one.get("name", ""))
        card = _folder(run, name) / "croissant.json"
        try:
            content = json.loads(card.read_text(encoding="utf-8"))
            found[name] = _claim(content["personare:privacy"]["spends"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            missing.append(
                f"The card of {name} could not be read ({type(error).__name__}): what it claims is not known."
            )
    return found


def _claim(spends: Sequence[Mapping[str, Any]]) -> Claim:
    """Several spends together cost at most their sum, and one of recordings promises no more than for recordings."""
    if not spends:
        return NO_CLAIM
    units = {str(spend["unit"]) for spend in spends}
    return Claim(
        epsilon=math.fsum(float(spend["epsilon"]) for spend in spends),
        delta=math.fsum(float(spend["delta"]) for spend in spends),
        unit="recording" if "recording" in units else "person",
        accountant=str(spends[0].get("accountant", "")),
    )


def links_of(run: Path, name: str) -> list[tuple[str, str]]:
    """Return (address relative to the report, what it is) of a release's card and preview, where they are."""
    folder = _folder(run, name)
    return [(f"releases/{quote(name)}/{file}", words) for file, words in _FILES if (folder / file).is_file()]


def _folder(run: Path, name: str) -> Path:
    """Return a release's folder; a name that leads elsewhere leads to none."""
    folder = (run / "releases" / name).resolve()
    inside = folder.parent == (run / "releases").resolve()
    return folder if inside else run / "releases" / "none"
