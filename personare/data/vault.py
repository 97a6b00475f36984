"""The only door to identifiable recordings: it asks for a purpose, checks consent, and writes down who came in."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from personare.core.errors import DataError, PolicyError
from personare.core.types import Cohort, Recording, Withheld
from personare.data.cohort import cohort_kind
from personare.data.roles import recorded_as
from personare.govern.consent import no_consent, permits, read_consent
from personare.govern.ledger import Ledger
from personare.govern.purposes import check_purposes

__all__ = ["Vault"]

_FIX = "Record the person's consent in consent.tsv, or leave the recording out."


def _today() -> date:
    return datetime.now(UTC).date()


class Vault:
    """Hands out the paths of a cohort's files, one purpose at a time.

    **Guarantee**: no path of an identifiable cohort is handed out without a consent that is valid for this person,
    purpose, modality and day; every path handed out and every refusal is a row of the ledger, written before the
    path is returned; if the ledger cannot be written nothing is handed out. Consent is read again when its file
    changes, so a withdrawal counts from the next opening on. Releases and synthetic cohorts need no consent but are
    written down too.

    Args:
        cohort: Whose recordings.
        purpose: One of ``personare.govern.purposes.PURPOSES``.
        ledger: Where openings are written.
        today: Which day it is.

    Raises:
        PolicyError: The purpose is not on the list.
    """

    def __init__(self, cohort: Cohort, *, purpose: str, ledger: Ledger, today: Callable[[], date] = _today) -> None:
        check_purposes([purpose])
        self._cohort = cohort
        self._purpose = purpose
        self._ledger = ledger
        self._today = today
        self._consent_file = cohort.root / "consent.tsv"
        self._consent_state: tuple[int, ...] = ()
        self._consent = no_consent()

    def admit(self, recordings: Sequence[Recording], track: str) -> tuple[dict[str, Path], list[Withheld]]:
        """Open one track of several recordings.

        Args:
            recordings: Of this cohort.
            track: ``audio``, ``video`` ...; recordings without it are passed over.

        Returns:
            The path by recording id of those that may be opened, and those refused with the reason.

        Raises:
            DataError: The ledger or the consent cannot be read or written.
        """
        asked = [recording for recording in recordings if track in recording.tracks]
        reasons = self._reasons(sorted({r.subject for r in asked}), track)
        opened: dict[str, Path] = {}
        refused: list[Withheld] = []
        for recording in asked:
            path, reason = self._locate(recording, track)
            reason = reasons[recording.subject] or reason
            if reason:
                refused.append(Withheld(item=recording.id, problem=reason, fix=_FIX))
            else:
                opened[recording.id] = path
        why = {withheld.item: withheld.problem for withheld in refused}
        self._ledger.append("opened", [self._row(r, track) for r in asked if r.id in opened])
        self._ledger.append("refused", [self._row(r, track, reason=why[r.id]) for r in asked if r.id in why])
        return opened, refused

    def permitted(self, recordings: Sequence[Recording], track: str) -> set[str]:
        """Return the ids of those whose track might be opened now; none is."""
        asked = [r for r in recordings if track in r.tracks]
        reasons = self._reasons(sorted({r.subject for r in asked}), track)
        return {r.id for r in asked if not (reasons[r.subject] or self._locate(r, track)[1])}

    def open(self, recording: Recording, track: str) -> Path:
        """Open one track of one recording.

        Raises:
            DataError: The recording has no such track.
            PolicyError: Consent does not allow it.
        """
        if track not in recording.tracks:
            raise DataError(
                f"{recording.id} has no {track}; it has {', '.join(recording.tracks)}. Ask for one of these."
            )
        opened, refused = self.admit([recording], track)
        if refused:
            raise PolicyError(f"{recording.id} stays closed: {refused[0].problem}. {refused[0].fix}")
        return opened[recording.id]

    def _reasons(self, subjects: Sequence[str], track: str) -> dict[str, str]:
        """Return by person why the track stays closed; empty where it may be opened."""
        if cohort_kind(self._cohort.root) != "identifiable":
            return dict.fromkeys(subjects, "")
        consent, today = self._current_consent(), self._today()
        modality = recorded_as(track)
        return {subject: permits(consent, subject, self._purpose, modality, today) for subject in subjects}

    def _current_consent(self) -> pd.DataFrame:
        try:
            stat = self._consent_file.stat()
            state: tuple[int, ...] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError:
            state = ()
        if state != self._consent_state or not state:
            self._consent = read_consent(self._consent_file)
            self._consent_state = state
        return self._consent

    def _locate(self, recording: Recording, track: str) -> tuple[Path, str]:
        relative = PurePosixPath(recording.tracks[track])
        outside = relative.is_absolute() or ".." in relative.parts
        return self._cohort.root / relative, "its file lies outside the cohort" if outside else ""

    def _row(self, recording: Recording, track: str, **detail: Any) -> dict[str, Any]:
        who = {"cohort": self._cohort.name, "subject": recording.subject, "recording": recording.id}
        return {**who, "track": track, "purpose": self._purpose, "detail": detail}
