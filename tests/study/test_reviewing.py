"""Who is shown what, what is asked next, and what an alarm does."""

import json
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from personare.core.errors import DataError, PolicyError
from personare.core.types import Recording, Signal
from personare.data.cohort import CohortWriter, open_cohort, recording_id
from personare.data.validate import validate
from personare.data.votes import Votes
from personare.features import audio
from personare.govern.ledger import Ledger
from personare.study import reviewing
from personare.study.cards import Sheet, write_datasheet, write_preview
from personare.study.reviewing import Question, Review, open_votes

EMOTIONS = ("anger", "happiness")


def write_release(root: Path, *, kind: str = "synthetic", people: int = 3, each: int = 4, media: bool = False) -> Path:
    """Write a release: what a few people's bodies did, and if ``media`` what they hummed."""
    writer, rng = CohortWriter(root, name=root.name, kind=kind), np.random.default_rng(people)  # type: ignore[arg-type]
    for person in range(people):
        for take in range(each):
            parts = (f"p{person}", "01", f"t{take}")
            files = {"eda": writer.path(parts, "eda", ".npy")}
            np.save(files["eda"], rng.standard_normal((8, 2)).astype(np.float32))
            files["eda"].with_suffix(".json").write_text('{"SamplingFrequency": 4, "Columns": ["eda", "temp"]}')
            if media:
                files["audio"] = writer.path(parts, "audio", ".wav")
                hum = 0.5 * np.sin(np.arange(8000) / 5)[:, None].astype(np.float32)
                audio.write(files["audio"], Signal(values=hum, rate_hz=16000))
            tracks = {track: path.relative_to(root).as_posix() for track, path in files.items()}
            labels = {"emotion": EMOTIONS[take % 2]} | ({"synthetic": "true"} if kind == "synthetic" else {})
            writer.add(Recording(id=recording_id(*parts), subject=parts[0], session="01", tracks=tracks, labels=labels))
    writer.finish(pd.DataFrame(index=pd.Index([f"p{n}" for n in range(people)], name="subject")))
    return root


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Twelve recordings of people who do not exist."""
    return write_release(tmp_path / "made")


@pytest.fixture
def review(made: Path) -> Review:
    """A review of them, by one rater."""
    review = Review.open(made)
    review.admit("ada", consent=True)
    return review


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with an adapted release, hidden recordings of real people, and a release whose people are near."""
    root = tmp_path / "run"
    for name in ("joint", "joint_adapted"):
        write_release(root / "releases" / name, people=2)
    write_release(root / "releases" / "hidden", kind="release", people=3, media=True)
    (root / "study.toml").write_text(
        '[[synthetic]]\nname = "joint"\nmethod = "joint"\n'
        '[[synthetic]]\nname = "joint_adapted"\nadapt = { of = "joint", method = "best_of_n" }\n'
    )
    near = tmp_path / "run.private" / "near" / "joint.json"
    near.parent.mkdir(parents=True)
    near.write_text(json.dumps(["sub-p0_ses-01_task-t0"]))
    return root


def answers(review: Review, rater: str, task: str, count: int, answer: str) -> list[Question]:
    questions = []
    for _ in range(count):
        question = review.next(rater, task)
        assert question is not None
        review.answer(rater, question, answer)
        questions.append(question)
    return questions


def test_nothing_identifiable_is_shown(numbers, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="releases only"):
        Review.open(numbers.root)
    (tmp_path / "run" / "releases").mkdir(parents=True)
    numbers.root.rename(tmp_path / "run" / "releases" / "copied")
    with pytest.raises(DataError, match="holds none"):
        Review.open(tmp_path / "run")
    with pytest.raises(DataError, match="no cohort"):
        Review.open(tmp_path / "absent")


def test_nothing_is_shown_without_the_raters_own_consent(made: Path) -> None:
    review = Review.open(made)
    with pytest.raises(PolicyError, match="agree"):
        review.admit("ada", consent=False)
    with pytest.raises(PolicyError, match="has not agreed"):
        review.next("ada", "compare")
    with pytest.raises(PolicyError, match="has not agreed"):
        review.answer("ada", "token", "a")
    with pytest.raises(PolicyError, match="has not agreed"):
        review.alarm("ada", "made/sub-p0_ses-01_task-t0")
    review.admit("ada", consent=True)
    assert review.next("ada", "compare") is not None


