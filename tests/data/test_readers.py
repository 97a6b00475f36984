import gzip
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from personare.core.errors import DataError, OptionError
from personare.core.registry import create, find
from personare.core.types import Recording, Withheld
from personare.data.labels import EMOTIONS

READERS = "personare.data.readers"
Read = tuple[Sequence[Recording], pd.DataFrame, Sequence[Withheld]]


def read(name: str, source: Path, **options: object) -> Read:
    found: Read = create(READERS, name, options)(source)
    return found


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


@pytest.mark.parametrize("name", sorted(find(READERS)))
def test_every_reader_says_where_its_data_come_from(name: str, tmp_path: Path) -> None:
    reader = create(READERS, name)
    assert all(isinstance(text, str) for text in (reader.license, reader.citation, reader.home))
    assert bool(reader.license) == bool(reader.citation)
    with pytest.raises(DataError):
        reader(tmp_path / "nowhere")


def test_ravdess_pairs_sound_and_film_of_one_performance(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "Actor_12/03-01-05-02-01-02-12.wav",
        "Video Song/Actor_12/01-01-05-02-01-02-12.mp4",
        "Video Song/Actor_12/02-01-05-02-01-02-12.mp4",
        "flat/03-02-04-01-02-01-07.flac",
    )
    recordings, people, skipped = read("ravdess", tmp_path)
    assert [r.id for r in sorted(recordings, key=lambda r: r.id)] == [
        "sub-07_ses-01_task-songsadnessnormaldogs1",
        "sub-12_ses-01_task-speechangerstrongkids2",
    ]
    spoken = next(r for r in recordings if r.subject == "12")
    assert spoken.tracks == {
        "audio": "Actor_12/03-01-05-02-01-02-12.wav",
        "video": "Video Song/Actor_12/01-01-05-02-01-02-12.mp4",
    }
    assert spoken.labels["intensity"] == "strong"
    assert people["sex"].to_dict() == {"07": "M", "12": "F"}
    assert [withheld.item for withheld in skipped] == ["Video Song/Actor_12/02-01-05-02-01-02-12.mp4"]


def test_ravdess_silent_film_is_used_where_there_is_no_other(tmp_path: Path) -> None:
    touch(tmp_path, "02-01-01-01-01-01-01.mp4", "03-01-01-01-01-01-02.wav")
    recordings, _, skipped = read("ravdess", tmp_path)
    assert [set(r.tracks) for r in recordings] == [{"video"}, {"audio"}]
    assert not skipped


def test_ravdess_lists_what_it_cannot_use(tmp_path: Path) -> None:
    touch(tmp_path, "03-01-09-01-01-01-01.wav", "a/03-01-01-01-01-01-01.wav", "b/03-01-01-01-01-01-01.wav", "take.mp4")
    touch(tmp_path, "03-01-02-01-01-01-01.mp4")
    recordings, _, skipped = read("ravdess", tmp_path)
    assert len(recordings) == 1
    assert len(skipped) == 4
    assert all(withheld.fix for withheld in skipped)


def test_ravdess_channel_is_an_option(tmp_path: Path) -> None:
    touch(tmp_path, "03-01-01-01-01-01-01.wav", "03-02-01-01-01-01-01.wav")
    assert [r.labels["channel"] for r in read("ravdess", tmp_path, channel="song")[0]] == ["song"]
    with pytest.raises(OptionError, match="channel"):
        create(READERS, "ravdess", {"channel": "mime"})


def test_emodb_reads_published_and_flat_layouts(tmp_path: Path) -> None:
    touch(tmp_path, "wav/03a01Fa.wav", "16b10Lb.flac", "wav/99z01Xx.wav", "other/03a01Fa.flac")
    recordings, people, skipped = read("emodb", tmp_path)
    by_id = {r.id: r for r in recordings}
    assert by_id["sub-03_ses-01_task-a01Fa"].labels == {"emotion": "happiness", "sentence": "a01", "repetition": "a"}
    assert by_id["sub-16_ses-01_task-b10Lb"].labels["emotion"] == "boredom"
    assert people.loc["03"].to_list() == ["M", 31]
    assert people.loc["16"].to_list() == ["F", 31]
    assert len(skipped) == 2


