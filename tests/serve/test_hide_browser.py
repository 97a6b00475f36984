"""The Hide room in a real browser: a box is drawn around what was missed, by mouse and by keyboard."""

import socket
from pathlib import Path
from threading import Thread

import pytest
import uvicorn

from personare.serve.app import create_app
from personare.serve.hide import hide_room
from personare.serve.pages import Pages

from .test_hide_room import film

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser, and is not installed")
from selenium.common.exceptions import WebDriverException  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

TOKEN = "t" * 43
CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM.exists() and DRIVER.exists()), reason="chromium and its driver are not installed"),
]


@pytest.fixture
def home(tmp_path):
    """Where the room is served."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    app = create_app(tmp_path / "app", [hide_room(Pages(), tmp_path / "app")], token=TOKEN, port=port)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none", timeout_graceful_shutdown=1))
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def browser(tmp_path):
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", f"user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    except WebDriverException as error:
        pytest.skip(f"the browser does not start: {error.msg}")
    driver.set_window_size(1200, 1000)
    yield driver
    driver.quit()


def test_what_was_missed_is_drawn_around_made_again_found_right_and_deleted(home, browser, tmp_path):
    def wait(holds):
        return WebDriverWait(browser, 60).until(lambda _: holds())

    def find(name):
        return browser.find_element(By.ID, name)

    browser.get(f"{home}/enter?token={TOKEN}")
    find("file").send_keys(str(film(tmp_path / "talk.mp4")))
    assert "Tick first" in find("problem").text, "nobody said that she may"
    find("consent").send_keys(Keys.SPACE)
    wait(lambda: browser.find_elements(By.ID, "film"))
    wait(lambda: browser.execute_script("return original.readyState") > 1)
    find("make").send_keys(Keys.ENTER)
    wait(lambda: "No face was found" in find("problem").text)

    find("at").send_keys(Keys.CONTROL + "a")
    find("at").send_keys("0.3" + Keys.TAB)
    canvas = find("draw")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    width, height = canvas.size["width"], canvas.size["height"]
    drag = ActionChains(browser).move_to_element_with_offset(canvas, round(-0.3 * width), round(-0.19 * height))
    drag.click_and_hold().move_by_offset(round(0.26 * width), round(0.34 * height)).release().perform()
    sides = {name: float(find(name).get_attribute("value")) for name in ("left", "top", "right", "bottom")}
    assert sides == pytest.approx({"left": 20, "top": 31, "right": 46, "bottom": 65}, abs=1.5)
    find("right").send_keys(Keys.CONTROL + "a")
    find("right").send_keys("45.5")  # by keyboard too
    find("add").send_keys(Keys.ENTER)
    assert "a box at 0.3 s, from the beginning to the end" in find("list").text
    find("again").send_keys(Keys.ENTER)
    wait(lambda: "faces hidden for 0.6 s" in find("status").text)

    assert not find("download").is_displayed()
    find("leave").send_keys(Keys.ENTER)
    wait(find("download").is_displayed)
    find("delete").send_keys(Keys.ENTER)
    browser.switch_to.alert.accept()
    wait(lambda: browser.current_url == f"{home}/hide")
    assert not list((tmp_path / "app" / "hide").iterdir())
    faults = [entry["message"] for entry in browser.get_log("browser")]
    assert not faults
