"""Measure how long a rater waits after an answer, in a review of ten thousand recordings, against the limit of 100 ms.

    python benchmarks/review_speed.py [RECORDINGS]

A synthetic cohort of sounds with a body signal is written to a temporary folder and served by a process of its own.
``over HTTP`` is from sending an answer until it is on disk and the next question has come, with its drawings; ``on
screen`` is from a key until the next items are drawn, in Chromium without a window (left out where there is none).
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import soundfile

from personare.core.types import Recording
from personare.data.cohort import CohortWriter, recording_id
from personare.serve.app import run_app
from personare.serve.pages import Pages
from personare.serve.review import review_room
from personare.study.reviewing import Review

LIMIT_MS = 100.0
ANSWERS, ON_SCREEN = 300, 60
PEOPLE, SOUND_S, RATE_HZ = 100, 3, 16_000
RATER = {"rater": "r1", "task": "compare"}

PRESS = """
const done = arguments[0], page = document.getElementById("review");
(function press() {
  if (page.getAttribute("aria-busy") === "true") return setTimeout(press, 10);
  const pressed = performance.now();
  new MutationObserver((_, seen) => {
    seen.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - pressed)));
  }).observe(document.getElementById("items"), { childList: true });
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "a", bubbles: true }));
})();
"""


def main() -> None:
    """Write the cohort, serve it, answer, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=int, nargs="?", default=10_000)
    count = parser.parse_args().recordings
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "cohort", count)
        address = Path(folder) / "address"
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(Path(folder), address))
        started = time.perf_counter()
        server.start()
        while not (address.exists() and address.read_text()):
            time.sleep(0.01)
        print(f"recordings  {count}; served after {time.perf_counter() - started:.1f} s")
        try:
            with httpx.Client(headers={"sec-fetch-site": "same-origin"}, timeout=30) as client:
                show("over HTTP", answered(client, address.read_text()))
                if Path("/usr/bin/chromedriver").exists():
                    show("on screen", pressed(client))
        finally:
            server.kill()
            server.join()


def write(root: Path, count: int) -> None:
    """Write a cohort of sounds, a few of which are the same file under many names, and signals."""
    writer, rng = CohortWriter(root, name="benchmark", kind="synthetic"), np.random.default_rng(0)
    sounds = list[Path]()
    for i in range(count):
        parts = (f"{i % PEOPLE:03d}", "01", f"take{i:05d}")
        audio, physio = writer.path(parts, "audio", ".wav"), writer.path(parts, "physio", ".npy")
        if i < PEOPLE:
            soundfile.write(audio, 0.1 * rng.standard_normal(SOUND_S * RATE_HZ), RATE_HZ)
            sounds.append(audio)
        else:
            os.link(sounds[i % PEOPLE], audio)
        np.save(physio, rng.standard_normal((4 * SOUND_S, 2)).astype(np.float32))
        physio.with_suffix(".json").write_text(json.dumps({"SamplingFrequency": 4.0, "Columns": ["eda", "pulse"]}))
        tracks = {track: path.relative_to(root).as_posix() for track, path in (("audio", audio), ("physio", physio))}
        writer.add(Recording(id=recording_id(*parts), subject=parts[0], session="01", tracks=tracks))
    writer.finish(pd.DataFrame(index=[f"{n:03d}" for n in range(PEOPLE)]))


def serve(folder: Path, address: Path) -> None:
    """Serve the review of the cohort until the process is ended."""
    room = review_room(Pages(), Review.open(folder / "cohort"))
    run_app(folder / "app", [room], port=0, browser=False, tell=lambda text: address.write_text(str(text)))


def answered(client: httpx.Client, address: str) -> list[float]:
    """Enter, answer, and return the milliseconds of each answer."""
    client.base_url = address.partition("/enter")[0]
    client.headers["origin"] = str(client.base_url).rstrip("/")
    page = client.get(address, follow_redirects=True).text
    client.headers["x-csrf"] = page.partition('name="csrf" content="')[2].partition('"')[0]
    client.post("/review/start", data={**RATER, "consent": "yes"})
    question, waits = client.post("/review/next", json=RATER).json()["question"], []
    for n in range(ANSWERS):
        body = {**RATER, "token": question["token"], "answer": ("a", "b", "tie")[n % 3]}
        sent = time.perf_counter()
        question = client.post("/review/answer", json=body).raise_for_status().json()["question"]
        waits.append(1000 * (time.perf_counter() - sent))
    return waits


def pressed(client: httpx.Client) -> list[float]:
    """Press keys in a browser that has the client's cookie, and return the milliseconds until the next items."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        driver.get(f"{str(client.base_url).rstrip('/')}/static/review.css")  # a page of that origin, to set its cookie
        for name, value in client.cookies.items():
            driver.add_cookie({"name": name, "value": value})
        driver.get(f"{str(client.base_url).rstrip('/')}/review/rate/compare?rater=r1")
        return [float(driver.execute_async_script(PRESS)) for _ in range(ON_SCREEN)]
    finally:
        driver.quit()


def show(name: str, waits: list[float]) -> None:
    """Print the median, 95th percentile and maximum, and their share of the limit."""
    figures = [float(np.median(waits)), float(np.quantile(waits, 0.95)), max(waits)]
    words = ", ".join(
        f"{word} {figure:.1f} ms" for word, figure in zip(("median", "95 %", "max"), figures, strict=True)
    )
    shares = " / ".join(f"{figure / LIMIT_MS:.2f}" for figure in figures)
    print(f"{name:<11} {words}; of the limit of {LIMIT_MS:.0f} ms: {shares} (n = {len(waits)})")


if __name__ == "__main__":
    main()
