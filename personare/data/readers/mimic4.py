"""MIMIC-IV: stays of patients of a hospital in Boston from 2008 on, for trained researchers."""

from dataclasses import dataclass
from typing import ClassVar

from personare.data.mimic import make_visits, read_people

__all__ = ["Mimic4"]


@dataclass(frozen=True, kw_only=True)
class Mimic4:
    """Reads admissions, patients, diagnoses, procedures and prescriptions (``hosp/admissions.csv.gz`` and so on).

    As in ``mimic_demo``; codes of ICD-10 are told in the groups of ICD-9.

    **Guarantee**: every stay is a visit of a history or listed with the reason; the vocabulary does not depend on who
    is in the data.

    **Source**: Johnson et al., MIMIC-IV, Scientific Data 10, 2023, doi:10.1038/s41597-022-01899-x.
    """

    license: ClassVar[str] = "PhysioNet Credentialed Health Data License 1.5.0"
    citation: ClassVar[str] = "Johnson et al., Scientific Data 10: 1, 2023"
    home: ClassVar[str] = "https://physionet.org/content/mimiciv/"
    tracks: ClassVar[dict[str, str]] = {"visits": "visits"}

    __call__ = staticmethod(read_people)
    make = staticmethod(make_visits)
