import json
from pathlib import Path

import pytest

from personare.core.errors import DataError
from personare.core.types import Cohort
from personare.data.validate import validate


def test_every_problem_is_listed_not_the_first_only(small_cohort: Cohort) -> None:
    root, beh = small_cohort.root, small_cohort.root / "sub-01/ses-01/beh"
    (beh / "sub-01_ses-01_task-anger01_audio.wav").write_bytes(b"")
    (beh / "sub-01_ses-01_task-calm01_beh.json").write_text('{"Labels": {"emotion": "Angry"}}')
    (beh / "sub-01_ses-01_task-fear01_audio.wav").symlink_to(root / "gone.wav")
    (beh / "my take.wav").write_bytes(b"x")
    (root / "sub-02/ses-01/beh/sub-02_ses-01_task-calm01_beh.json").write_text("{")
    (root / "participants.tsv").write_text(
        "participant_id\tsex\tage\nsub-01\tfemale\t330\nsub-01\tF\t33\nsub-77\tF\t20\n"
    )
    (root / "consent.tsv").write_text(
        "subject\tscope\tpurposes\tmodalities\tretention_until\twithdrawn_at\n01\tall\tfun\t\tsoon\t2026-13-01\n"
    )
    (root / "dataset_description.json").write_text("{}")
    found = validate(root)
    text = "\n".join(f"{w.item}|{w.problem}" for w in found)
    for part in (
        "task-anger01_audio.wav|the file is empty",
        "task-fear01_audio.wav|the link leads nowhere",
        "my take.wav|the file's name is not of BIDS shape",
        "sub-02_ses-01_task-calm01_beh.json|the labels cannot be read",
        "participants.tsv|sub-01 has several rows",
        "participants.tsv|sub-01: sex 'female' is not known",
        "participants.tsv|sub-01: age 330 cannot be",
        "participants.tsv|sub-02 has recordings but no row",
        "participants.tsv|sub-77 has a row but no recording",
        "consent.tsv line 2|scope 'all' is not a known DUO code",
        "consent.tsv line 2|unknown purpose fun",
        "consent.tsv line 2|no modality",
        "consent.tsv line 2|retention_until 'soon' is not a date",
        "consent.tsv line 2|withdrawn_at '2026-13-01' is not a date",
        "consent.tsv|sub-02 has no row",
        "dataset_description.json|the key 'Name' is missing",
    ):
        assert part in text
    assert len(found) == 16
    assert all(withheld.fix for withheld in found)


@pytest.mark.parametrize("subject", ["AnnaBeispiel", "anna", "19840312"])
def test_a_subject_that_may_be_a_name_is_listed(small_cohort: Cohort, subject: str) -> None:
    folder = small_cohort.root / f"sub-{subject}/beh"
    folder.mkdir(parents=True)
    (folder / f"sub-{subject}_task-rest_audio.wav").write_bytes(b"x")
    assert [w.item for w in validate(small_cohort.root) if "may be a name" in w.problem] == [f"sub-{subject}"]


def test_a_good_cohort_has_only_the_missing_consent(small_cohort: Cohort) -> None:
    assert [w.problem for w in validate(small_cohort.root)] == [
        "sub-02 has no row, so no recording of this person can be opened"
    ]


@pytest.mark.parametrize("name", ["dataset_description.json", "participants.tsv", "consent.tsv"])
def test_missing_and_damaged_tables_are_listed(small_cohort: Cohort, name: str) -> None:
    (small_cohort.root / name).write_bytes(b'"\xff\x00')
    assert name in {w.item for w in validate(small_cohort.root)}
    (small_cohort.root / name).unlink()
    assert name in {w.item for w in validate(small_cohort.root)}


def test_files_are_decoded_where_a_decoder_is_given(small_cohort: Cohort) -> None:
    def check(path: Path, track: str) -> None:
        assert track == "audio"
        if "sub-01" in path.name:
            raise DataError("silent")

    assert sum(w.problem == "silent" for w in validate(small_cohort.root, check=check)) == 2


def test_labels_of_another_shape_are_listed(small_cohort: Cohort) -> None:
    sidecar = small_cohort.root / "sub-01/ses-01/beh/sub-01_ses-01_task-calm01_beh.json"
    sidecar.write_text(json.dumps({"Labels": ["calm"]}))
    assert any("must be an object" in w.problem for w in validate(small_cohort.root))


def test_an_absent_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no cohort"):
        validate(tmp_path / "nowhere")
