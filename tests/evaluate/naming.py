"""What several tests say the same way: a short name of a row, and the tracks of a batch by recording id."""

from personare.core.types import Array, Batch, Result


def title(row: Result) -> str:
    """Return ``method.figure`` or ``method.figure.subset``."""
    return ".".join(filter(None, (row.method, row.figure, row.subset)))


def tracks(batch: Batch) -> dict[str, dict[str, Array]]:
    """Return all tracks by recording id."""
    return {track: batch.clips(track) for track in batch.arrays}
