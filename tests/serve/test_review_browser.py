"""The rating page in a real browser, without a mouse."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import uvicorn

from personare.serve.app import create_app
from personare.serve.pages import Pages
from personare.serve.review import review_room
from personare.study.reviewing import Review

from .released import write_released

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser, and is not installed")
from selenium.common.exceptions import WebDriverException  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

TOKEN = "t" * 43
CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM.exists() and DRIVER.exists()), reason="chromium and its driver are not installed"),
]


class Served:
    """A review at a port of its own, that can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        write_released(folder / "made-up")
        self.review = Review.open(folder / "made-up")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.home = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        rooms = [review_room(Pages(), self.review)]
        app = create_app(self._folder / "app", rooms, token=TOKEN, port=self.port)
        config = uvicorn.Config(app, port=self.port, log_level="error", ws="none", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self._server.run)
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path)
    served.start()
    yield served
    served.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options, profile = webdriver.ChromeOptions(), tmp_path_factory.mktemp("profile")
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    try:
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    except WebDriverException as error:
        pytest.skip(f"the browser does not start: {error.msg}")
    yield driver
    driver.quit()


class Page:
    """The rating page of one rater."""

    def __init__(self, driver: Any, served: Served) -> None:
        self.driver, self.served = driver, served

    def enter(self) -> None:
        self.driver.get(f"{self.served.home}/enter?token={TOKEN}")

    def begin(self, task: str) -> None:
        """Fill in the first page without a mouse."""
        self.enter()
        self.driver.find_element(By.ID, "rater").send_keys("r1")
        self.driver.find_element(By.NAME, "consent").send_keys(Keys.SPACE)
        choice = self.driver.find_element(By.CSS_SELECTOR, f"input[value={task}]")
        choice.send_keys(Keys.SPACE, Keys.ENTER)
        self.ready()

    def press(self, key: str) -> None:
        self.driver.switch_to.active_element.send_keys(key)

    def wait(self, until: Callable[[], Any]) -> Any:
        return WebDriverWait(self.driver, 20, poll_frequency=0.02).until(lambda _: until())

    def ready(self) -> str:
        """Wait until the page can be answered, and return the token of its question."""
        state = "const page = document.getElementById('review');"
        state += "return page && page.getAttribute('aria-busy') === 'false' ? page.dataset.token || 'none' : ''"
        return str(self.wait(lambda: self.driver.execute_script(state)))

    def answer(self, key: str) -> str:
        """Answer the question, wait for the next one, and return the token of that which was answered."""
        token = self.ready()
        self.press(key)
        self.wait(lambda: self.ready() != token)
        return token

    def text(self, name: str) -> str:
        return str(self.driver.find_element(By.ID, name).text)


@pytest.fixture
def page(browser: Any, served: Served) -> Iterator[Page]:
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get_log("performance")
    yield Page(browser, served)
    for tab in browser.window_handles[1:]:
        browser.switch_to.window(tab)
        browser.close()
    browser.switch_to.window(browser.window_handles[0])


def test_thirty_pairs_are_rated_with_the_keyboard_alone(page: Page) -> None:
    page.begin("compare")
    keys = {"a": "a", Keys.ARROW_LEFT: "a", "B": "b", Keys.ARROW_RIGHT: "b", "t": "tie", "c": "cannot_tell"}
    pressed = [[*keys][n % len(keys)] for n in range(30)]
    for key in pressed[:10]:
        page.answer(key)
    wrong = page.answer("c")
    page.answer("u")
    assert "no longer counts" in page.text("message") and page.ready() != wrong
    for key in pressed[10:20]:
        page.answer(key)
    before, token = page.served.review.subjects().keys(), page.ready()
    page.press("!")
    for key in (Keys.SPACE, Keys.TAB, Keys.TAB, Keys.TAB, Keys.ENTER):  # A, past the note and "go back"
        page.press(key)
    page.wait(lambda: page.ready() != token)
    for key in pressed[20:]:
        page.answer(key)
    review = page.served.review
    (gone,) = before - review.subjects().keys()
    assert review.alarms()["item"].item() == gone and "30 of about 60" in page.text("progress")
    votes = Review.open(page.served._folder / "made-up")._votes.table()  # also those on the item that is out
    assert [*votes["answer"]] == [keys[key] for key in pressed] and set(votes["rater"]) == {"r1"}
    requests = [json.loads(entry["message"])["message"] for entry in page.driver.get_log("performance")]
    asked = [r["params"]["request"]["url"] for r in requests if r["method"] == "Network.requestWillBeSent"]
    foreign = [url for url in asked if not url.startswith((page.served.home, "data:", "blob:"))]
    assert len(asked) > 60 and not [url for url in foreign if not url.startswith("chrome:")]
    assert not page.driver.get_log("browser")