def test_releases_of_real_people_are_shown_only_to_raters_with_the_purpose_review(run: Path) -> None:
    review = Review.open(run)
    assert review.tasks() == ("compare", "check", "same")
    for name in ("ada", "eve"):
        review.admit(name, consent=True)
    open_votes(run).authorize("ada")
    review = Review.open(run)
    seen = {
        name: {q.a.partition("/")[0] for q in answers(review, name, "check", 15, "plausible")}
        for name in ("ada", "eve")
    }
    assert seen == {"ada": {"hidden", "joint", "joint_adapted"}, "eve": {"joint", "joint_adapted"}}
    assert review.next("ada", "same") is not None
    assert review.next("eve", "same") is None
    assert "--authorize eve" in review.done("eve", "same")


def test_what_is_near_a_real_person_is_never_shown(run: Path) -> None:
    review = Review.open(run)
    review.admit("ada", consent=True)
    names = {question.a for question in answers(review, "ada", "check", 15, "plausible")}
    assert len(names) == 15  # of 16
    assert "joint/sub-p0_ses-01_task-t0" not in names
    assert review.next("ada", "check") is None
    assert "everything" in review.done("ada", "check")
    with pytest.raises(DataError, match="no item"):
        review.item("joint/sub-p0_ses-01_task-t0")


def test_adapted_recordings_are_compared_with_those_of_the_same_behavior(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviewing, "_ADAPTED", 0.6)
    review = Review.open(run)
    review.admit("ada", consent=True)
    between = 0
    for question in answers(review, "ada", "compare", 40, "a"):
        releases = {question.a.partition("/")[0], question.b.partition("/")[0]}
        between += len(releases) == 2
    assert between >= 12
    sides = Counter(review.votes()["a"].str.partition("/")[0])
    assert min(sides["joint"], sides["joint_adapted"]) >= 6


def test_sides_are_random_and_pairs_are_not_asked_twice_but_for_repeats(
    review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviewing, "_REPEATED", 0.25)
    questions = answers(review, "ada", "compare", 60, "tie")
    fresh = [frozenset(q.items) for q in questions if not q.repeat]
    assert len(fresh) == len(set(fresh))
    first = sum(q.a < q.b for q in questions)
    assert 15 <= first <= 45
    repeats = [q for q in questions if q.repeat]
    assert repeats
    for repeat in repeats:
        assert any((q.a, q.b) == (repeat.b, repeat.a) for q in questions if not q.repeat)
    assert review.votes()["repeat"].sum() == len(repeats)
    assert review.progress("ada") == {"compare": 60, "check": 0, "same": 0, "repeats": len(repeats), "alarms": 0}


def test_everything_is_asked_once_and_then_nothing(review: Review) -> None:
    pairs = 0
    while question := review.next("ada", "compare"):
        pairs += not question.repeat
        review.answer("ada", question, "b")
    assert pairs == 12 * 11 / 2
    assert "everything" in review.done("ada", "compare")


def test_what_was_checked_least_is_checked_next(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviewing, "_SHARED", 0.0)
    review = Review.open(made)
    for rater in ("ada", "bob"):
        review.admit(rater, consent=True)
    first = {q.a for q in answers(review, "ada", "check", 6, "plausible")}
    second = {q.a for q in answers(review, "bob", "check", 6, "implausible")}
    assert not first & second


def test_some_questions_are_asked_of_two_raters(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviewing, "_SHARED", 0.6)
    review = Review.open(made)
    for rater in ("ada", "bob"):
        review.admit(rater, consent=True)
    for task, word in (("compare", "tie"), ("check", "plausible")):
        first, second = ({frozenset(q.items) for q in answers(review, r, task, 10, word)} for r in ("ada", "bob"))
        assert first & second


def test_same_person_is_asked_of_two_recordings_of_one_and_one_of_another(run: Path) -> None:
    open_votes(run).authorize("ada")
    review = Review.open(run)
    review.admit("ada", consent=True)
    right = Counter[str]()
    for question in answers(review, "ada", "same", 20, "cannot_tell"):
        people = {side: getattr(question, side).split("_")[0] for side in "xab"}
        assert (people["x"] == people["a"]) != (people["x"] == people["b"])
        right["a" if people["x"] == people["a"] else "b"] += 1
        assert len(set(question.items)) == 3
        right_item = question.a if people["x"] == people["a"] else question.b
        wrong_item = question.b if people["x"] == people["a"] else question.a
        assert int(right_item[-1]) % 2 == int(wrong_item[-1]) % 2  # the same emotion
    assert min(right.values()) >= 3


