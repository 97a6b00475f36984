"""What several tests say the same way: the tracks of a batch by recording id."""

from personare.core.types import Array, Batch


def tracks(batch: Batch) -> dict[str, dict[str, Array]]:
    """Return all tracks by recording id."""
    return {track: batch.clips(track) for track in batch.arrays}