def test_what_is_wrong_a_note_and_what_was_played_go_with_the_answer(page: Page) -> None:
    page.begin("check")
    page.ready()
    page.press(" ")
    page.wait(lambda: page.driver.execute_script("return document.querySelector('audio').ended"))
    head = page.driver.execute_script("return document.querySelector('.plot .head').style.left")
    page.press("1")
    page.press("4")
    page.driver.find_element(By.ID, "note").send_keys("a hum, a tie", Keys.ESCAPE)
    page.answer("n")
    (vote,) = page.served.review.votes().to_dict("records")
    assert (vote["answer"], vote["failures"]) == ("implausible", "sounds unnatural;impossible signal")
    assert vote["note"] == "a hum, a tie" and head == "100%"
    assert not page.driver.find_elements(By.CSS_SELECTOR, "#failures input:checked")


def test_keys_can_be_switched_off(page: Page) -> None:
    page.begin("check")
    for key in ("?", Keys.SPACE, Keys.ESCAPE, "n"):  # the first in the window of keys is whether they do anything
        page.press(key)
    token = page.ready()
    page.driver.find_element(By.CSS_SELECTOR, "[data-answer=plausible]").click()
    page.wait(lambda: page.ready() != token)
    assert [*page.served.review.votes()["answer"]] == ["plausible"]


def test_a_question_in_two_tabs_is_answered_once(page: Page) -> None:
    page.begin("compare")
    first, address = page.driver.current_window_handle, page.driver.current_url
    page.driver.switch_to.new_window("tab")
    page.driver.get(address)
    token = page.ready()
    page.driver.switch_to.window(first)
    assert page.answer("a") == token
    page.driver.switch_to.window(page.driver.window_handles[1])
    assert page.answer("b") == token
    assert "answered" in page.text("message") and [*page.served.review.votes()["answer"]] == ["a"]


def test_an_answer_waits_on_the_page_until_the_server_is_back(page: Page) -> None:
    page.begin("compare")
    first, token = page.driver.current_window_handle, page.ready()
    page.served.stop()
    page.press("b")
    page.wait(lambda: "does not answer" in page.text("message") and "kept on this page" in page.text("message"))
    page.served.start()  # with another token and another session
    page.wait(lambda: "started again" in page.text("message"))
    page.driver.switch_to.new_window("tab")
    page.enter()
    page.driver.switch_to.window(first)
    page.wait(lambda: page.ready() != token)
    assert [*page.served.review.votes()["answer"]] == ["b"] and not page.text("message")


def test_sound_that_cannot_be_played_is_said_and_the_answer_is_still_possible(page: Page) -> None:
    page.begin("check")
    for path in page.served._folder.rglob("*.wav"):
        path.write_bytes(b"RIFF")
    page.driver.refresh()
    page.ready()
    page.wait(lambda: "cannot play" in page.text("message"))
    page.answer("c")
    assert [*page.served.review.votes()["answer"]] == ["cannot_tell"]


def test_who_did_not_agree_is_told_so_and_sees_nothing(page: Page) -> None:
    page.enter()
    page.driver.get(f"{page.served.home}/review/rate/compare?rater=nobody")
    page.wait(lambda: "agreed" in page.text("message"))
    assert not page.driver.find_elements(By.CSS_SELECTOR, ".item")


def test_the_page_fits_a_phone_and_everything_to_press_has_a_name_and_44_pixels(page: Page) -> None:
    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    )
    page.begin("compare")
    for task in ("compare", "check"):
        page.driver.get(f"{page.served.home}/review/rate/{task}?rater=r1")
        page.ready()
        assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 360
        for button in page.driver.find_elements(By.CSS_SELECTOR, "#review button, #review summary, #review textarea"):
            if button.is_displayed():
                assert button.size["height"] >= 44 and button.size["width"] >= 44
                assert button.accessible_name
