"""The only door to identifiable recordings: it asks for a purpose, checks consent, and writes down who came in."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from personare.core.types import Cohort, Recording, Withheld
from personare.data.cohort import cohort_kind, declared_modalities
from personare.data.roles import recorded_as
from personare.govern.consent import check_purposes, permits, read_consent
from personare.govern.consent_records import Records
from personare.govern.ledger import Ledger


def _today() -> date:
    return datetime.now(UTC).date()


class Vault:
    """Hands out the paths of a cohort's files, one purpose at a time.

    **Guarantee**: no path of an identifiable cohort is handed out without a consent that is valid for this person,
    purpose, modality and day; every path handed out and every refusal is a row of the ledger, written before the
    path is returned; if the ledger cannot be written nothing is handed out. Consent is read again at each opening, so
    a withdrawal counts from the next one on. Where there is a record of the consent, the newest must be the one that
    the ledger knows and allow the same as ``consent.tsv``; on a day before that of the ledger nothing is opened.
    Releases and synthetic cohorts need no consent but are written down too. The purpose is one of
    ``personare.govern.consent.PURPOSES``.
    """

    def __init__(self, cohort: Cohort, *, purpose: str, ledger: Ledger, today: Callable[[], date] = _today) -> None:
        check_purposes([purpose])
        self._cohort, self._purpose, self._ledger, self._today = cohort, purpose, ledger, today

    def admit(self, recordings: Sequence[Recording], track: str) -> tuple[dict[str, Path], list[Withheld]]:
        """Open one track of several recordings, paths by id, or refuse it; those without it are passed over."""
        asked = [recording for recording in recordings if track in recording.tracks]
        reasons = self._reasons(asked, track, self._records())
        fix = "Record the person's consent with 'personare consent grant', or leave the recording out."
        refused = [Withheld(item=r.id, problem=reasons[r.id], fix=fix) for r in asked if reasons[r.id]]
        opened = {r.id: self._cohort.root / r.tracks[track] for r in asked if not reasons[r.id]}
        self._ledger.append("opened", [self._row(r, track) for r in asked if r.id in opened])
        self._ledger.append("refused", [self._row(r, track, reason=reasons[r.id]) for r in asked if r.id not in opened])
        return opened, refused

    def permitted(self, recordings: Sequence[Recording], track: str) -> set[str]:
        """Return the ids of those whose track might be opened now; none is.

        Raises:
            PolicyError: A record of a consent is not the one that the ledger knows, so nobody can tell.
        """
        records = self._records()
        for subject in {recording.subject for recording in recordings}:
            records.newest(subject)
        reasons = self._reasons([r for r in recordings if track in r.tracks], track, records)
        return {name for name, reason in reasons.items() if not reason}

    def hand_over(self, subject: str) -> dict[str, dict[str, Path]]:
        """Return all files of a person's recordings, by id and track, for that person alone, who needs no consent."""
        theirs = [recording for recording in self._cohort.recordings if recording.subject == subject]
        self._ledger.append(
            "handed_over", [self._row(r, track) | {"purpose": ""} for r in theirs for track in r.tracks]
        )
        return {r.id: {track: self._cohort.root / path for track, path in r.tracks.items()} for r in theirs}

    def _records(self) -> Records:
        return Records(self._cohort.root, self._cohort.name, self._ledger)

    def _reasons(self, recordings: Sequence[Recording], track: str, records: Records) -> dict[str, str]:
        """Return by recording why the track stays closed; empty where it may be opened."""
        root, reasons = self._cohort.root, {}
        closed = dict.fromkeys((recording.subject for recording in recordings), "")
        if cohort_kind(root) == "identifiable":
            modality = recorded_as(track, declared_modalities(root))
            consent, today = read_consent(root / "consent.tsv"), self._today()
            self._ledger.check_clock(today)
            for subject in closed:
                closed[subject] = permits(consent, subject, self._purpose, modality, today) or records.permits(
                    subject, self._purpose, modality, today
                )
        for recording in recordings:
            path = PurePosixPath(recording.tracks[track])
            outside = "its file lies outside the cohort" if path.is_absolute() or ".." in path.parts else ""
            reasons[recording.id] = closed[recording.subject] or outside
        return reasons

    def _row(self, recording: Recording, track: str, **detail: Any) -> dict[str, Any]:
        who = {"cohort": self._cohort.name, "subject": recording.subject, "recording": recording.id}
        return {**who, "track": track, "purpose": self._purpose, "detail": detail}
