"""The Review room over HTTP: what it asks, stores and refuses, and what it never tells."""

import json
import multiprocessing
import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from personare.serve.app import run_app
from personare.serve.pages import Pages
from personare.serve.review import FAILURES, review_room
from personare.study.reviewing import Review

from .released import write_released

Rater = Callable[..., dict[str, Any]]


@pytest.fixture
def review(tmp_path: Path) -> Review:
    write_released(tmp_path / "made-up")
    return Review.open(tmp_path / "made-up")


@pytest.fixture
def client(inside: Callable[..., TestClient], review: Review) -> TestClient:
    return inside(review_room(Pages(), review))


@pytest.fixture
def rater(client: TestClient) -> Rater:
    """Call the room as the page of one rater does, who agreed."""
    begin(client)

    def call(name: str, *, task: str = "compare", status: int = 200, **body: Any) -> dict[str, Any]:
        reply = client.post(f"/review/{name}", json={"rater": "r1", "task": task, **body})
        assert reply.status_code == status, reply.text
        return dict(reply.json())

    return call


def begin(client: TestClient, rater: str = "r1", **form: str) -> httpx.Response:
    form = {"rater": rater, "task": "compare", "consent": "yes", **form}
    return client.post("/review/start", data=form, follow_redirects=False)


def test_the_first_page_says_what_is_kept_and_offers_only_what_can_be_asked(client: TestClient) -> None:
    page = client.get("/review").text
    assert all(words in page for words in ("pseudonym", "What is kept", "Erased", "agree", "made up"))
    assert 'value="compare"' in page and 'value="check"' in page and 'value="same"' not in page


def test_nobody_rates_without_consent(client: TestClient, review: Review) -> None:
    assert "consent" in begin(client, consent="").text
    refused = client.post("/review/next", json={"rater": "r1", "task": "compare"})
    assert refused.status_code == 400 and "agreed" in refused.json()["error"]
    assert begin(client).headers["location"] == "/review/rate/compare?rater=r1"


@pytest.mark.parametrize("form", [{"rater": "Anna Schmidt"}, {"rater": ""}, {"task": "guess"}, {"task": ""}])
def test_a_name_or_a_task_that_cannot_be_is_refused_with_a_sentence(client: TestClient, form: dict[str, str]) -> None:
    refused = begin(client, **form)
    assert refused.status_code == 400 and "must" in refused.text


def test_a_word_keeps_a_pseudonym_to_the_one_who_chose_it(client: TestClient) -> None:
    assert begin(client, word="lantern").status_code == 303
    assert begin(client, word="lantern").status_code == 303
    assert begin(client, word="").status_code == 400


def test_an_answer_is_stored_with_what_it_cost_and_brings_the_next_question(rater: Rater, review: Review) -> None:
    question = rater("next")["question"]
    reply = rater("answer", token=question["token"], answer="tie", note=" both hum ", plays=3, seconds=4.25)
    assert reply["question"]["token"] != question["token"] and (reply["answered"], reply["about"]) == (1, 60)
    (vote,) = review.votes().to_dict("records")
    assert (vote["answer"], vote["note"], vote["rater"], vote["id"]) == ("tie", "both hum", "r1", reply["stored"])


def test_nothing_that_a_rating_page_is_sent_tells_the_release_the_subject_or_the_file(
    client: TestClient, rater: Rater, review: Review
) -> None:
    for task in ("compare", "check"):
        page = client.get(f"/review/rate/{task}?rater=r1").text
        reply = rater("next", task=task)
        parts = [part for item in reply["question"]["items"].values() for part in item]
        headers = [client.get(part["source"]).headers for part in parts if "source" in part]
        names = {word for name in review.subjects() for word in (name, *name.replace("/", "_").split("_"))}
        sent = page + json.dumps(reply) + "".join(map(str, headers))
        assert headers and not [name for name in {*names, "made-up"} if name in sent]
        assert {each["last-modified"] for each in headers} == {"Thu, 01 Jan 1970 00:00:00 GMT"}


def test_whether_a_question_is_a_repeat_is_not_told(rater: Rater) -> None:
    assert set(rater("next")["question"]) == {"token", "items", "failures"}


def test_the_same_item_has_another_address_in_each_question(rater: Rater) -> None:
    first, second = (rater("next", task="check")["question"]["items"]["a"][0]["source"] for _ in range(2))
    assert first != second


