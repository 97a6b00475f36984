"""The Assistant room in a real browser, with a simulated face before its camera."""

import json
import socket
import time
from threading import Thread

import cv2
import numpy as np
import pytest
import uvicorn

from personare.features.expression import BLENDSHAPES
from personare.features.looks import looks_like
from personare.serve import camera
from personare.serve.app import create_app
from personare.serve.assistant import assistant_room
from personare.serve.pages import Pages
from personare.simulate.people import person
from personare.simulate.take import perform

from .conftest import CHROMIUM, DRIVER

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser, and is not installed")
from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

TOKEN = "t" * 43
NOISE = ("vision_wasm_internal.js", "WebGL", "GL Driver")  # what the reader of faces says of its start
LONG = [
    f"Thank you, {one} and {other} help. " for one in ("tea", "rest", "walks", "music") for other in ("calm", "soup")
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM.exists() and DRIVER.exists()), reason="chromium and its driver are not installed"),
    pytest.mark.skipif(not camera.face_model(), reason="the face_landmarker model is not on this machine"),
]


class Slow:
    """A backend that takes its time, and remembers what it was sent."""

    where = "rules of a test, in this process"

    def __init__(self):
        self.sent, self.ended = [], 0

    def __call__(self, turns, *, most_tokens):
        self.sent.append("\n".join(turn.text for turn in turns))
        sentences = ("I hear you. ", "Thank you for telling me. ", "Rest well. ")
        try:
            for sentence in sentences if "long" not in turns[-1].text else LONG:
                time.sleep(0.2 if "long" in turns[-1].text else 0.02)
                yield sentence
        finally:
            self.ended += 1


@pytest.fixture(scope="module")
def chrome(tmp_path_factory):
    """A browser whose camera shows a simulated person who looks happy."""
    folder = tmp_path_factory.mktemp("chrome")
    pictures = perform(person(0, 3), "happiness", "S1", seed=0, rate_hz=10).pictures(480)
    with (folder / "face.mjpeg").open("wb") as film:
        for picture in list(pictures)[5:11]:
            wide = np.pad(picture, ((0, 0), (80, 80), (0, 0)), constant_values=120)
            film.write(cv2.imencode(".jpg", np.ascontiguousarray(wide[..., ::-1]))[1].tobytes())
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={folder / 'face.mjpeg'}",
        f"--user-data-dir={folder / 'profile'}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


class Page:
    """The page of somebody in the room."""

    def __init__(self, driver, home, folder, backend):
        self.driver, self.home, self.folder, self.backend = driver, home, folder, backend

    def find(self, name):
        return self.driver.find_element(By.ID, name)

    def wait(self, holds):
        gone = [StaleElementReferenceException]  # with the page before
        return WebDriverWait(self.driver, 30, poll_frequency=0.05, ignored_exceptions=gone).until(lambda _: holds())

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def allow(self, setting):
        what = {"permission": {"name": "camera"}, "setting": setting, "origin": self.home}
        self.driver.execute_cdp_cmd("Browser.setPermission", what)

    def begin(self, name="", *, consents=True, passphrase=""):
        self.driver.get(f"{self.home}/assistant")
        self.wait(self.find("begin").is_displayed)
        self.find("name").send_keys(name)
        for box in self.all("#seeing input") if consents else ():
            box.send_keys(Keys.SPACE)
        if passphrase:
            self.all("#begin summary")[0].send_keys(Keys.ENTER)
            self.find("passphrase").send_keys(passphrase)
        self.all("#begin button")[0].send_keys(Keys.ENTER)
        self.wait(self.find("room").is_displayed)

    def say(self, text):
        self.find("text").send_keys(text, Keys.ENTER)

    def answered(self):
        self.wait(lambda: "Rest well." in "".join(self.turns()[-1:]) and self.find("send").is_enabled())

    def turns(self):
        return [turn.text.strip() for turn in self.all(".turn")]

    def forget(self):
        self.find("forget").send_keys(Keys.ENTER)
        self.driver.switch_to.alert.accept()
        self.wait(lambda: self.find("begin").is_displayed())

    def log(self, name):
        return self.driver.get_log(name)


