"""What a word, a suffix or a code is taken for."""

import pytest

from personare.core.errors import DataError
from personare.core.types import Withheld
from personare.data.cohort import Problems, recording_id
from personare.data.labels import emotion, kind_of_label, sex
from personare.data.media_files import suffix_of, track_of
from personare.data.pseudonyms import numbered
from personare.data.roles import recorded_as, usual_tracks
from personare.data.visit_codes import diagnosis_group, procedure_group, word_group


@pytest.mark.parametrize(
    ("meaning", "expected"),
    [
        (emotion("Angry"), "anger"),
        (emotion("hangry"), None),
        (sex("Female"), "F"),
        (sex("m"), "M"),
        (sex("?"), None),
        (kind_of_label(["0", "1"]), "nominal"),
        (kind_of_label(["1", "3", "5"]), "ordinal"),
        (kind_of_label(["-0.5", "0", "0.25"]), "continuous"),
        (track_of("Clip.MP4"), "video"),
        (track_of("notes.doc"), ""),
        (suffix_of("sub-01/heart.TSV.gz"), ".tsv.gz"),
        (suffix_of("a.b.WAV"), ".wav"),
        (recording_id("01", "01", "angry01"), "sub-01_ses-01_task-angry01"),
        (recorded_as("logmel"), "audio"),
        (recorded_as("ecg", {"ecg": "physio"}), "physio"),
        (recorded_as("video", {"video": "text"}), "video"),
        (
            usual_tracks(["video", "truth", "physio", "audio", "events", "m"], declared={"m": "events"}),
            ("audio", "physio"),
        ),
        (numbered(["Anna M.", "P01", "Ben"], {}, "names"), {"Anna M.": "01", "Ben": "02"}),
        ([diagnosis_group(c) for c in ("4019", "V5861", "E8788", "?")], ["hypertension", "other", "other", "other"]),
        ([diagnosis_group(c, 10) for c in ("I10", "S72001A", "Z87891")], ["hypertension", "fracture", "other"]),
        ([procedure_group("3605"), procedure_group("9671")], ["heart", "irrigation_and_intubation"]),
        (procedure_group("02703DZ", 10), "heart"),
        (word_group("drugs", "Metoprolol Tartrate"), "beta_blockers"),
        (word_group("conditions", "Prediabetes"), "prediabetes"),
    ],
)
def test_a_word_is_taken_for_what_it_says(meaning: object, expected: object) -> None:
    assert meaning == expected


def test_the_last_sentence_of_an_error_is_what_to_do() -> None:
    problems = Problems()
    with problems.listing("a.wav"):
        raise DataError("it is silent. Record it.")
    problems.note("b.wav", "it is cut off")
    assert problems == [
        Withheld(item="a.wav", problem="it is silent", fix="Record it."),
        Withheld(item="b.wav", problem="it is cut off", fix="Get it again, or leave it out."),
    ]
