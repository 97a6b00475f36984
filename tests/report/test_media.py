import base64
from pathlib import Path

from personare.report.examples import embed_examples


def released(run: Path, name: str = "r", file: str = "a.wav", content: bytes = b"sound" * 20) -> dict[str, str]:
    path = run / "releases" / name / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return {"track": "audio", "path": path.relative_to(run).as_posix(), "label": "fear"}


def test_a_released_file_is_embedded_whole(tmp_path: Path) -> None:
    found, left_out = embed_examples(tmp_path, {"r": [released(tmp_path)]})
    head, data = found["r"][0]["source"].split(",")
    assert head == "data:audio/wav;base64"
    assert base64.b64decode(data) == b"sound" * 20
    assert (found["r"][0]["label"], left_out) == ("fear", [])


def test_guarantee_nothing_outside_the_release_is_read(tmp_path: Path) -> None:
    run = tmp_path / "run"
    released(run)
    secret = tmp_path / "original.wav"
    secret.write_bytes(b"the person's own voice")
    inside = run / "private.wav"
    inside.write_bytes(b"the person's own voice")
    (run / "releases" / "r" / "link.wav").symlink_to(secret)
    other = released(run, name="other")
    tries = ["../original.wav", str(secret), "private.wav", "releases/r/../../private.wav", "releases/r/link.wav"]
    for path in [*tries, other["path"]]:
        found, left_out = embed_examples(run, {"r": [{"track": "audio", "path": path}]})
        assert found == {}, path
        assert "not a file of that release" in left_out[0]
    assert embed_examples(run, {"original": [{"path": "private.wav"}]})[0] == {}


def test_the_page_stays_small_and_every_release_gets_its_first_example(tmp_path: Path) -> None:
    entries = {n: [released(tmp_path, n, f"{i}.wav", bytes(3000)) for i in range(5)] for n in ("a", "b", "c")}
    found, left_out = embed_examples(tmp_path, entries, per_release=3, budget_bytes=17_000)
    assert {name: len(some) for name, some in found.items()} == {"a": 2, "b": 1, "c": 1}
    assert sum(len(e["source"]) for some in found.values() for e in some) <= 17_000
    assert len(left_out) == 5 and all("too large" in said for said in left_out)


def test_what_cannot_be_shown_is_said(tmp_path: Path) -> None:
    entries = [released(tmp_path, file="a.npy"), {"path": "releases/r/gone.wav"}, "nonsense", {"track": "audio"}]
    found, left_out = embed_examples(tmp_path, {"r": entries, "s": "nonsense"}, per_release=9)
    assert found == {}
    assert [said.split(",")[-1] for said in left_out] == [
        " is not a kind a browser plays and was not shown.",
        " is absent and was not shown.",
    ]


def test_a_broken_video_has_no_poster_and_does_no_harm(tmp_path: Path) -> None:
    found, _ = embed_examples(tmp_path, {"r": [released(tmp_path, file="a.mp4", content=b"not a video")]})
    assert found["r"][0]["poster"] == ""


def test_a_video_gets_a_still(full_run: Path) -> None:
    entry = {"track": "video", "path": "releases/face_blur/sub-01/anger.mp4", "label": "anger"}
    found, _ = embed_examples(full_run, {"face_blur": [entry]})
    assert base64.b64decode(found["face_blur"][0]["poster"].split(",")[1])[:2] == b"\xff\xd8"