@pytest.fixture(params=["browser", "program"])
def page(request, chrome, tmp_path, monkeypatch):
    """The room, where the camera is read in the browser, and where a picture goes to the program."""
    if request.param == "program":
        monkeypatch.setattr(camera, "browser_files", dict)
    elif not camera.browser_files():
        pytest.skip("what reads faces in the browser is not installed: make assistant")
    listener, backend = socket.create_server(("127.0.0.1", 0)), Slow()
    port = listener.getsockname()[1]
    room = assistant_room(Pages(), tmp_path / "app", backend=backend, rng=np.random.default_rng(0))
    app = create_app(tmp_path / "app", [room], token=TOKEN, port=port)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none", timeout_graceful_shutdown=1))
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    chrome.get("about:blank")
    chrome.get_log("browser"), chrome.get_log("performance")
    chrome.get(f"http://127.0.0.1:{port}/enter?token={TOKEN}")
    page = Page(chrome, f"http://127.0.0.1:{port}", tmp_path, backend)
    page.allow("granted")
    yield page
    for tab in chrome.window_handles[1:]:
        chrome.switch_to.window(tab)
        chrome.close()
    chrome.switch_to.window(chrome.window_handles[0])
    chrome.get("about:blank")
    server.should_exit = True
    thread.join()
    listener.close()


def test_a_check_in_with_a_camera_from_consent_to_forget_me(page, request):
    in_browser = "browser" in request.node.name.partition("[")[2]
    page.begin("Violet Babylon", passphrase="seven tall lanterns")
    page.find("switch").send_keys(Keys.ENTER)
    page.wait(lambda: ("looks like: happiness" if in_browser else "It is on") in page.find("seen").text)
    assert page.find("leaving").text == "nothing"
    page.say("I slept badly.")
    page.wait(page.find("first").is_displayed)  # what leaves is shown before it leaves
    shown = page.find("exact").text
    assert page.backend.sent == [] and ("kB" in shown) != in_browser and page.find("frame").is_displayed() != in_browser
    page.all("#first button")[0].send_keys(Keys.ENTER)
    page.answered()
    assert page.turns() == ["I slept badly.", "I hear you. Thank you for telling me. Rest well."]
    assert "expression: happiness" in page.backend.sent[-1] and "Violet Babylon" in page.backend.sent[-1]
    assert "happiness (the camera guessed it)" in page.find("profile").text
    page.find("checkin").send_keys(Keys.ENTER)
    page.wait(lambda: "How is your mood" in page.find("turns").text)
    page.say("7")
    page.wait(lambda: "How did you sleep" in page.find("turns").text)
    page.all("#options button")[2].send_keys(Keys.ENTER)
    page.wait(lambda: "the last two weeks" in page.turns()[-1])
    page.find("summarize").send_keys(Keys.ENTER)
    page.wait(page.find("lines").is_displayed)
    assert len(page.all("#approve input")) == 2 and not page.all("#approve input:checked")
    page.all("#lines button")[1].send_keys(Keys.ENTER)
    page.find("history").send_keys(Keys.SPACE)
    page.wait(lambda: page.find("send").is_enabled())
    assert any(path.is_file() for path in page.folder.rglob("*"))
    page.driver.refresh()
    page.wait(lambda: "I slept badly." in page.find("turns").text)
    page.forget()
    page.wait(lambda: "nothing of you is left" in page.find("problem").text and not page.all(".turn"))
    assert not [path for path in page.folder.rglob("*") if path.is_file()]
    assert page.find("name").get_attribute("value") == "" and not page.find("sends").is_selected()
    assert not page.all("#begin input:checked:not([name=role])") and "Violet" not in page.driver.page_source
    assert page.driver.execute_script("return sessionStorage.length + localStorage.length") == 0
    errors = [one for one in page.log("browser") if not any(word in one["message"] for word in NOISE)]
    events = [json.loads(one["message"])["message"] for one in page.log("performance")]
    sent = [one["params"]["request"] for one in events if one["method"] == "Network.requestWillBeSent"]
    foreign = [
        one["url"] for one in sent if not one["url"].startswith((page.home, "data:", "blob:", "chrome:", "about:"))
    ]
    assert len(sent) > 10 and foreign == [] and errors == []
    posts = {one["url"].rpartition("/")[2]: one.get("postData", "") for one in sent if one["method"] == "POST"}
    assert ("cues" in posts) == in_browser and ("frame" in posts) != in_browser
    if in_browser:
        assert json.loads(posts["cues"])["cues"].keys() <= {"expression", "gaze"}


