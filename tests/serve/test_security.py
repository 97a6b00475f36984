"""Who may ask the local app, and what every answer forbids."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, Form, UploadFile
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from personare.core.errors import DataError
from personare.serve.pages import Room, served_file
from personare.serve.security import BODY_CAP, HEADERS

from .conftest import HOME, PORT, TOKEN

Browser = Callable[..., TestClient]


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """A room in which something can be done."""
    router, media = APIRouter(), tmp_path / "media"
    media.mkdir()
    (media / "a.wav").write_bytes(bytes(range(100)))
    (media / "secret.pem").write_text("secret")
    (tmp_path / "outside.txt").write_text("secret")
    (media / "link.txt").symlink_to(tmp_path / "outside.txt")

    @router.get("")
    def first() -> Response:
        return PlainTextResponse("inner page")

    @router.post("/note")
    async def note(request: Request) -> Response:
        return PlainTextResponse(f"noted {len(await request.body())}")

    @router.post("/form")
    def form(name: str = Form()) -> Response:
        return PlainTextResponse(f"noted {name}")

    @router.post("/upload")
    def upload(film: UploadFile) -> Response:
        return PlainTextResponse(f"noted {len(film.file.read())}")

    @router.get("/files/{name:path}")
    def files(name: str) -> Response:
        return served_file(media, name)

    @router.get("/wrong")
    def wrong() -> Response:
        raise DataError("The folder must hold recordings. Choose another.")

    @router.get("/broken")
    def broken() -> Response:
        raise KeyError("pitch")

    return Room(name="room", title="A room", router=router, caps={"/upload": 6 * 2**20})


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (f"127.0.0.1:{PORT}", 200),
        (f"localhost:{PORT}", 200),
        (f"[::1]:{PORT}", 200),
        ("127.0.0.1", 400),
        (f"127.0.0.1:{PORT + 1}", 400),
        (f"evil.example:{PORT}", 400),
        (f"127.0.0.1.evil.example:{PORT}", 400),
        (f"localhost:{PORT}.evil.example", 400),
        (f"0.0.0.0:{PORT}", 400),
        ("", 400),
    ],
)
def test_only_the_names_of_this_machine_are_answered(inside: Browser, room: Room, host: str, status: int) -> None:
    answer = inside(room).get("/room", headers={"host": host})
    assert answer.status_code == status and ("inner page" in answer.text) == (status == 200)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": f"localhost:{PORT}", "origin": f"http://localhost:{PORT}"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": f"http://127.0.0.1:{PORT + 1}"}, 403),
        ({"origin": f"https://127.0.0.1:{PORT}"}, 403),
        ({"origin": f"{HOME}.evil.example"}, 403),
        ({"origin": f"{HOME}/"}, 403),
        ({"origin": f"http://localhost:{PORT}"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_only_its_own_pages_change_anything(inside: Browser, room: Room, headers: dict[str, str], status: int) -> None:
    answer = inside(room).post("/room/note", json={}, headers=headers)
    assert answer.status_code == status and ("noted" in answer.text) == (status == 200)


def test_a_request_without_origin_changes_nothing(inside: Browser, room: Room) -> None:
    client = inside(room)
    del client.headers["origin"]
    assert client.post("/room/note", json={}).status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "image"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "iframe"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}, 200),
    ],
)
def test_other_sites_may_link_but_not_embed(inside: Browser, room: Room, headers: dict[str, str], status: int) -> None:
    assert inside(room).get("/room", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("header", "body", "status"),
    [
        ("right", {"json": {}}, 200),
        ("right", {"content": b"film", "headers": {"content-type": "application/octet-stream"}}, 200),
        ("wrong", {"json": {}}, 403),
        ("", {"json": {}}, 403),
        ("", {"json": {"csrf": "right"}}, 403),
        ("", {"data": {"csrf": "right", "name": "x"}}, 200),
        ("", {"data": {"name": "x", "csrf": "right"}}, 200),
        ("", {"data": {"csrf": "wrong", "name": "x"}}, 403),
        ("", {"data": {"name": "x"}}, 403),
        ("", {"data": {"csrf": "right"}, "files": {"film": ("a.wav", b"sound" * 50_000)}}, 200),
        ("", {"data": {"csrf": "wrong"}, "files": {"film": ("a.wav", b"sound")}}, 403),
        ("", {"files": {"film": ("a.wav", b"sound" * 50_000)}}, 403),
        ("right", {"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
        ("right", {}, 415),
    ],
)
def test_csrf_matrix(inside: Browser, room: Room, header: str, body: dict[str, Any], status: int) -> None:
    client = inside(room)
    tokens = {"right": client.headers.pop("x-csrf"), "wrong": "w" * 43}
    how = {**body, "data": {name: tokens.get(value, value) for name, value in body.get("data", {}).items()}}
    if header:
        client.headers["x-csrf"] = tokens[header]
    if "json" in body:
        how = {"json": {name: tokens[value] for name, value in body["json"].items()}}
    path = "upload" if "files" in body else "form" if "data" in body else "note"
    answer = client.post(f"/room/{path}", **how)
    assert answer.status_code == status and ("noted" in answer.text) == (status == 200)


def test_the_token_works_once_and_opens_nothing_by_itself(outside: Browser, room: Room) -> None:
    client = outside(room)
    for path in ("/", "/room", f"/room?token={TOKEN}", "/enter/", "/nowhere"):
        answer = client.get(path)
        assert answer.status_code == 401 and "run personare again" in answer.text
    assert client.get("/enter").status_code == client.get(f"/enter?token={TOKEN}x").status_code == 403
    assert client.head(f"/enter?token={TOKEN}").status_code == 401
    answer = client.get(f"/enter?token={TOKEN}", follow_redirects=False)
    assert answer.status_code == 303 and answer.headers["location"] == "/"
    assert answer.headers["set-cookie"].lower().endswith("httponly; path=/; samesite=strict")
    assert client.get("/room").text == "inner page"
    other = TestClient(client.app, base_url=HOME)
    answer = other.get(f"/enter?token={TOKEN}")
    assert answer.status_code == 403 and "browser window" in answer.text and "set-cookie" not in answer.headers
    assert other.get("/room").status_code == 401


def test_a_cookie_of_an_earlier_start_is_refused(outside: Browser, room: Room) -> None:
    first, second = outside(room), outside(room)
    first.get(f"/enter?token={TOKEN}")
    second.cookies.update(first.cookies)
    assert first.get("/room").status_code == 200 and second.get("/room").status_code == 401


def test_no_page_holds_a_secret_of_the_session(outside: Browser, room: Room) -> None:
    client = outside(room)
    refusals = [client.get("/room"), client.get("/enter?token=x"), client.get("/room", headers={"host": "x"})]
    client.get(f"/enter?token={TOKEN}")
    session = next(iter(client.cookies.values()))
    pages = [client.get(path) for path in ("/", "/room", "/nowhere", "/room/wrong", "/room/broken")]
    for page in [*refusals, *pages]:
        assert TOKEN not in page.text and session not in page.text
    assert not any(client.app.state.csrf in page.text for page in refusals)


def test_every_answer_forbids_storing_framing_and_other_origins(inside: Browser, outside: Browser, room: Room) -> None:
    client = inside(room)
    answers = [client.get(path) for path in ("/room", "/static/app.css", "/nowhere", "/room/wrong", "/room/broken")]
    answers += [client.get("/room/files/a.wav"), client.post("/room/note", json={}), outside(room).get("/room")]
    answers += [client.get("/room", headers={"host": "evil"}), client.options("/room")]
    for answer in answers:
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 400, 500, 200, 200, 401, 400, 415]


@pytest.mark.parametrize("path", ["note", "upload"])
@pytest.mark.parametrize("streamed", [False, True])
def test_no_body_longer_than_its_cap_is_read(inside: Browser, room: Room, path: str, streamed: bool) -> None:
    client, cap = inside(room), {"note": BODY_CAP, "upload": 6 * 2**20}[path]
    begin, end, kind = b"", b"", "application/octet-stream"
    if path == "upload":
        begin = b'--b\r\ncontent-disposition: form-data; name="film"; filename="f"\r\n\r\n'
        end, kind = b"\r\n--b--\r\n", "multipart/form-data; boundary=b"

    def pieces(size: int) -> Iterator[bytes]:
        yield begin
        yield from (b"x" * 2**16 for _ in range(size // 2**16))
        yield end

    answers = []
    for size in (cap - 2**17, cap + 2**17):
        content = pieces(size) if streamed else b"".join(pieces(size))
        answers.append(client.post(f"/room/{path}", content=content, headers={"content-type": kind}))
    assert [answer.status_code for answer in answers] == [200, 413]
    assert f"{cap // 2**20} MiB" in answers[1].text


@pytest.mark.parametrize(
    "name",
    [
        "../outside.txt",
        "..%2foutside.txt",
        "%2e%2e/outside.txt",
        "..%5coutside.txt",
        "sub/../../outside.txt",
        "/etc/hostname",
        "%2fetc%2fhostname",
        "//server/share/a.wav",
        "%5c%5cserver%5cshare%5ca.wav",
        "C:%5ca.wav",
        "a.wav%00.txt",
        "link.txt",
        "secret.pem",
        "absent.wav",
        "%2e/a.wav%2f..%2f..%2foutside.txt",
        ".",
        "",
        "x" * 5000 + ".wav",
    ],
)
def test_a_name_that_leads_elsewhere_is_no_file(inside: Browser, room: Room, name: str) -> None:
    answer = inside(room).get(f"/room/files/{name}")
    assert answer.status_code == 404 and "secret" not in answer.text


def test_an_absolute_name_is_no_file(inside: Browser, room: Room, tmp_path: Path) -> None:
    for begin in ("", "/", "%2f", "."):
        answer = inside(room).get(f"/room/files/{begin}{tmp_path / 'outside.txt'}")
        assert answer.status_code == 404 and "secret" not in answer.text


def test_a_part_of_a_film_can_be_asked_for(inside: Browser, room: Room) -> None:
    answer = inside(room).get("/room/files/a.wav", headers={"range": "bytes=10-19"})
    assert answer.status_code == 206 and answer.content == bytes(range(10, 20))
    assert answer.headers["content-range"] == "bytes 10-19/100" and answer.headers["cache-control"] == "no-store"


def test_errors_are_sentences_for_people_and_scripts(inside: Browser, room: Room) -> None:
    client = inside(room)
    page = client.get("/room/wrong")
    assert page.status_code == 400 and "The folder must hold recordings. Choose another." in page.text
    answer = client.get("/room/wrong", headers={"accept": "application/json"})
    assert answer.json() == {"error": "The folder must hold recordings. Choose another."}
    assert "unexpected KeyError" in client.get("/room/broken").text
    missing = client.post("/room/form", data={"other": "x"})
    assert missing.status_code == 400 and "name: Field required" in missing.text


def test_no_websocket_is_opened(inside: Browser, room: Room) -> None:
    with pytest.raises(WebSocketDisconnect), inside(room).websocket_connect("/room"):
        pass
