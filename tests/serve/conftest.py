"""What tests of the local app share: a browser that has entered it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from personare.serve.app import create_app
from personare.serve.pages import Room

PORT, TOKEN = 8123, "t" * 43
HOME = f"http://127.0.0.1:{PORT}"
CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")


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


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Drive a real browser; the test is skipped where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser, and is not installed")
    if not (CHROMIUM.exists() and DRIVER.exists()):
        pytest.skip("chromium and its driver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless=new", "--no-sandbox", f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield chrome
    chrome.quit()
