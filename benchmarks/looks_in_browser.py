"""Measure how often the page of the Assistant names a simulated face's expression rightly, where the browser reads it.

The people are those of ``benchmarks/looks.py`` to whom the reader was not fitted. It needs Chromium with its driver,
selenium, and what ``make assistant`` installs:

    PERSONARE_MODELS=... python benchmarks/looks_in_browser.py
"""

import base64
import socket
import tempfile
from pathlib import Path
from threading import Thread

import cv2
import numpy as np
import uvicorn
from selenium import webdriver

from personare.assist.backends.template import Template
from personare.serve.app import create_app
from personare.serve.assistant import assistant_room
from personare.serve.pages import Pages
from personare.simulate.people import EMOTIONS, person
from personare.simulate.take import perform

_CHROMIUM, _DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
_TOKEN = "t" * 43
_OPEN = """
const done = arguments[arguments.length - 1];
import("/assistant/camera/vision_bundle.mjs").then(async ({ FaceLandmarker }) => {
  landmarker = await FaceLandmarker.createFromOptions(...READING);
  done(true);
});
"""
_READ = """
const [pictures] = arguments, done = arguments[arguments.length - 1], frames = [];
(async () => {
  for (const picture of pictures) {
    const image = new Image();
    image.src = `data:image/jpeg;base64,${picture}`;
    await image.decode();
    const faces = landmarker.detectForVideo(image, performance.now()).faceBlendshapes.map((face) => face.categories);
    if (faces.length === 1) frames.push(Object.fromEntries(faces[0].map((one) => [one.categoryName, one.score])));
  }
  done(frames.length ? looksLike(frames) : {});
})();
"""


def main() -> None:
    """Print the counts."""
    with tempfile.TemporaryDirectory() as name, socket.create_server(("127.0.0.1", 0)) as listener:
        port, folder = listener.getsockname()[1], Path(name) / "app"
        room = assistant_room(Pages(), folder, backend=Template(), rng=np.random.default_rng(0))
        config = uvicorn.Config(create_app(folder, [room], token=_TOKEN, port=port), log_level="error", ws="none")
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        chrome_options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox"):
            chrome_options.add_argument(argument)
        chrome_options.binary_location = _CHROMIUM  # given, or selenium looks for it on the net
        driver = webdriver.Chrome(options=chrome_options, service=webdriver.ChromeService(_DRIVER))
        driver.set_script_timeout(60)
        driver.get(f"http://127.0.0.1:{port}/enter?token={_TOKEN}")
        driver.execute_async_script(_OPEN)
        right = named = count = 0
        for number in range(30, 60):
            for emotion in EMOTIONS:
                take = perform(person(0, number + 1), emotion, f"S{number % 2 + 1}", seed=0, rate_hz=8)
                pictures = list(take.pictures(480))
                middle = len(pictures) // 2
                words = driver.execute_async_script(_READ, [_jpeg(one) for one in pictures[middle - 4 : middle + 4]])
                count += 1
                named += "expression" in words
                right += words.get("expression") == emotion
        print(f"{count} clips of 30 people, 8 frames of each: an expression is named in {named}, right in {right}")
        driver.quit()
        server.should_exit = True
        thread.join()


def _jpeg(picture: np.ndarray) -> str:
    wide = np.pad(picture, ((0, 0), (80, 80), (0, 0)), constant_values=120)
    return base64.b64encode(cv2.imencode(".jpg", np.ascontiguousarray(wide[..., ::-1]))[1].tobytes()).decode()


if __name__ == "__main__":
    main()
