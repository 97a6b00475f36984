"""The Hide room in a real browser: a box is drawn around what was missed, by mouse and by keyboard."""

import json
import socket
from threading import Thread

import pytest
import uvicorn

from personare.serve.app import create_app
from personare.serve.hide import hide_room
from personare.serve.pages import Pages

from .test_hide_room import film

TOKEN = "t" * 43


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


@pytest.mark.slow
def test_what_was_missed_is_drawn_around_made_again_found_right_and_deleted(home, browser, tmp_path):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    def wait(holds):
        return WebDriverWait(browser, 60).until(lambda _: holds())

    def find(name):
        return browser.find_element(By.ID, name)

    browser.get("about:blank")
    browser.get_log("browser"), browser.get_log("performance")
    browser.set_window_size(1200, 1000)
    browser.get(f"{home}/enter?token={TOKEN}")
    find("file").send_keys(str(film(tmp_path / "talk.mp4")))
    wait(lambda: "Tick first" in find("problem").text)  # nobody said that she may
    find("consent").send_keys(Keys.SPACE)
    wait(lambda: browser.find_elements(By.ID, "film"))
    wait(lambda: browser.execute_script("return original.readyState") > 1)
    fields = "return [...document.querySelectorAll('input, select')].filter((one) => !one.labels.length).length"
    assert browser.execute_script(fields) == 0
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
    wait(lambda: "a box at 0.3 s, from the beginning to the end" in find("list").text)
    find("again").send_keys(Keys.ENTER)
    wait(lambda: "faces hidden for 0.6 s" in find("status").text)

    assert not find("download").is_displayed()
    find("leave").send_keys(Keys.ENTER)
    wait(find("download").is_displayed)
    find("delete").send_keys(Keys.ENTER)
    browser.switch_to.alert.accept()
    wait(lambda: browser.current_url == f"{home}/hide")
    assert not list((tmp_path / "app" / "hide").iterdir())
    assert not [entry["message"] for entry in browser.get_log("browser")]
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert sent and all(url.startswith((home, "data:")) for url in sent)
