"""Any BIDS-shaped folder: a cohort of personare, or a BIDS data set with sound, film, physiology or events."""

from pathlib import Path

from personare.data.cohort import read_participants, scan
from personare.data.reading import DataSet, Reader

__all__ = ["Bids"]


class Bids(Reader):
    """Reads files named ``sub-01[_ses-01][_task-x]..._TRACK.SUFFIX`` under ``sub-*``, and ``participants.tsv``.

    Labels come from ``_beh.json`` (key ``Labels``) or from columns of ``_events.tsv`` that are the same in every row.

    **Guarantee**: every file under ``sub-*`` is a track, a sidecar, a table about recordings (``scans.tsv``), or listed
    with the reason.

    **Source**: Gorgolewski et al., Scientific Data 3, 2016, doi:10.1038/sdata.2016.44; ``_beh.json`` is ours.
    """

    home = "https://bids-specification.readthedocs.io"  # what the folder itself declares of its tracks counts

    def __call__(self, source: Path) -> DataSet:
        """Read the names of the files and the sidecars with labels."""
        recordings, skipped = scan(source)
        return recordings, read_participants(source), skipped
