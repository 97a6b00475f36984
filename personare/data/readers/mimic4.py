"""MIMIC-IV: stays of patients of a hospital in Boston from 2008 on, for trained researchers."""

from personare.data.mimic import Mimic

__all__ = ["Mimic4"]


class Mimic4(Mimic):
    """Reads admissions, patients, diagnoses, procedures and prescriptions (``hosp/admissions.csv.gz`` and so on).

    As in ``mimic_demo``; codes of ICD-10 are told in the groups of ICD-9.

    **Guarantee**: that of ``mimic_demo``.

    **Source**: Johnson et al., MIMIC-IV, Scientific Data 10, 2023, doi:10.1038/s41597-022-01899-x.
    """

    citation = "Johnson et al., Scientific Data 10: 1, 2023"
    home = "https://physionet.org/content/mimiciv/"