def test_a_server_started_again_goes_on_with_the_same_question(review: Review, made: Path) -> None:
    question = review.next("ada", "compare")
    again = Review.open(made)
    assert again.next("ada", "compare") == question == review.next("ada", "compare")
    assert question is not None
    number = review.answer("ada", question, "a")
    assert again.answer("ada", question.token, "a") == number
    assert again.next("ada", "compare") != question
    undone = again.undo("ada")
    assert undone is not None
    assert undone.items == question.items
    assert again.next("ada", "compare") == undone
    with pytest.raises(DataError, match="task must be one of"):
        review.next("ada", "guess")
    with pytest.raises(DataError, match="asked here, compare, check, not 'same'"):
        Review.open(made, task="same")


def with_pages(root: Path) -> Path:
    """Add what a synthetic release carries: its card, and a page on which its people are seen."""
    sheet = Sheet(kind="synthetic", source="c", method="joint", options={}, made_of=(3, 9), holds=(3, 12), spends=())
    write_preview(root, open_cohort(root), label="emotion", told=sheet.claim)
    write_datasheet(root, sheet)
    return root


def test_an_item_under_alarm_leaves_its_release_at_once(tmp_path: Path) -> None:
    made = with_pages(write_release(tmp_path / "made", people=2, each=1, media=True))
    ledger = Ledger(tmp_path / "ledger.sqlite")
    review = Review.open(made, ledger=ledger)
    review.admit("ada", consent=True)
    question = review.next("ada", "compare")
    assert question is not None
    review.alarm("ada", question.a, "the baker")
    name = question.a.partition("/")[2]
    subject = name.partition("_")[0]
    assert not [path for path in made.rglob("*") if path.name.startswith(name)]
    for page in ("participants.tsv", "preview.html"):
        assert subject.removeprefix("sub-") not in (made / page).read_text()
    assert "Derived" not in (made / "preview.html").read_text()
    assert [r.id for r in open_cohort(made).recordings] == [question.b.partition("/")[2]]
    assert validate(made) == []
    metadata = json.loads((made / "croissant.json").read_text())
    for file in metadata["distribution"]:
        if "sha256" in file:
            assert file["sha256"] == sha256((made / file["contentUrl"]).read_bytes()).hexdigest()
    # never asked again, here or by a server started anew, and on record without the rater
    assert review.next("ada", "compare") is None
    with pytest.raises(DataError, match="taken out"):
        review.item(question.a)
    with pytest.raises(DataError, match="withdrawn"):
        review.answer("ada", question, "a")
    assert Review.open(made, ledger=ledger).next("ada", "check").a == question.b  # type: ignore[union-attr]
    (alarm,) = review.alarms().to_dict("records")
    assert (alarm["item"], alarm["rater"], alarm["note"]) == (question.a, "ada", "the baker")
    (row,) = [row for row in ledger.rows().to_dict("records") if row["action"] == "alarmed"]
    assert row["recording"] == question.a
    assert "ada" not in ledger.rows()[["who", "subject", "detail"]].to_csv()
    review.alarm("ada", question.a)  # the button pressed twice
    with pytest.raises(DataError, match="no item"):
        review.alarm("ada", "made/sub-p9_ses-01_task-t0")


def test_an_alarm_that_was_stopped_half_way_is_ended(review: Review, made: Path) -> None:
    name = "made/sub-p1_ses-01_task-t1"
    Votes(made.with_name("made.votes.sqlite")).alarm("ada", name)  # and the process was killed
    Review.open(made)
    assert name.partition("/")[2] not in {r.id for r in open_cohort(made).recordings}
    questions = answers(review, "ada", "check", 11, "plausible")  # a server that was running all the time
    assert name not in {question.a for question in questions}


def test_answers_on_an_item_that_left_count_no_more(review: Review) -> None:
    question = answers(review, "ada", "compare", 1, "a")[0]
    answers(review, "ada", "check", 12, "plausible")
    review.alarm("ada", question.b)
    assert sorted(review.votes()["task"]) == ["check"] * 11


