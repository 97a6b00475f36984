"""MIMIC-III: stays of 46,520 patients of intensive care in a hospital in Boston, for trained researchers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd

from personare.core.types import Recording, Withheld
from personare.data.made import Made
from personare.data.mimic import make_histories, read_people

__all__ = ["Mimic3"]


@dataclass(frozen=True, kw_only=True)
class Mimic3:
    """Reads the tables of admissions, patients, diagnoses, procedures and prescriptions (``ADMISSIONS.csv[.gz]`` ...).

    A recording is a patient: one row for each stay, with groups of ICD-9-CM codes and of drugs. Free text, insurance,
    religion, language and ethnicity are not taken in: nothing here needs them. Stays in a unit (``ICUSTAYS``) are not
    used either.

    **Guarantee**: every stay is a visit of a history or listed with the reason; the vocabulary does not depend on who
    is in the data.

    **Source**: Johnson, Pollard, Shen, Lehman, Feng, Ghassemi, Moody, Szolovits, Celi, Mark: MIMIC-III, a freely
    accessible critical care database. Scientific Data 3, 2016. doi:10.1038/sdata.2016.35.
    """

    license: ClassVar[str] = "PhysioNet Credentialed Health Data License 1.5.0"
    citation: ClassVar[str] = "Johnson et al., Scientific Data 3: 160035, 2016"
    home: ClassVar[str] = "https://physionet.org/content/mimiciii/1.4/"

    def __call__(self, source: Path) -> tuple[Sequence[Recording], pd.DataFrame, Sequence[Withheld]]:
        """Read the stays.

        Returns:
            Recordings (track ``visits``; labels ``mortality``, ``died`` in hospital or ``survived``, and
            ``readmission``, ``again`` or ``once``), the people with sex and age (90 for all who are older), and stays
            left out.

        Raises:
            DataError: A table is not there, or lacks a column.
        """
        return read_people(source)

    def make(self, source: Path) -> Callable[[str], Made]:
        """Return what makes a patient's history."""
        return make_histories(source)
