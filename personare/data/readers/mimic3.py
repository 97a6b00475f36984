"""MIMIC-III: stays of 46,520 patients of intensive care in a hospital in Boston, for trained researchers."""

from personare.data.mimic import Mimic

__all__ = ["Mimic3"]


class Mimic3(Mimic):
    """Reads the whole data set, whose tables are those of its open demo: see ``mimic_demo``.

    **Guarantee**: that of ``mimic_demo``.

    **Source**: Johnson et al., MIMIC-III, Scientific Data 3, 2016, doi:10.1038/sdata.2016.35.
    """

    home = "https://physionet.org/content/mimiciii/1.4/"