def test_a_release_that_is_removed_while_it_is_rated_is_said_to_be_gone(review: Review, made: Path) -> None:
    question = review.next("ada", "compare")
    assert question is not None
    made.rename(made.with_name("elsewhere"))
    review.alarm("ada", question.b)
    with pytest.raises(DataError, match="taken out"):
        review.item(question.a)
    assert review.next("ada", "compare") is None
    assert "removed" in review.done("ada", "compare")
    assert review.votes().empty


def test_what_is_shown_of_an_item_says_nothing_of_its_name(tmp_path: Path) -> None:
    made = write_release(tmp_path / "made", media=True, people=1, each=2)
    review = Review.open(made)
    parts = {part["kind"]: part for part in review.item("made/sub-p0_ses-01_task-t0")}
    assert set(parts) == {"wave", "audio", "lines"}
    assert "sub-p0" not in json.dumps(parts)
    assert parts["wave"]["seconds"] == 0.5
    assert parts["wave"]["path"].startswith("M0.5 ")
    assert parts["lines"]["seconds"] == 2.0
    assert [line["words"].partition(":")[0] for line in parts["lines"]["lines"]] == ["eda", "temp"]
    assert review.file("made/sub-p0_ses-01_task-t0", parts["audio"]["track"]).suffix == ".wav"
    for track in ("eda", "video", "../../secret", ""):
        with pytest.raises(DataError, match="to play"):
            review.file("made/sub-p0_ses-01_task-t0", track)


def test_a_file_outside_its_release_is_not_played(tmp_path: Path) -> None:
    made = write_release(tmp_path / "made", media=True, people=1, each=2)
    sound = made / "sub-p0" / "ses-01" / "beh" / "sub-p0_ses-01_task-t0_audio.wav"
    sound.rename(tmp_path / "secret.wav")
    sound.symlink_to(tmp_path / "secret.wav")
    review = Review.open(made)
    with pytest.raises(DataError, match="to play"):
        review.file("made/sub-p0_ses-01_task-t0", "audio")


def test_rated_items_are_opened_as_numbers_under_their_names(run: Path) -> None:
    ledger = Ledger(run.parent / "ledger.sqlite")
    review = Review.open(run, ledger=ledger)
    names = ["joint/sub-p0_ses-01_task-t1", "joint/sub-p1_ses-01_task-t0"]
    batch = review.rated_batch(names)
    assert batch.ids == tuple(names)
    assert batch.arrays["eda"].shape == (2, 8, 2)
    assert set(ledger.rows()["purpose"]) == {"evaluation"}


def test_a_whole_review_is_exported_and_read_back(review: Review, made: Path, tmp_path: Path) -> None:
    from personare.study.votes_files import export_votes, import_votes

    answers(review, "ada", "compare", 12, "a")
    for answer in ("b", "tie", "cannot_tell"):
        answers(review, "ada", "compare", 1, answer)
    question = review.next("ada", "check")
    assert question is not None
    review.answer("ada", question, "implausible", failures=["impossible signal", "cuts"], note='a "jump",\nthen ü')
    for name in ("votes.csv", "votes.json"):
        assert export_votes(review, tmp_path / name) == 16
        empty = Review.open(made, tmp_path / f"{name}.sqlite")
        with pytest.raises(PolicyError, match="raters PATH --consent ada"):
            import_votes(empty, tmp_path / name)
        assert empty.votes().empty
        empty.admit("ada", consent=True)
        assert import_votes(empty, tmp_path / name) == 16
        pd.testing.assert_frame_equal(empty.votes().drop(columns="id"), review.votes().drop(columns="id"))
        assert import_votes(empty, tmp_path / name) == 0
        assert len(Review.open(made, tmp_path / f"{name}.sqlite").votes()) == 16