def test_grid_reads_speakers_from_folders_and_sentences_from_names(tmp_path: Path) -> None:
    touch(tmp_path, "s1/video/mpg_6000/bbaf2n.mpg", "audio/s1/bbaf2n.wav", "S23/lrwp9a.mpg", "swiz4s.mpg", "nope.mpg")
    recordings, _, skipped = read("grid", tmp_path)
    by_subject = {r.subject: r for r in recordings}
    assert set(by_subject) == {"s1", "s23", "unknown"}
    assert by_subject["s1"].labels == {"sentence": "bin blue at f two now"}
    assert by_subject["unknown"].labels == {"sentence": "set white in z four soon"}
    assert set(by_subject["s1"].tracks) == {"audio", "video"}
    assert [withheld.item for withheld in skipped] == ["nope.mpg"]
    assert {r.subject for r in read("grid", tmp_path, subject="each")[0]} == {"s1", "s23", "ofswiz4s"}
    with pytest.raises(OptionError, match="pseudonym"):
        create(READERS, "grid", {"subject": "Zoë"})


def test_crema_d_reads_every_published_part(tmp_path: Path) -> None:
    touch(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav", "AudioMP3/1001_DFA_ANG_XX.mp3", "VideoFlash/1001_DFA_ANG_XX.flv")
    touch(tmp_path, "AudioWAV/1002_IEO_HAP_LO.wav", "AudioWAV/1002_IEO_JOY_LO.wav")
    (tmp_path / "VideoDemographics.csv").write_text('"ActorID","Age","Sex"\n1001,51,"Male"\n1002,21,"Female"\n')
    with gzip.open(tmp_path / "summaryTable.csv.gz", "wt") as file:
        file.write('"","FileName","VoiceVote","FaceVote","MultiModalVote"\n"1","1001_DFA_ANG_XX","A","A:D","X"\n')
    np.savez(tmp_path / "mel.npz", **{"1001_DFA_ANG_XX": np.ones((2, 3)), "oops": np.ones(1)})
    recordings, people, skipped = read("crema_d", tmp_path)
    first = recordings[0]
    assert first.tracks == {
        "audio": "AudioWAV/1001_DFA_ANG_XX.wav",
        "video": "VideoFlash/1001_DFA_ANG_XX.flv",
        "logmel": "mel.npz#1001_DFA_ANG_XX",
    }
    assert first.labels == {
        "emotion": "anger",
        "sentence": "DFA",
        "intensity": "unspecified",
        "vote_voice": "anger",
        "vote_face": "anger:disgust",
    }
    assert people["sex"].to_dict() == {"1001": "M", "1002": "F"}
    assert people["age"].to_dict() == {"1001": 51.0, "1002": 21.0}
    assert sorted(w.item for w in skipped) == ["AudioWAV/1002_IEO_JOY_LO.wav", "mel.npz#oops"]


def test_crema_d_lists_broken_spectrograms_and_names_wrong_tables(tmp_path: Path) -> None:
    touch(tmp_path, "mel/1001.npz", "AudioWAV/1001_DFA_ANG_XX.wav")
    assert [w.item for w in read("crema_d", tmp_path)[2]] == ["mel/1001.npz"]
    (tmp_path / "summaryTable.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="FileName"):
        read("crema_d", tmp_path)


LABELS = """file,subject,emotion,sentence,sex,age
talk 1.wav,P1,Angry,Zoë's,female,33
talk 1.mp4,P1,Angry,Zoë's,,
übung/zwei.wav,P2,sad,,M,
gone.wav,P1,anger,,,
talk 2.wav,P1,hangry,,,
talk 3.wav,,anger,,,
talk 4.wav,Anna M.,anger,,,
talk 1.wav,P1,anger,Zoë's,,
"""


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    touch(tmp_path, "talk 1.wav", "talk 1.mp4", "talk 2.wav", "talk 3.wav", "talk 4.wav", "übung/zwei.wav", "extra.wav")
    (tmp_path / "labels.csv").write_text(LABELS, encoding="utf-8")
    return tmp_path


def test_folder_reads_rows_and_lists_every_problem(own_folder: Path) -> None:
    recordings, people, skipped = read("folder", own_folder)
    assert [(r.id, dict(r.labels)) for r in recordings] == [
        ("sub-P1_ses-01_task-take01", {"emotion": "Angry", "sentence": "Zoë's"}),
        ("sub-P2_ses-01_task-take01", {"emotion": "sad"}),
        ("sub-P1_ses-01_task-take02", {"emotion": "hangry"}),
        ("sub-Anna M._ses-01_task-take01", {"emotion": "anger"}),
    ]
    assert recordings[0].tracks == {"audio": "talk 1.wav", "video": "talk 1.mp4"}
    assert people.loc["P1"].to_list() == ["F", 33.0]
    problems = {withheld.item: withheld.problem for withheld in skipped}
    assert "no such" in problems["labels.csv line 5: gone.wav"]
    assert "no subject" in problems["labels.csv line 7: talk 3.wav"]
    assert "line 2 has this part" in problems["labels.csv line 9: talk 1.wav"]
    assert "no row" in problems["extra.wav"]
    assert len(problems) == 4
    assert all(withheld.fix for withheld in skipped)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("\ufefffile;subject;emotion\nübung/zwei.wav;01;anger\n", "utf-8"),
        ("File\tSubject\tEmotion\r\nübung/zwei.wav\t01\tANGER\r\n", "utf-8"),
        ("file,subject,emotion\nübung/zwei.wav,01,anger\n", "cp1252"),
        ("file,subject,emotion\nu\u0308bung\\zwei.wav,01,anger\n", "utf-8"),  # decomposed, and from Windows
    ],
)
def test_folder_reads_tables_as_spreadsheets_write_them(tmp_path: Path, text: str, encoding: str) -> None:
    touch(tmp_path, "übung/zwei.wav")
    (tmp_path / "labels.csv").write_bytes(text.encode(encoding))
    (recording,), _, skipped = read("folder", tmp_path)
    assert recording.tracks == {"audio": "übung/zwei.wav"}
    assert not skipped


