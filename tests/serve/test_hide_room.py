"""The Hide room: what is uploaded is opened through the vault alone, and leaves only after somebody found it right."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from personare.core.types import Signal
from personare.data.cohort import cohort_kind
from personare.features import audio, video
from personare.features.corrections import read_corrections
from personare.govern.ledger import Ledger
from personare.serve.hide import hide_room
from personare.serve.pages import Pages
from personare.study import preview
from personare.study.anonymizing import content_digest

PATCH = 128 + 60 * np.sin(np.mgrid[:32, :32][0] / 3) * np.cos(np.mgrid[:32, :32][1] / 4)
BOX = {"at_s": 0.3, "left": 0.2, "top": 0.3125, "right": 0.45, "bottom": 0.646}


def buzz(seconds=0.6):
    t = np.arange(int(16000 * seconds)) / 16000
    values = 0.1 * np.asarray(sum(np.sin(2 * np.pi * 130 * k * t) / k for k in range(1, 20)))
    return Signal(values=values[:, None].astype(np.float32), rate_hz=16000)


def film(path: Path) -> Path:
    """Write a film of a patch that stands still and that no detector takes for a face."""
    with video.VideoWriter(path, width=128, height=96, rate_hz=25) as writer:
        writer.write_sound(buzz())
        for level in range(15):
            image = np.full((96, 128, 3), 90 + level, np.uint8)
            image[30:62, 26:58] = PATCH[..., None]
            writer.write(image)
    return path


def sound(path: Path) -> Path:
    audio.write(path, buzz())
    return path


class Visitor:
    """Somebody in the room."""

    def __init__(self, client, folder):
        self.client, self.folder = client, folder

    def upload(self, path, consent="yes"):
        kind = {"content-type": "application/octet-stream", "accept": "application/json"}
        address = f"/hide/upload?name={path.name}&consent={consent}"
        return self.client.post(address, content=path.read_bytes(), headers=kind)

    def take_in(self, path):
        answer = self.upload(path)
        assert answer.status_code == 200, answer.text
        return answer.json()["film"]

    def make(self, name, **content):
        answer = self.client.post(f"/hide/{name}/make", json={"face": "", "voice": "", "corrections": {}} | content)
        assert answer.status_code == 200, answer.text
        while (state := self.state(name))["running"]:
            time.sleep(0.05)
        return state

    def state(self, name):
        return self.client.get(f"/hide/{name}/state").json()

    def rows(self, action):
        rows = Ledger(self.folder / "ledger.sqlite").rows()
        return rows[rows["action"] == action]


@pytest.fixture
def visitor(inside, tmp_path):
    return Visitor(inside(hide_room(Pages(), tmp_path / "app")), tmp_path / "app")


@pytest.mark.slow
def test_a_film_is_hidden_corrected_found_right_and_taken_away(visitor, tmp_path):
    source = film(tmp_path / "Anna talks.mp4")
    name = visitor.take_in(source)
    refused = visitor.make(name, face="face_solid", voice="voice_mcadams")
    assert "No face was found" in refused["made"]["error"]
    assert visitor.client.get(f"/hide/{name}/result").status_code == 404

    corrections = {
        "add": [BOX],
        "bleep": [{"from_s": 0.2, "to_s": 0.4, "sound": "silence"}],
        "cover": [{"from_s": 0.5}],
    }
    state = visitor.make(name, face="face_solid", voice="voice_mcadams", corrections=corrections)
    states = [stretch[2] for stretch in state["made"]["stretches"]]
    assert states == ["face", "covered"]
    assert (state["right"], state["made"]["face"]) == (False, "face_solid")
    (face,) = visitor.client.get(f"/hide/{name}/faces?at_s=0.32").json()
    assert face["track"] < 0
    assert face["at_s"] == pytest.approx(0.32, abs=0.001)
    assert face["left"] < 26 / 128 < 58 / 128 < face["right"]

    kept_back = visitor.client.get(f"/hide/{name}/download", headers={"accept": "application/json"})
    assert (kept_back.status_code, "that it is right" in kept_back.text) == (400, True)
    another = visitor.client.post(f"/hide/{name}/release", json={"made": "1"})
    assert "another window" in another.json()["error"]
    assert visitor.client.post(f"/hide/{name}/release", json={"made": state["made"]["stamp"]}).status_code == 200
    given = visitor.client.get(f"/hide/{name}/download")
    assert 'filename="hidden.mp4"' in given.headers["content-disposition"]
    (tmp_path / "hidden.mp4").write_bytes(given.content)
    frames = [image for _, _, image in video.read(tmp_path / "hidden.mp4")]
    assert np.ptp(frames[5][36:56, 32:52].astype(int)) < 30
    assert np.ptp(frames[13].astype(int)) < 12
    assert np.abs(audio.read(tmp_path / "hidden.mp4").values[3700:5900]).max() < 0.01
    (tmp_path / "corrections.json").write_bytes(visitor.client.get(f"/hide/{name}/corrections.json").content)
    (mended,) = read_corrections(tmp_path / "corrections.json")
    assert (mended.digest, mended.name, len(mended.add)) == (content_digest(source), "Anna talks.mp4", 1)
    assert len(visitor.rows("released")) == 1

    visitor.make(name, face="face_solid", corrections=corrections)
    assert not visitor.state(name)["right"], "another result was not looked at"
    assert visitor.client.get(f"/hide/{name}/download").status_code == 400


@pytest.mark.slow
def test_a_sound_alone_is_bleeped_and_hidden(visitor, tmp_path):
    name = visitor.take_in(sound(tmp_path / "talk.wav"))
    bleep = {"bleep": [{"from_s": 0.2, "to_s": 0.4, "sound": "silence"}]}
    state = visitor.make(name, face="face_solid", voice="voice_mcadams", corrections=bleep)
    assert (state["made"]["file"], state["made"]["face"], state["made"]["stretches"]) == ("hidden.wav", "", [])
    visitor.client.post(f"/hide/{name}/release", json={"made": state["made"]["stamp"]})
    given = visitor.client.get(f"/hide/{name}/download")
    (tmp_path / "hidden.wav").write_bytes(given.content)
    assert not audio.read(tmp_path / "hidden.wav").values[3200:6400].any()


def test_guarantee_an_original_is_opened_through_the_vault_and_each_opening_is_noted(visitor, tmp_path):
    source = sound(tmp_path / "talk.wav")
    name = visitor.take_in(source)
    assert cohort_kind(visitor.folder / "hide" / name / "cohort") == "identifiable"
    assert not (visitor.folder / "ledger.sqlite").exists(), "nothing was opened yet"
    page = visitor.client.get(f"/hide/{name}")
    assert page.status_code == 200, page.text
    address = page.text.partition('src="/hide/')[2].partition('"')[0]
    original = visitor.client.get(f"/hide/{address}")
    assert original.content == source.read_bytes()
    assert original.headers["cache-control"] == "no-store"
    part = visitor.client.get(f"/hide/{address}", headers={"range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, source.read_bytes()[:10])
    (row,) = visitor.rows("opened").to_dict("records")
    assert (row["purpose"], row["track"], row["cohort"]) == ("anonymization", "audio", name)
    assert visitor.client.get(f"/hide/{name}/original/guessed").status_code == 404
    other = visitor.take_in(sound(tmp_path / "other.wav"))
    assert visitor.client.get(f"/hide/{other}/original/{address.rpartition('/')[2]}").status_code == 404

    consent = visitor.folder / "hide" / name / "cohort" / "consent.tsv"
    consent.write_text(consent.read_text().splitlines()[0] + "\n")
    closed = visitor.client.get(f"/hide/{name}")
    assert (closed.status_code, "there is no consent" in closed.text) == (400, True)
    assert len(visitor.rows("refused")) == 1


def test_nothing_is_taken_in_without_a_tick(visitor, tmp_path):
    answer = visitor.upload(sound(tmp_path / "talk.wav"), consent="")
    assert (answer.status_code, "only if you may" in answer.json()["error"]) == (400, True)
    assert not list((visitor.folder / "hide").glob("*"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.mp4", b"Dear diary", "does not begin like a film"),
        ("empty.mp4", b"", "does not begin like a film"),
        ("archive.wav", b"PK\3\4" + bytes(100), "does not begin like a film"),
        ("broken.mp4", b"\0\0\0\x18ftypisom" + bytes(200), "broken.mp4 cannot be read"),
        ("cut.wav", b"RIFF\0\0\0\0WAVE", "cut.wav"),
    ],
)
def test_a_file_that_is_none_is_refused_and_leaves_nothing(visitor, tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    answer = visitor.upload(path)
    assert answer.status_code == 400
    assert message in answer.json()["error"]
    assert str(visitor.folder) not in answer.text
    assert not list((visitor.folder / "hide").glob("*"))


def test_what_is_too_long_is_refused_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(preview, "LONGEST_S", 0.5)
    for path in (film(tmp_path / "long.mp4"), sound(tmp_path / "long.wav")):
        with pytest.raises(preview.DataError, match="Cut it into parts"):
            preview.look_at(path)


def test_no_other_file_is_reached_and_no_correction_made_that_is_not_understood(visitor, tmp_path):
    assert "Still here" not in visitor.client.get("/hide").text
    film = visitor.take_in(sound(tmp_path / "<b>.wav"))
    page = visitor.client.get("/hide").text
    assert "&lt;b&gt;.wav" in page
    assert "<b>.wav" not in page
    for name in ("..%2f..%2fledger.sqlite", "0" * 32, "upload", "%00", film.upper(), f"{film}%2f..%2f{film}"):
        for path in ("", "/state", "/result", "/download", "/corrections.json", "/faces?at_s=0", "/original/x"):
            assert visitor.client.get(f"/hide/{name}{path}").status_code in (404, 405)
    for given in ([], {"hide": []}, {"bleep": [{"from_s": 2, "to_s": 1}]}):
        answer = visitor.client.post(f"/hide/{film}/make", json={"voice": "voice_mcadams", "corrections": given})
        assert answer.status_code == 400
        assert answer.json()["error"]
    assert visitor.state(film)["made"] is None


@pytest.mark.slow
def test_a_second_window_waits_and_deleting_ends_the_work(visitor, tmp_path):
    name = visitor.take_in(film(tmp_path / "talk.mp4"))
    start = {"face": "face_solid", "corrections": {"add": [BOX]}}
    assert visitor.client.post(f"/hide/{name}/make", json=start).status_code == 200
    assert "another window" in visitor.client.post(f"/hide/{name}/make", json=start).json()["error"]
    assert visitor.client.post(f"/hide/{name}/delete", json={}).status_code == 200
    assert not list((visitor.folder / "hide").glob("*"))
    assert len(visitor.rows("erased")) == 1
    assert visitor.client.get(f"/hide/{name}/state").status_code == 404


def test_what_is_older_than_a_day_is_removed_at_the_start(inside, tmp_path):
    old, new = (tmp_path / "app" / "hide" / (letter * 32) for letter in "ab")
    for folder in (old, new):
        (folder / "cohort").mkdir(parents=True)
    os.utime(old, (0, 0))
    hide_room(Pages(), tmp_path / "app")
    assert (old.exists(), new.exists()) == (False, True)
