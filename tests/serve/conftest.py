"""What tests of the local app share: a browser that has entered it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from personare.serve.app import create_app
from personare.serve.pages import Room

PORT, TOKEN = 8123, "t" * 43
HOME = f"http://127.0.0.1:{PORT}"


@pytest.fixture
def outside(tmp_path: Path) -> Callable[..., TestClient]:
    """Give a browser that has not entered an app of these rooms; it sends the headers of the app's own pages."""
    headers = {"origin": HOME, "sec-fetch-site": "same-origin"}

    def outside(*rooms: Room) -> TestClient:
        app = create_app(tmp_path / "app", rooms, token=TOKEN, port=PORT)
        return TestClient(app, base_url=HOME, headers=headers)

    return outside


@pytest.fixture
def inside(outside: Callable[..., TestClient]) -> Callable[..., TestClient]:
    """Give a browser that has entered an app of these rooms, whose scripts know the token against forgery."""

    def inside(*rooms: Room) -> TestClient:
        client = outside(*rooms)
        client.get(f"/enter?token={TOKEN}", follow_redirects=False)
        client.headers["x-csrf"] = client.app.state.csrf
        return client

    return inside