def test_folder_names_the_missing_column_and_the_missing_table(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("path,subject\na.wav,01\n")
    with pytest.raises(DataError, match=r"file is missing.*path, subject"):
        read("folder", tmp_path, table="mine.csv")
    with pytest.raises(DataError, match=r"tables there: mine\.csv"):
        read("folder", tmp_path)


def test_folder_does_not_reach_outside(tmp_path: Path) -> None:
    touch(tmp_path, "secret.wav", "data/a.wav")
    (tmp_path / "data/labels.csv").write_text(f"file,subject\n../secret.wav,01\n{tmp_path}/secret.wav,01\na.wav,01\n")
    recordings, _, skipped = read("folder", tmp_path / "data")
    assert [r.tracks["audio"] for r in recordings] == ["a.wav"]
    assert len(skipped) == 2


def test_bids_lists_names_that_do_not_fit(tmp_path: Path) -> None:
    touch(tmp_path, "sub-01/beh/sub-01_task-x_audio.wav", "sub-01/beh/take one.wav", "sub-01/sub-01_task-x_audio.flac")
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nsub-01\t44\n")
    recordings, people, skipped = read("bids", tmp_path)
    assert [r.id for r in recordings] == ["sub-01_ses-01_task-x"]
    assert people["age"].to_dict() == {"01": 44.0}
    assert sorted(w.problem.split(",")[0] for w in skipped) == [
        "a second file of the track audio",
        "the file's name is not of BIDS shape",
    ]


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "folder", "recordings", "people"),
    [("crema_d", "crema-d", 3261, 40), ("ravdess", "ravdess", 210, 14), ("emodb", "emodb", 243, 5)],
)
def test_published_data_are_read_whole(real_data: Path, name: str, folder: str, recordings: int, people: int) -> None:
    found, table, skipped = read(name, real_data / folder)
    assert (len(found), len(table), len(skipped)) == (recordings, people, 0)
    assert {r.labels["emotion"] for r in found} <= set(EMOTIONS)
    assert table["sex"].isin(["F", "M"]).all()


@pytest.mark.real
def test_published_clips_are_read_whole(real_data: Path) -> None:
    found, _, skipped = read("grid", real_data / "talking-faces" / "grid", subject="each")
    assert len(found) == len({r.subject for r in found}) == 6
    assert not skipped


def test_a_folder_of_pictures_is_read(tmp_path):
    for n in range(2):
        cv2.imwrite(str(tmp_path / f"p{n}.png"), np.full((8, 8), 100 * n, np.uint8))
    (tmp_path / "labels.csv").write_text("file,subject,emotion\np0.png,01,anger\np1.png,02,happiness\n")
    recordings, _, skipped = create("personare.data.readers", "folder")(tmp_path)
    assert [r.tracks for r in recordings] == [{"picture": "p0.png"}, {"picture": "p1.png"}] and not skipped
