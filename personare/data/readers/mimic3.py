"""MIMIC-III: stays of 46,520 patients of intensive care in a hospital in Boston, for trained researchers."""

from dataclasses import dataclass
from typing import ClassVar

from personare.data.mimic import CITATION, make_visits, read_people

__all__ = ["Mimic3"]


@dataclass(frozen=True, kw_only=True)
class Mimic3:
    """Reads the whole data set, whose tables are those of its open demo: see ``mimic_demo``.

    **Guarantee**: that of ``mimic_demo``.

    **Source**: Johnson et al., MIMIC-III, Scientific Data 3, 2016, doi:10.1038/sdata.2016.35.
    """

    license: ClassVar[str] = "PhysioNet Credentialed Health Data License 1.5.0"
    citation: ClassVar[str] = CITATION
    home: ClassVar[str] = "https://physionet.org/content/mimiciii/1.4/"
    tracks: ClassVar[dict[str, str]] = {"visits": "visits"}

    __call__ = staticmethod(read_people)
    make = staticmethod(make_visits)