def test_sound_is_played_in_parts_and_not_kept_by_the_browser(client: TestClient, rater: Rater) -> None:
    source = rater("next")["question"]["items"]["a"][0]["source"]
    whole, part = client.get(source), client.get(source, headers={"range": "bytes=0-3"})
    assert whole.headers["content-type"] == "audio/wav" and whole.headers["cache-control"] == "no-store"
    assert (part.status_code, part.content) == (206, b"RIFF") and whole.content.startswith(b"RIFF")


@pytest.mark.parametrize("address", ["x", "..%2f..%2findex.parquet", "../../index.parquet", "%00", "\\"])
def test_no_other_file_is_played(client: TestClient, rater: Rater, address: str) -> None:
    refused = client.get(f"/review/media/{address}", headers={"accept": "application/json"})
    assert refused.status_code in (400, 404) and "made-up" not in refused.text


def test_an_answer_counts_once_however_often_it_is_sent(rater: Rater, review: Review) -> None:
    token = rater("next")["question"]["token"]
    first, second = (rater("answer", token=token, answer="a") for _ in range(2))
    assert first["stored"] == second["stored"] and (first["again"], second["again"]) == (False, True)
    assert first["question"]["token"] == second["question"]["token"] and len(review.votes()) == 1


def test_another_answer_to_an_answered_question_is_refused(rater: Rater, review: Review) -> None:
    token = rater("next")["question"]["token"]
    rater("answer", token=token, answer="a")
    assert "answered" in rater("answer", token=token, answer="b", status=400)["error"]
    assert [*review.votes()["answer"]] == ["a"]


@pytest.mark.parametrize(
    "body",
    [
        {"answer": "both"},
        {"answer": "plausible"},
        {"answer": "a", "plays": -1},
        {"answer": "a", "seconds": "nan"},
        {"answer": "a", "note": "x" * 2001},
        {"answer": "a", "failures": ["; drop"]},
        {},
    ],
)
def test_an_answer_that_cannot_be_is_refused_and_nothing_is_stored(
    rater: Rater, review: Review, body: dict[str, Any]
) -> None:
    token = rater("next")["question"]["token"]
    assert rater("answer", token=token, status=400, **body)["error"].endswith(".")
    assert not len(review.votes()) and rater("next")["question"]["token"] == token


def test_a_question_of_somebody_else_cannot_be_answered(client: TestClient, rater: Rater, review: Review) -> None:
    token = rater("next")["question"]["token"]
    begin(client, "r2")
    refused = client.post("/review/answer", json={"rater": "r2", "task": "compare", "token": token, "answer": "a"})
    assert refused.status_code == 400 and not len(review.votes())


def test_what_can_fail_is_listed_by_what_is_shown(rater: Rater, review: Review) -> None:
    question = rater("next", task="check")["question"]
    assert question["failures"] == [words for words, kinds in FAILURES.items() if kinds <= {"wave", "lines"}]
    failures = question["failures"][1:3]
    rater("answer", task="check", token=question["token"], answer="implausible", failures=failures)
    assert review.votes()["failures"].item() == ";".join(failures)


def test_undo_asks_the_last_question_again(rater: Rater, review: Review) -> None:
    assert "no answer" in rater("undo", status=400)["error"]
    question = rater("next")["question"]
    rater("answer", token=question["token"], answer="a")
    again = rater("undo")
    drawn = [[part for part in question["items"][side] if "source" not in part] for side in "ab"]
    assert [[p for p in again["question"]["items"][side] if "source" not in p] for side in "ab"] == drawn
    assert again["answered"] == 0 and not len(review.votes())


def test_an_alarm_takes_the_item_out_at_once(rater: Rater, review: Review, tmp_path: Path) -> None:
    before, token = review.subjects().keys(), rater("next")["question"]["token"]
    reply = rater("alarm", token=token, side="b", note="the laugh")
    (gone,) = before - review.subjects().keys()
    assert reply["question"]["token"] != token and review.alarms()["item"].item() == gone
    assert not [*(tmp_path / "made-up").rglob(f"{gone.partition('/')[2]}*")]


@pytest.mark.parametrize("side", ["x", "token", "", "__class__"])
def test_an_alarm_of_what_is_not_shown_is_refused(rater: Rater, review: Review, side: str) -> None:
    before, token = review.subjects().keys(), rater("next")["question"]["token"]
    rater("alarm", token=token, side=side, status=400)
    rater("alarm", token="older", side="a", status=400)
    assert review.subjects().keys() == before and not len(review.alarms())


