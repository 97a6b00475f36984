"""A program on this machine answers, or the error says what it did instead; nothing goes anywhere else."""

import base64
import io
import json
import socket
import time

import numpy as np
import pytest
from loopback_server import event, serving
from PIL import Image

from personare.assist.backends.loopback import Loopback
from personare.core.errors import DataError, OptionError
from personare.core.types import Turn

TURNS = [Turn(role="user", text="How do I call my daughter?")]


@pytest.fixture
def server():
    with serving() as running:
        yield running


def ok(*chunks):
    """Answer 200 with these bytes."""

    def answer(handler, question):
        handler.send_response(200)
        handler.end_headers()
        for chunk in chunks:
            handler.wfile.write(chunk)

    return answer


def said(server, **options):
    return "".join(Loopback(url=server.url, **options)(TURNS, most_tokens=4))


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:8080",
        "http://127.0.0.1.example.org",
        "http://127.0.0.1@example.org",
        "http://192.168.0.1:8080",
        "http://0.0.0.0:8080",
        "http://example.org:11434",
        "http://[::ffff:10.0.0.1]",
        "file:///etc/passwd",
        "127.0.0.1:8080",
        "http://[::1",
        "",
    ],
)
def test_an_address_that_is_not_this_machines_is_refused(url):
    with pytest.raises(OptionError, match="url must be"):
        Loopback(url=url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://127.3.2.1/v1/", "http://[::1]:1", "http://localhost"])
def test_every_address_of_this_machine_may_be_given(url):
    assert "this machine" in Loopback(url=url).where


def test_localhost_that_is_another_machine_is_refused_before_a_word_is_sent(server, monkeypatch):
    elsewhere = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: elsewhere)
    with pytest.raises(OptionError, match="not this machine"):
        next(Loopback(url=f"http://localhost:{server.server_port}")(TURNS, most_tokens=4))
    assert server.asked == []


@pytest.mark.parametrize("model", ["gpt-oss:120b-cloud", "glm-5:cloud"])
def test_a_model_in_a_cloud_is_refused_by_its_name(model):
    with pytest.raises(OptionError, match="runs in a cloud"):
        Loopback(model=model)


@pytest.mark.parametrize("field", ["remote_host", "remote_model"])
def test_a_model_that_ollama_runs_elsewhere_is_refused_before_a_word_is_sent(server, field):
    models = [{"name": "mine:latest", field: "https://example.org"}, {"name": "here:latest"}]
    server.tags = json.dumps({"models": models}).encode()
    for name in ("mine", "mine:latest", "Mine", "registry.ollama.ai/library/mine"):
        with pytest.raises(OptionError, match="runs elsewhere"):
            said(server, model=name)
    assert server.asked == []
    assert said(server, model="here") == "How do I call "


@pytest.mark.parametrize("tags", [b"<html>", b'{"models": 3}', b'{"models": [3]}', b"[]"])
def test_what_is_not_ollamas_list_of_models_is_no_hindrance(server, tags):
    server.tags = tags
    assert said(server) == "How do I call "


def test_proxies_are_not_used_and_redirects_not_followed(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://192.0.2.1:1")
    assert said(server) == "How do I call "

    def elsewhere(handler, question):
        handler.send_response(307)
        handler.send_header("Location", "/v1/chat/completions")
        handler.end_headers()

    server.answer = elsewhere
    with pytest.raises(DataError, match="answered 307"):
        said(server)
    assert len(server.asked) == 2


def test_a_picture_goes_along_as_it_is(server):
    server.answer = ok(event("a face"), b"data: [DONE]\n\n")
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    turn = Turn(role="user", text="Who is this?", picture=picture)
    assert list(Loopback(url=server.url)([turn], most_tokens=4)) == ["a face"]
    image, text = server.asked[0]["messages"][0]["content"]
    kind, _, content = image["image_url"]["url"].partition(",")
    assert kind == "data:image/png;base64"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(content)))), picture)
    assert text == {"type": "text", "text": "Who is this?"}


def failing(handler, question):
    handler.send_response(500)
    handler.end_headers()
    handler.wfile.write(b"out of memory")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (failing, r"answered 500 \(out of memory\)"),
        (ok(b"<html>hello</html>"), "ended in the middle"),
        (ok(event("Press "), b""), "ended in the middle"),
        (ok(b"data: hello\n\n"), "no answer but b'hello'"),
        (ok(b'data: {"error": {"message": "no such model"}}\n\n'), "no such model"),
        (ok(b'data: {"choices": [{"delta": {"content": 3}}]}\n\n'), "no answer but"),
        (ok(b"data: \xff\xfe\n\n"), "no answer but"),
        (ok(b"\x00" * 2**23), "does not end"),
        (ok(event("") * 100_000), "does not end"),
        (lambda handler, question: handler.wfile.write(b"nothing like HTTP\r\n\r\n"), "gave no answer"),
        (lambda handler, question: None, "gave no answer"),
    ],
)
def test_what_is_no_answer_is_a_clear_error(server, answer, says):
    server.answer = answer
    with pytest.raises(DataError, match=f"(?s){says}.*choose another backend"):
        said(server)


def test_an_answer_longer_than_asked_for_is_cut(server):
    server.answer = ok(event("on and ") * 1000)
    assert said(server) == "on and " * 4


@pytest.mark.parametrize(("options", "says"), [({"silence_s": 0.1}, "timed out"), ({"answer_s": 0.1}, "does not end")])
def test_a_program_that_hangs_or_drips_is_given_up(server, options, says):
    def drip(handler, question):
        ok(event("Press "))(handler, question)
        for _ in range(9):
            time.sleep(0.15)
            handler.wfile.write(b": still here\n\n")

    server.answer = drip
    with pytest.raises(DataError, match=says):
        said(server, **options)


def test_no_program_there_is_a_clear_error():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(DataError, match="gave no answer"):
            next(Loopback(url=f"http://127.0.0.1:{port}")(TURNS, most_tokens=4))
