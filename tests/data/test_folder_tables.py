"""What a table of one's own may contradict: whose a file is, how often it is taken, who is who."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from personare.core.errors import DataError
from personare.core.registry import create
from personare.core.types import Recording, Withheld
from personare.data.importing import import_cohort

Tone = Callable[..., Path]


def read(
    folder: Path, table: str, files: Sequence[str] = ("a.wav", "a.mp4", "b.wav", "c.txt")
) -> tuple[list[Recording], dict[int, Withheld]]:
    """Return the recordings, and by its line what was left out."""
    folder.mkdir(exist_ok=True)
    for name in files:
        (folder / name).write_bytes(os.fsencode(name))
    (folder / "labels.csv").write_text(table, encoding="utf-8")
    recordings, _, skipped = create("personare.data.readers", "folder")(folder)
    rows = [withheld for withheld in skipped if " line " in withheld.item]
    return list(recordings), {int(w.item.split(" line ")[1].partition(":")[0]): w for w in rows}


@pytest.mark.parametrize(
    ("table", "left_out", "said"),
    [
        ("file,subject\na.wav,P1\nb.wav,P2\na.wav,P2\n", {2, 4}, "gives a.wav to P2"),
        ("file,subject\na.wav,P1\nb.wav,P2\na.mp4,P2\n", {2, 4}, "gives a.mp4 to P2"),
        ("file,subject,task\na.wav,P1,x\nb.wav,P1,x2\na.wav,P1,y\n", {4}, "has this part of the file already"),
        ("file,subject,start,end\na.wav,P1,0,5\na.wav,P2,4,9\nb.wav,P1,,\n", {2, 3}, "gives a.wav to P2"),
        ("file,subject,start,end\na.wav,P1,0,5\na.wav,P1,,\nb.wav,P1,,\n", {3}, "line 2 has this part"),
        ("file,subject,sex\na.wav,P1,F\nb.wav,P1,M\n", {3}, "may be two people"),
    ],
)
def test_no_file_is_given_to_two_people_or_taken_twice(
    tmp_path: Path, table: str, left_out: set[int], said: str
) -> None:
    recordings, skipped = read(tmp_path, table)
    assert set(skipped) == left_out
    assert said in skipped[min(left_out)].problem
    assert recordings
    assert all(withheld.fix for withheld in skipped.values())


@pytest.mark.parametrize(
    "head",
    ["start,end", "onset,duration", "start_s,end_s"],
)
def test_pieces_of_a_file_are_recordings_of_their_own(tmp_path: Path, head: str) -> None:
    ends = ("1,5", "0:02", "0:00:03.25") if "end" in head else ("1,5", "0,5", "1.25")
    rows = zip(("P1", "P2", "P1"), ("0", "1.5", "2"), ends, strict=True)
    table = f"file;subject;{head.replace(',', ';')}\n" + "".join(f"a.mp4;{s};{a};{b}\n" for s, a, b in rows)
    recordings, skipped = read(tmp_path, table)
    assert not skipped
    assert [(r.id, dict(r.tracks), dict(r.labels)) for r in recordings] == [
        ("sub-P1_ses-01_task-take01", {"video": "a.mp4#t=0,1.5"}, {}),
        ("sub-P2_ses-01_task-take01", {"video": "a.mp4#t=1.5,2"}, {}),
        ("sub-P1_ses-01_task-take02", {"video": "a.mp4#t=2,3.25"}, {}),
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a.wav,P1,5,2", "the end after the start"),
        ("a.wav,P1,,2", "must be seconds"),
        ("a.wav,P1,soon,2", "must be seconds"),
        ("c.txt,P1,0,2", "only sound and film can be cut"),
    ],
)
def test_a_piece_that_cannot_be_is_listed_and_never_taken_whole(tmp_path: Path, row: str, said: str) -> None:
    recordings, skipped = read(tmp_path, f"file,subject,start,end\n{row}\n")
    assert not recordings
    assert said in skipped[2].problem


def test_a_duration_alone_describes_the_file(tmp_path: Path) -> None:
    (recording,), _ = read(tmp_path, "file,subject,duration\na.wav,P1,12\n")
    assert dict(recording.tracks) == {"audio": "a.wav"} and recording.labels == {"duration": "12"}


@pytest.mark.parametrize(
    ("files", "name", "taken"),
    [
        (["Clip.MP4"], "clip.mp4", "Clip.MP4"),
        (["clip.mp4"], "CLIP.MP4", "clip.mp4"),
        (["Clip.MP4", "clip.mp4"], "clip.mp4", "clip.mp4"),
        (["Clip.MP4", "clip.mp4"], "CLIP.mp4", ""),
    ],
)
def test_the_case_of_file_names(tmp_path: Path, files: list[str], name: str, taken: str) -> None:
    recordings, skipped = read(tmp_path, f"file,subject\n{name},P1\n", files)
    assert [r.tracks["video"] for r in recordings] == ([taken] if taken else [])
    assert bool(skipped) == (not taken)
    assert taken or "Clip.MP4 or clip.mp4" in skipped[2].problem


def test_names_of_old_disks_are_found(tmp_path: Path) -> None:
    name = os.fsdecode(b"Zo\xeb.wav")
    (recording,), skipped = read(tmp_path, "file,subject\nZoë.wav,P1\n", [name])
    assert recording.tracks == {"audio": name} and not skipped


@pytest.mark.parametrize("label", ["wütend", "colère", "depressed", "Very angry", "3"])
def test_a_label_stays_as_its_owner_wrote_it(tmp_path: Path, tone: Tone, label: str) -> None:
    tone(tmp_path / "s/a.wav")
    (tmp_path / "s/labels.csv").write_text(f"file,subject,emotion,id,diagnosis\na.wav,P1,{label},r1,yes\n", "utf-8")
    cohort, skipped = import_cohort(tmp_path / "s", tmp_path / "c", reader="folder")
    assert not skipped
    assert cohort.recordings[0].labels == {"emotion": label, "id": "r1", "diagnosis": "yes"}
    assert cohort.recordings[0].id == "sub-P1_ses-01_task-take01"


@pytest.mark.parametrize(
    ("one", "other"), [("007", "7"), ("P2", "p2"), ("P-2", "P 2"), ("s01", "S1"), ("Anna M.", "anna  m")]
)
def test_one_person_or_two_is_asked_and_never_guessed(tmp_path: Path, tone: Tone, one: str, other: str) -> None:
    for name, subject in (("a", one), ("b", other)):
        tone(tmp_path / f"s/{name}.wav")
        tone(tmp_path / f"bids/sub-{subject}/beh/sub-{subject}_task-{name}_audio.wav")
    (tmp_path / "s/labels.csv").write_text(f"file,subject\na.wav,{one}\nb.wav,{other}\n")
    with pytest.raises(DataError, match="One person or two") as error:
        import_cohort(tmp_path / "s", tmp_path / "c", reader="folder")
    assert one in str(error.value) and other in str(error.value)
    assert not (tmp_path / "c").exists()
    if one.isalnum():
        with pytest.raises(DataError, match="One person or two"):
            import_cohort(tmp_path / "bids", tmp_path / "c", reader="bids")


def test_a_copy_of_somebodys_file_is_not_somebody_elses(tmp_path: Path, tone: Tone) -> None:
    content = tone(tmp_path / "s/a.wav").read_bytes()
    tone(tmp_path / "s/b.wav")
    (tmp_path / "s/deep").mkdir()
    (tmp_path / "s/deep/z.wav").write_bytes(content)
    (tmp_path / "s/labels.csv").write_text("file,subject\na.wav,P1\nb.wav,P1\ndeep/z.wav,P2\n")
    cohort, skipped = import_cohort(tmp_path / "s", tmp_path / "c", reader="folder")
    assert [r.subject for r in cohort.recordings] == ["P1"]
    assert sorted(withheld.item for withheld in skipped) == ["a.wav", "deep/z.wav"]


@pytest.mark.parametrize("table", ["sub-01_sessions.tsv", "ses-1/sub-01_ses-1_scans.tsv", "sub-01_participants.tsv"])
def test_tables_of_bids_are_no_recordings(tmp_path: Path, tone: Tone, table: str) -> None:
    tone(tmp_path / "sub-01/ses-1/beh/sub-01_ses-1_task-rest_audio.wav")
    (tmp_path / "sub-01" / table).write_text("filename\tacq_time\nx\t1984-03-12T10:00:00\n")
    recordings, _, skipped = create("personare.data.readers", "bids")(tmp_path)
    assert [r.id for r in recordings] == ["sub-01_ses-1_task-rest"] and not skipped


def test_thousands_of_rows(tmp_path: Path) -> None:
    files = [f"{n}.wav" for n in range(3000)]
    rows = [f"{name},P{n % 40},," for n, name in enumerate(files)] + [f"long.wav,Q1,{n},{n + 1}" for n in range(3000)]
    recordings, skipped = read(tmp_path, "file,subject,start,end\n" + "\n".join(rows), [*files, "long.wav"])
    assert len(recordings) == len({r.id for r in recordings}) == 6000 and not skipped
