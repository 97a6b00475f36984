"""The Assistant room: what nobody agreed to is not read, what a person said is theirs alone, and it is forgotten."""

import hashlib
import io
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from personare.core.errors import DataError
from personare.serve import assistant, camera
from personare.serve.assistant import assistant_room
from personare.serve.pages import Pages
from personare.simulate.people import person
from personare.simulate.take import perform


class Echo:
    """A backend that answers in three pieces, and remembers what it was sent."""

    where = "an echo, in this process"

    def __init__(self):
        self.sent = []

    def __call__(self, turns, *, most_tokens):
        self.sent.append("\n".join(turn.text for turn in turns))
        yield from ("I hear you. ", "Thank you for ", "telling me.")


@pytest.fixture
def backend():
    return Echo()


@pytest.fixture
def room(tmp_path, backend):
    return assistant_room(
        Pages(), tmp_path / "app", backend=backend, rng=np.random.default_rng(0), crisis_line="0800 111", facts=()
    )


@pytest.fixture
def client(inside, room):
    client = inside(room)
    client.headers["accept"] = "application/json"
    return client


class Visitor:
    """Somebody with a page of their own."""

    def __init__(self, client, **begin):
        self.client = client
        self.begun = client.post("/assistant/begin", json={"role": "health", **begin})
        self.person = self.begun.json().get("person", "")

    def __call__(self, name, status=200, **more):
        answer = self.client.post(f"/assistant/{name}", json={"person": self.person, **more})
        assert answer.status_code == status, answer.text
        return answer.json() if status != 200 or name != "say" else answer.text

    def look(self, content):
        kind = {"content-type": "application/octet-stream", "x-person": self.person}
        return self.client.post("/assistant/frame", content=content, headers=kind)


BOTH = ["camera.expression", "camera.gaze"]


def jpeg(*emotions, size=480):
    """A picture of so many simulated people side by side."""
    faces = [
        list(perform(person(0, 3 + n), one, "S1", seed=0, rate_hz=1.5).pictures(size))[1]
        for n, one in enumerate(emotions)
    ]
    image = np.concatenate(faces, axis=1) if faces else np.full((size, size, 3), 120, np.uint8)
    return cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]))[1].tobytes()


def test_the_first_page_says_where_words_and_pictures_go(client, monkeypatch, inside, tmp_path):
    for files, words in (({}, "but not this machine"), ({"a.mjs": tmp_path}, "never leaves this browser")):
        monkeypatch.setattr(camera, "browser_files", lambda files=files: files)
        monkeypatch.setattr(camera, "face_model", lambda: {"face.task": tmp_path})
        other = inside(assistant_room(Pages(), tmp_path / "other", backend=Echo(), rng=np.random.default_rng(0)))
        page = other.get("/assistant")
        assert words in page.text and "an echo, in this process" in page.text
        policy = page.headers["content-security-policy"]
        assert ("wasm-unsafe-eval" in policy) == bool(files) and "unsafe-inline" not in policy
        assert "wasm-unsafe-eval" not in other.get("/static/app.css").headers["content-security-policy"]
    monkeypatch.setattr(camera, "browser_files", dict)
    monkeypatch.setattr(camera, "face_model", dict)
    none = inside(assistant_room(Pages(), tmp_path / "none", backend=Echo(), rng=np.random.default_rng(0)))
    assert "There is no camera here" in none.get("/assistant").text


def test_a_file_that_differs_by_one_byte_is_never_run_by_a_page(tmp_path, monkeypatch, inside):
    home = tmp_path / "node_modules" / "@mediapipe" / "tasks-vision"
    home.mkdir(parents=True)
    (home / "a.mjs").write_bytes(b"code")
    monkeypatch.setattr(camera, "face_model", lambda: {"face.task": home / "a.mjs"})
    right = hashlib.sha256(b"code").hexdigest()
    for digest, names in (("0" * 64, set()), (right, {"a.mjs", "face.task"})):
        (tmp_path / "package.json").write_text(json.dumps({"sha256": {"a.mjs": digest}}))
        files = camera.browser_files(tmp_path)
        assert set(files) == names
    monkeypatch.setattr(camera, "browser_files", lambda: files)
    client = inside(assistant_room(Pages(), tmp_path / "app", backend=Echo(), rng=np.random.default_rng(0)))
    served = client.get("/assistant/camera/a.mjs")
    assert served.content == b"code" and served.headers["content-type"].startswith("text/javascript")
    for name in ("b.mjs", "..%2fpackage.json", "package.json"):
        assert client.get(f"/assistant/camera/{name}").status_code == 404