def test_a_release_that_is_deleted_meanwhile_is_said_and_no_answer_is_lost(
    client: TestClient, rater: Rater, review: Review, tmp_path: Path
) -> None:
    question = rater("next")["question"]
    shutil.rmtree(tmp_path / "made-up")
    reply = rater("answer", token=question["token"], answer="b")
    assert reply["question"] is None and "removed" in reply["done"] and reply["answered"] == 1
    refused = client.get(question["items"]["a"][0]["source"], headers={"accept": "application/json"})
    assert refused.status_code == 400 and "removed" in refused.json()["error"]


def test_when_everything_was_asked_the_page_says_so(rater: Rater, review: Review) -> None:
    reply = rater("next", task="check")
    for _ in range(len(review.subjects().keys())):
        reply = rater("answer", task="check", token=reply["question"]["token"], answer="plausible")
    assert reply["question"] is None and "everything" in reply["done"]


def serve(release: Path, folder: Path, port: int, address: Path) -> None:
    """Serve a review, in a process that is killed."""
    room = review_room(Pages(), Review.open(release))
    run_app(folder, [room], port=port, browser=False, tell=lambda text: address.write_text(str(text)))


@pytest.fixture
def restarted(tmp_path: Path) -> Iterator[Callable[[], tuple[Any, httpx.Client]]]:
    """Start the server in a process of its own, and enter; each start is another process."""
    write_released(tmp_path / "made-up", people=5, each=6)
    started = multiprocessing.get_context("forkserver")
    started.set_forkserver_preload(["personare.serve.review", "personare.serve.app", "starlette.testclient", "pytest"])
    processes, clients = list[Any](), list[httpx.Client]()

    def start() -> tuple[Any, httpx.Client]:
        address = tmp_path / f"address{len(processes)}"
        processes.append(started.Process(target=serve, args=(tmp_path / "made-up", tmp_path / "app", 0, address)))
        processes[-1].start()
        while not (address.exists() and address.read_text()):
            assert processes[-1].is_alive()
            time.sleep(0.01)
        home, _, path = address.read_text().partition("/enter")
        client = httpx.Client(base_url=home, headers={"origin": home, "sec-fetch-site": "same-origin"}, timeout=10)
        clients.append(client)
        page = client.get(f"/enter{path}", follow_redirects=True).text
        client.headers["x-csrf"] = page.partition('name="csrf" content="')[2].partition('"')[0]
        return processes[-1], client

    yield start
    for client in clients:
        client.close()
    for process in processes:
        process.kill()
        process.join()


@pytest.mark.slow
def test_no_answer_is_lost_or_doubled_when_the_server_is_killed_at_any_moment(
    restarted: Callable[[], tuple[Any, httpx.Client]], tmp_path: Path
) -> None:
    moments, stored, pending = random.Random(0), dict[str, str](), {}
    for _ in range(20):
        process, client = restarted()
        form = {"rater": "r1", "task": "compare", "consent": "yes", "csrf": client.headers["x-csrf"]}
        client.post("/review/start", data=form)
        timer = Timer(moments.uniform(0, 0.3), process.kill)
        timer.start()
        try:
            while True:
                if not pending:
                    question = client.post("/review/next", json={"rater": "r1", "task": "compare"}).json()["question"]
                    pending = {"token": question["token"], "answer": moments.choice(["a", "b", "tie"])}
                reply = client.post("/review/answer", json={"rater": "r1", "task": "compare", **pending})
                assert reply.status_code == 200, reply.text
                stored[pending["token"]], pending = pending["answer"], {}
        except httpx.TransportError:
            timer.join()
            process.join()
    votes = Review.open(tmp_path / "made-up").votes()
    unsure = [pending["answer"]] if pending and len(votes) > len(stored) else []  # on disk, but not acknowledged
    assert stored and [*votes["answer"]] == [*stored.values(), *unsure]


def test_one_of_several_studies_is_chosen_and_no_other_folder(
    inside: Callable[..., TestClient], tmp_path: Path
) -> None:
    for name in ("first", "second"):
        write_released(tmp_path / "runs" / name / "releases" / "made-up")
        (tmp_path / "runs" / name / "releases.json").write_text("[]")
    write_released(tmp_path / "elsewhere")
    client = inside(review_room(Pages(), tmp_path / "runs"))
    assert all(f"Review {name}" in client.get("/review").text for name in ("first", "second"))
    begun = begin(client)
    assert begun.status_code == 400 and "No study is open" in begun.text
    for name in ("third", "../elsewhere", "", str(tmp_path / "elsewhere")):
        assert client.post("/review/open", data={"run": name}).status_code == 400
    assert client.post("/review/open", data={"run": "second"}).status_code == 200
    assert begin(client).status_code == 303
    assert not (tmp_path / "runs" / "first.votes.sqlite").exists() and (tmp_path / "runs/second.votes.sqlite").exists()
