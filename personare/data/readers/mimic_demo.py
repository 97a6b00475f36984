"""MIMIC-III demo: the stays of 100 patients of intensive care in hospital, open to everybody."""

from personare.data.mimic import Mimic

__all__ = ["MimicDemo"]


class MimicDemo(Mimic):
    """Reads the tables of admissions, patients, diagnoses, procedures and prescriptions (``ADMISSIONS.csv[.gz]`` ...).

    A recording is a patient: one row for each stay, with groups of ICD-9-CM codes and of drugs. Free text, insurance,
    religion, language, ethnicity and stays in a unit (``ICUSTAYS``) are not taken in: nothing here needs them.

    **Guarantee**: every stay is a visit of a history or listed with the reason; the vocabulary does not depend on who
    is in the data.

    **Source**: Johnson et al., MIMIC-III, Scientific Data 3, 2016, doi:10.1038/sdata.2016.35.
    """

    license = "ODbL 1.0"
    home = "https://physionet.org/content/mimiciii-demo/1.4/"