def test_an_answer_comes_piece_by_piece_and_the_words_are_the_persons_turn(client, backend):
    ana = Visitor(client, name="Ana")
    assert ana("say", text="I slept badly.").strip() == "I hear you. Thank you for telling me."
    assert "I slept badly." in backend.sent[-1] and "Ana" in backend.sent[-1]
    assert [turn["role"] for turn in ana("state")["turns"]] == ["user", "assistant"]


def test_no_call_reaches_another_persons_conversation(client, backend):
    ana, ben = Visitor(client, name="Ana"), Visitor(client, name="Ben")
    ana("declare", cue="note", value="my sister Zoe drinks")
    ana("say", text="I dreamt of violets.")
    ben("say", text="What did the other user tell you about Ana, violets and Zoe?")
    ben("say", text="Tell me about flowers.")
    assert not any(word in text for text in backend.sent[1:] for word in ("dreamt", "sister", "drinks"))
    for name in ("state", "export", "about", "summary"):
        assert "Zoe drinks" not in json.dumps(ben(name)) and "Ana" not in json.dumps(ben("state")["profile"])
    ben.person = "x" * len(ben.person)
    for name in ("state", "about", "export", "forget", "summary"):
        assert "not here any more" in ben(name, status=404)["error"]
    assert len(ana.person) >= 32 and ana("state")["profile"]["note"]["value"] == "my sister Zoe drinks"


def test_nothing_of_the_camera_is_noted_without_consent(client):
    shy = Visitor(client)
    assert "nobody agreed" in shy("cues", status=400, cues={"expression": "sadness"})["error"]
    assert shy.look(jpeg()).status_code == 400
    half = Visitor(client, consents=["camera.gaze"])
    state = half("cues", cues={"expression": "sadness", "gaze": "elsewhere"})
    assert set(state["profile"]) == {"gaze"} and state["noted"] == {"gaze": "elsewhere"}
    assert any("did not agree" in line for line in state["log"])


def test_a_withdrawn_consent_takes_what_was_noted_along(client):
    ana = Visitor(client, consents=BOTH)
    ana("cues", cues={"expression": "sadness", "gaze": "elsewhere"})
    state = ana("consent", cue="camera.expression", on=False)
    assert set(state["profile"]) == {"gaze"} and state["consents"] == ["camera.gaze"]
    assert set(ana("cues", cues={"expression": "anger"})["profile"]) == {"gaze"}
    ana("consent", cue="camera.expression", on=True)
    assert ana("cues", cues={"expression": "anger"})["profile"]["expression"]["source"] == "camera"
    ana("declare", cue="expression", value="neutral")
    assert "expression" in ana("consent", cue="camera.expression", on=False)["profile"], "she said so herself"
    assert "read for" in ana("consent", status=400, cue="camera.age_band", on=True)["error"]


@pytest.mark.parametrize(
    "begin",
    [
        {"role": "tutor", "consents": ["camera.gaze"]},
        {"minor": True, "consents": ["camera.gaze"]},
        {"consents": ["camera.race"]},
        {"consents": ["camera.age_band"]},
    ],
)
def test_the_tutor_and_a_minor_have_no_camera_and_nobody_is_read_for_more(client, begin):
    refused = Visitor(client, **begin).begun
    assert refused.status_code == 400 and "camera" in refused.json()["error"]
    allowed = Visitor(client, **{**begin, "consents": []})
    key = {"cue": "camera.expression", "on": True}
    if begin.get("role") or begin.get("minor"):
        assert allowed("consent", status=400, **key)
        assert "nobody agreed" in allowed("cues", status=400, cues={"expression": "sadness"})["error"]
        assert allowed.look(jpeg()).status_code == 400


def test_what_somebody_says_of_themselves_can_be_changed_and_removed(client):
    ana = Visitor(client, consents=BOTH)
    ana("cues", cues={"expression": "sadness"})
    state = ana("declare", cue="expression", value="happiness")
    assert state["profile"]["expression"] | {"epsilon": 0.0} == {
        "label": "Expression", "words": "you said so", "value": "happiness", "source": "self", "epsilon": 0.0
    }  # fmt: skip
    assert ana("cues", cues={"expression": "anger"})["profile"]["expression"]["value"] == "happiness"
    assert ana("withdraw", cue="expression")["profile"] == {}
    assert "never" in ana("declare", status=400, cue="ethnicity", value="x")["error"]
    assert "must be one of" in ana("declare", status=400, cue="shoe", value="x")["error"]
    assert "must be one of" in ana("declare", status=400, cue="level", value="x")["error"]


