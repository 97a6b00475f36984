"""Any BIDS-shaped folder: a cohort of personare, or a BIDS data set with sound, film, physiology or events."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd

from personare.core.errors import DataError
from personare.core.types import Recording, Withheld
from personare.data.cohort import read_participants
from personare.data.index import scan

__all__ = ["Bids"]


@dataclass(frozen=True, kw_only=True)
class Bids:
    """Reads files named ``sub-01[_ses-01][_task-x]..._TRACK.SUFFIX`` under ``sub-*``, and ``participants.tsv``.

    Labels come from ``_beh.json`` (key ``Labels``) or from columns of ``_events.tsv`` that are the same in every row.

    **Guarantee**: every file under ``sub-*`` is a track, a sidecar, a table about recordings (``scans.tsv``), or listed
    with the reason.

    **Source**: Gorgolewski et al.: The brain imaging data structure. Scientific Data 3, 2016.
    doi:10.1038/sdata.2016.44. Labels in ``_beh.json`` are ours.
    """

    license: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    home: ClassVar[str] = "https://bids-specification.readthedocs.io"

    def __call__(self, source: Path) -> tuple[Sequence[Recording], pd.DataFrame, Sequence[Withheld]]:
        """Read the names of the files and the sidecars with labels.

        Returns:
            Recordings, the participants with the columns they have, and files that do not fit.

        Raises:
            DataError: There is no such folder, or ``participants.tsv`` cannot be read.
        """
        if not source.is_dir():
            raise DataError(f"There is no folder {source}. Give the folder that holds sub-01, sub-02 ...")
        recordings, skipped = scan(source)
        return recordings, read_participants(source), skipped
