"""MIMIC-III demo: the stays of 100 patients of intensive care in hospital, open to everybody."""

from dataclasses import dataclass
from typing import ClassVar

from personare.data.mimic import CITATION, make_visits, read_people

__all__ = ["MimicDemo"]


@dataclass(frozen=True, kw_only=True)
class MimicDemo:
    """Reads the tables of admissions, patients, diagnoses, procedures and prescriptions (``ADMISSIONS.csv[.gz]`` ...).

    A recording is a patient: one row for each stay, with groups of ICD-9-CM codes and of drugs. Free text, insurance,
    religion, language, ethnicity and stays in a unit (``ICUSTAYS``) are not taken in: nothing here needs them.

    **Guarantee**: every stay is a visit of a history or listed with the reason; the vocabulary does not depend on who
    is in the data.

    **Source**: Johnson et al., MIMIC-III, Scientific Data 3, 2016, doi:10.1038/sdata.2016.35.
    """

    license: ClassVar[str] = "ODbL 1.0"
    citation: ClassVar[str] = CITATION
    home: ClassVar[str] = "https://physionet.org/content/mimiciii-demo/1.4/"
    tracks: ClassVar[dict[str, str]] = {"visits": "visits"}

    __call__ = staticmethod(read_people)
    make = staticmethod(make_visits)