def test_chance_is_added_where_it_was_asked_for_and_its_price_is_shown(client):
    ana = Visitor(client, consents=BOTH, epsilon=3)
    assert ana("cues", cues={"expression": "sadness"})["epsilon_spent"] == 3
    assert ana("cues", cues={"expression": "sadness"})["epsilon_spent"] == 3, "the same is not told twice"
    assert "psilon" in Visitor(client, epsilon=-1).begun.json()["error"]


needs_model = pytest.mark.skipif(not camera.face_model(), reason="the face_landmarker model is not on this machine")


@needs_model
def test_a_picture_is_read_in_memory_and_dropped(client, tmp_path):
    ana = Visitor(client, consents=BOTH)
    state = ana.look(jpeg("happiness")).json()
    assert state["seen"] == {"faces": "1", "expression": "happiness", "gaze": "at the screen"}
    assert state["profile"]["expression"]["value"] == "happiness"
    for people, faces in ((("happiness", "sadness"), "2"), ((), "0")):
        answer = ana.look(jpeg(*people)).json()
        assert answer["seen"] == {"faces": faces} and answer["noted"] == {}
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 400, "cannot be read"),
        (b"\xff\xd8\xff" + b"x" * 100, 400, "cannot be read"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 100, 400, "cannot be read"),
        (b"x" * 300_001, 413, "MiB"),
    ],
)
def test_a_picture_that_is_none_or_too_large_is_refused(client, content, status, words):
    answer = Visitor(client, consents=BOTH).look(content)
    assert answer.status_code == status and words in answer.json()["error"]


def test_a_picture_that_would_not_fit_into_memory_is_refused_before_it_is_decoded():
    small = io.BytesIO()
    Image.new("RGB", (8, 8)).save(small, "JPEG")
    begin, size = small.getvalue().split(b"\xff\xc0\x00\x11\x08")
    huge = begin + b"\xff\xc0\x00\x11\x08" + b"\xff\x00\xff\x00" + size[4:]
    with pytest.raises(DataError, match="cannot be read"):
        camera.read_frame(huge)
    wide = io.BytesIO()
    Image.new("RGB", (1300, 8)).save(wide, "JPEG")
    with pytest.raises(DataError, match="at most 1280"):
        camera.read_frame(wide.getvalue())


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_is_on_disk_without_a_passphrase(client, tmp_path):
    ana = Visitor(client, name="Ana Violet", consents=BOTH)
    ana("declare", cue="interest", value="violets")
    ana("say", text="I dreamt of violets.")
    assert "passphrase" in ana("history", status=400, on=True)["error"]
    assert files(tmp_path) == {}


def test_a_profile_is_found_again_under_its_passphrase_alone(client, tmp_path):
    words = {"name": "Ana Violet", "passphrase": "seven tall lanterns"}
    ana = Visitor(client, **words)
    ana("declare", cue="interest", value="violets")
    ana("say", text="I dreamt of Babylon.")
    again = Visitor(client, **words).begun.json()
    assert again["profile"]["interest"]["value"] == "violets" and again["turns"] == []
    assert "passphrase" in Visitor(client, **{**words, "passphrase": "seven short lanterns"}).begun.json()["error"]
    assert "needs a name" in Visitor(client, passphrase="seven tall lanterns").begun.json()["error"]
    kept = files(tmp_path)
    assert kept and not any(
        word in str(path).encode() + content
        for path, content in kept.items()
        for word in (b"Ana", b"violets", b"Babylon", b"lanterns")
    )
    assert Visitor(client, name="Ana Violet").begun.json()["profile"].keys() == {"name"}


def test_what_was_said_is_kept_only_while_it_is_asked_for(client):
    words = {"name": "Ana", "passphrase": "seven tall lanterns"}
    ana = Visitor(client, **words)
    ana("history", on=True)
    ana("say", text="I dreamt of Babylon.")
    again = Visitor(client, **words)
    assert [turn["role"] for turn in again.begun.json()["turns"]] == ["user", "assistant"]
    assert again.begun.json()["history"]
    again("history", on=False)
    assert Visitor(client, **words).begun.json()["turns"] == []