DRAWN = """
const source = document.createElement("video"), canvas = document.createElement("canvas");
[canvas.width, canvas.height, source.muted, source.srcObject] = [640, 480, true, stream];
source.play();
const pen = canvas.getContext("2d");
setInterval(() => {
  pen.fillStyle = window.kind === "dark" ? "#060606" : "#999"; pen.fillRect(0, 0, 640, 480);
  if (window.kind === "two") for (const left of [0, 320]) pen.drawImage(source, 160, 0, 320, 480, left, 0, 320, 480);
}, 50);
video.srcObject = canvas.captureStream(20); video.play();
"""


@pytest.mark.parametrize("page", ["browser"], indirect=True)
def test_nothing_is_read_where_it_is_dark_and_of_nobody_or_two(page):
    page.begin("Ana")
    page.find("switch").send_keys(Keys.ENTER)
    page.wait(lambda: "looks like" in page.find("seen").text)
    page.driver.execute_script(DRAWN)
    for kind, words in (("two", "several faces"), ("none", "No face"), ("dark", "too dark")):
        page.driver.execute_script("window.kind = arguments[0]", kind)
        page.wait(lambda words=words: words in page.find("seen").text)
        page.say("I slept badly.")
        page.answered()
        assert "expression" not in page.backend.sent[-1] and not page.find("first").is_displayed()


@pytest.mark.parametrize("page", ["program"], indirect=True)
def test_the_browser_reads_as_python_does(page):
    page.begin(consents=False)
    rng = np.random.default_rng(0)
    faces = rng.uniform(0, 0.7, (40, 2, 52)) * (rng.random((40, 1, 52)) < 0.3)
    given = [[dict(zip(BLENDSHAPES, frame, strict=True)) for frame in face] for face in faces.tolist()]
    read = page.driver.execute_script("return arguments[0].map(looksLike)", given)
    assert read == [looks_like(face) for face in faces] and len({one.get("expression") for one in read}) > 4


@pytest.mark.parametrize("page", ["program"], indirect=True)
def test_everything_works_where_the_camera_is_refused(page):
    page.allow("denied")
    page.begin("Ana")
    page.find("switch").send_keys(Keys.ENTER)
    page.wait(lambda: "refused" in page.find("seen").text)
    page.say("I slept badly.")
    page.answered()
    assert "expression" not in page.backend.sent[-1]


@pytest.mark.parametrize("page", ["program"], indirect=True)
def test_an_answer_is_shown_while_it_is_made_and_can_be_stopped(page):
    page.begin("Ana", consents=False)
    page.say("Tell me something long.")
    page.wait(lambda: page.turns()[1:] and page.turns()[1].startswith("Thank you"))
    assert page.backend.ended == 0 and not page.find("send").is_enabled()
    page.find("stop").send_keys(Keys.ENTER)
    page.wait(lambda: page.backend.ended == 1)
    page.say("I slept badly.")
    page.answered()
    page.say("Tell me something long.")
    page.wait(lambda: len(page.backend.sent) == 3)
    page.forget()
    page.wait(lambda: page.backend.ended == 3)


@pytest.mark.parametrize("page", ["program"], indirect=True)
def test_two_tabs_are_two_people_and_each_can_leave(page):
    page.begin("Ana", consents=False)
    assert not page.find("camera").is_displayed()
    page.say("I dreamt of violets.")
    page.answered()
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    page.begin("Ben", consents=False)
    page.say("I saw a film.")
    page.answered()
    assert "violets" not in page.backend.sent[-1] and "Ana" not in page.backend.sent[-1]
    assert "violets" not in page.find("turns").text and "Ana" not in page.find("profile").text
    page.forget()
    page.driver.switch_to.window(first)
    page.find("about").send_keys(Keys.ENTER)
    page.wait(lambda: "Ana" in page.turns()[-1])


@pytest.mark.parametrize("page", ["program"], indirect=True)
def test_the_page_fits_a_phone_and_everything_to_press_has_a_name_and_44_pixels(page):
    phone = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        for begun in (False, True):
            if begun:
                page.begin("Ana")
            else:
                page.driver.get(f"{page.home}/assistant")
                page.wait(page.find("begin").is_displayed)
            assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 360
            things = "button, select, textarea, summary, input:not([type=checkbox]):not([type=radio])"
            seen = [one for one in page.all(things) if one.is_displayed()]
            assert len(seen) > 3 and all(one.accessible_name for one in seen)
            assert all(one.size["height"] >= 44 for one in seen), [one.accessible_name for one in seen]
            unnamed = [one for one in page.all("input") if one.is_displayed() and not one.accessible_name]
            assert unnamed == []
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