def test_a_project_of_label_studio_is_read(review: Review, tmp_path: Path) -> None:
    from personare.study.votes_files import import_votes

    a, b = "made/sub-p0_ses-01_task-t0", "made/sub-p1_ses-01_task-t0"
    time = "2026-03-09T22:16:08.728353Z"
    pair = {"from_name": "pair", "to_name": "a,b", "type": "pairwise", "value": {"selected": "right"}, "id": "x"}
    annotations = [
        {"id": 1, "completed_by": 7, "created_at": time, "result": [pair], "lead_time": 4.2},
        {"id": 2, "completed_by": 8, "created_at": time, "result": [], "was_cancelled": True},
    ]
    file = tmp_path / "project.json"
    file.write_text(json.dumps([{"id": 1, "project": 3, "data": {"a": a, "b": b}, "annotations": annotations}]))
    review.admit("label-studio-7", consent=True)
    assert import_votes(review, file) == 1
    (row,) = review.votes().to_dict("records")
    assert (row["rater"], row["answer"], row["time"]) == ("label-studio-7", "b", time)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:-20], "cut"),
        (lambda text: text[: text.rindex(",") + 1], "cut"),
        (lambda text: text.replace(",compare,", ",compete,", 1), "task must be one of"),
        (lambda text: text.replace(",tie,", ",left,", 1), "must be one of a, b"),
        (lambda text: text.replace("made/sub-p", "other/sub-p"), "not in made"),
        (lambda text: text.replace("T", " at ", 1), "Invalid isoformat"),
        (lambda text: text.replace("id,time", "time,id", 1), "columns must be"),
        (lambda text: text + text.splitlines()[1].replace(",tie,", ",a,") + "\n", "both tie and a"),
        (lambda text: "\0" + text, "columns must be|NUL"),
        (lambda _: "", "columns must be"),
    ],
)
def test_a_file_of_votes_that_was_changed_is_refused_whole(
    review: Review, made: Path, tmp_path: Path, change: Callable[[str], str], words: str
) -> None:
    from personare.study.votes_files import export_votes, import_votes

    answers(review, "ada", "compare", 5, "tie")
    file = tmp_path / "votes.csv"
    export_votes(review, file)
    file.write_text(change(file.read_text()))
    empty = Review.open(made, tmp_path / "empty.sqlite")
    empty.admit("ada", consent=True)
    with pytest.raises(DataError, match=words):
        import_votes(empty, file)
    assert empty.votes().empty


def test_a_broken_json_and_another_ending_are_refused(review: Review, tmp_path: Path) -> None:
    from personare.study.votes_files import export_votes, import_votes

    for content in ('[{"data": {', "{}", "[1]", '[{"data": {"a": "made/x"}, "annotations": [{"result": []}]}]'):
        (tmp_path / "votes.json").write_text(content)
        with pytest.raises(DataError):
            import_votes(review, tmp_path / "votes.json")
    with pytest.raises(DataError, match="csv or"):
        export_votes(review, tmp_path / "votes.xlsx")
    with pytest.raises(DataError, match="cannot be read"):
        import_votes(review, tmp_path / "absent.csv")


def test_raters_are_recorded_and_erased_at_the_command_line(typed, made: Path) -> None:
    assert "Nobody" in typed("raters", made).out
    assert typed("raters", made, "--consent", "ada", "--authorize", "bob").status == 0
    listed = typed("raters", made).out.splitlines()
    assert listed[0].startswith("ada")
    assert "agreed on" in listed[0]
    assert "has not agreed yet, 0 answers, may see releases of real people" in listed[1]
    review = Review.open(made)
    answers(review, "ada", "compare", 3, "a")
    made.rename(made.with_name("gone"))  # erasing is possible without the release
    erased = typed("raters", made, "--erase", "ada")
    assert "ada is erased" in erased.out
    assert Votes(made.with_name("made.votes.sqlite")).table().empty
    assert not made.exists()
    assert typed("raters", made, "--erase", "ada").status == 2
    assert typed("raters", made.with_name("nothing")).status == 2


def test_pairs_are_asked_of_which_most_is_learned(tmp_path: Path) -> None:
    made = write_release(tmp_path / "made", people=15, each=4)
    review = Review.open(made)
    batch = review.rated_batch([*review.subjects()])
    level = dict(zip(batch.ids, batch.arrays["eda"].mean(axis=(1, 2)), strict=True))
    distances = []
    for n in range(5):
        review.admit(f"rater-{n}", consent=True)
        for _ in range(25):
            question = review.next(f"rater-{n}", "compare")
            assert question is not None
            distance = level[question.a] - level[question.b]
            distances.append(abs(distance))
            review.answer(f"rater-{n}", question, "a" if distance > 0 else "b")
            if review._learning.is_alive():
                review._learning.join()  # what a rater never waits for
    assert np.mean(distances[75:]) < 0.9 * np.mean(distances[:40])