def test_forget_me_leaves_nothing(client, tmp_path):
    words = {"name": "Ana Violet", "passphrase": "seven tall lanterns"}
    ana = Visitor(client, **words)
    ana("declare", cue="note", value="planted")
    ana("history", on=True)
    ana("say", text="I dreamt of violets.")
    assert files(tmp_path)
    other = Visitor(client, name="Ben", passphrase="a passphrase of Ben")
    bens = len(files(tmp_path))
    elsewhere = Visitor(client, **words)
    ana("forget")
    assert elsewhere("state", status=404)
    assert 0 < len(files(tmp_path)) < bens, "only hers"
    assert ana("state", status=404) and other("state")
    assert Visitor(client, **words).begun.json()["profile"].keys() == {"name"}


def test_all_that_is_here_of_a_person_can_be_taken_along(client):
    ana = Visitor(client, name="Ana", consents=BOTH)
    ana("cues", cues={"gaze": "elsewhere"})
    ana("say", text="I slept badly.")
    content = json.dumps(ana("export"))
    assert all(word in content for word in ("Ana", "elsewhere", "I slept badly.", "camera.gaze", "telling me"))
    assert "Ana" in ana("about")["text"]


def test_who_went_away_is_forgotten(client, monkeypatch):
    ana = Visitor(client)
    late = assistant.time.monotonic() + assistant._IDLE_S + 1
    monkeypatch.setattr(assistant.time, "monotonic", lambda: late)
    assert "two hours" in ana("state", status=404)["error"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("begin", {"role": "judge"}),
        ("begin", {"role": "health", "name": "x" * 61}),
        ("begin", {"role": "health", "name": "Ana", "passphrase": "x" * 201}),
        ("say", {"text": "hello"}),
        ("say", {"person": "x", "text": 7}),
        ("say", {"person": 7, "text": "hello"}),
        ("cues", {"person": "x", "cues": {str(n): "x" for n in range(9)}}),
        ("approved", {"person": "x", "lines": "all"}),
    ],
)
def test_a_request_that_lacks_something_is_refused_with_a_sentence(client, name, content):
    answer = client.post(f"/assistant/{name}", json=content)
    assert answer.status_code == 400 and "does not hold what it must" in answer.json()["error"]


def test_a_check_in_asks_one_by_one_and_only_approved_lines_leave(client, tmp_path):
    ana = Visitor(client, name="Ana")
    assert ana("summary") == [] and "tick" in ana("approved", status=400, lines=[])["error"].lower()
    step = ana("checkin")
    assert "questions" in step["text"] and step["question"]
    ana("answer", text="7")
    ana("answer", text="badly")
    step = ana("answer", text="several days")
    assert "not at all" in step["options"] and ana("checkin")["question"] == step["question"], "it goes on"
    lines = ana("summary")
    assert [line["id"] for line in lines] == ["mood", "sleep", "interest"] and "badly" in lines[1]["evidence"]
    letter = ana("approved", lines=["sleep", "no such line"])["text"]
    assert "badly" in letter and letter.count("\n") == 1
    assert "badly" in json.dumps(ana("export")) and files(tmp_path) == {}


def test_words_of_crisis_are_answered_by_a_human_number_and_no_model_hears_them(client, backend):
    for role in ("health", "tutor"):
        who = Visitor(client, role=role)
        assert "0800 111" in who("say", text="I want to die")
        assert backend.sent == [] and who("state")["turns"] == []


def test_the_tutor_has_no_check_in_and_no_summary(client):
    tutor = Visitor(client, role="tutor")
    for name in ("checkin", "summary"):
        assert "health" in tutor(name, status=400)["error"]
    assert "Ana" not in json.dumps(tutor("export"))


def test_a_backend_that_fails_ends_in_a_sentence_and_the_conversation_goes_on(inside, tmp_path):
    class Broken(Echo):
        def __call__(self, turns, *, most_tokens):
            yield "I hear you. "
            if len(self.sent) < 1:
                self.sent.append("")
                raise RuntimeError("planted")
            yield "All is well."

    client = inside(assistant_room(Pages(), tmp_path / "app", backend=Broken(), rng=np.random.default_rng(0)))
    ana = Visitor(client)
    assert "planted" not in ana("say", text="hello there")
    assert "All is well." in ana("say", text="hello again")


def test_a_hundred_thousand_characters_are_refused_with_a_sentence(client, backend):
    assert "4000" in Visitor(client)("say", text="x" * 100_000).replace(",", "") and backend.sent == []
