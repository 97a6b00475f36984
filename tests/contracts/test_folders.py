"""The folder is the registry: what lies in it is listed, and each file is one method."""

import pytest

from personare.core import registry
from personare.core.channels import CHANNELS
from personare.core.errors import UnknownMethodError
from personare.core.types import RISKS
from personare.data.roles import recorded_as

FOLDERS = ("adapt", "anonymize", "evaluate.attacks", "evaluate.utility", "federate", "data.readers")
FILES = [(folder, name) for folder in FOLDERS for name in registry.find(f"personare.{folder}")]


@pytest.mark.parametrize(("folder", "name"), FILES)
def test_every_file_is_one_method_with_a_summary(folder, name):
    method = registry.find(f"personare.{folder}")[name]
    assert len(method.summary) > 20
    assert registry.load(f"personare.{folder}", name).__name__ == method.class_name


def test_unknown_method_is_told_what_there_is():
    with pytest.raises(UnknownMethodError, match="face_blur"):
        registry.create("personare.anonymize", "face_magic")


@pytest.mark.parametrize("name", registry.find("personare.data.readers"))
def test_every_reader_says_where_its_data_come_from_and_under_which_terms(name):
    reader = registry.load("personare.data.readers", name)
    assert all(isinstance(getattr(reader, said), str) for said in ("license", "citation", "home"))


@pytest.mark.parametrize("name", registry.find("personare.data.readers"))
def test_every_reader_says_which_consent_its_tracks_need(name):
    tracks = registry.load("personare.data.readers", name).tracks
    assert tracks or name == "bids"  # there, the folder itself declares it
    assert {track: recorded_as(track, tracks) for track in tracks} == tracks


@pytest.mark.parametrize("folder", ["attacks", "utility"])
def test_every_judge_says_what_it_looks_at(folder):
    from personare.features.functionals import VIEWS
    from personare.features.tracks import FACE_VIEWS

    package = f"personare.evaluate.{folder}"
    for name in registry.find(package):
        judge = registry.load(package, name)
        kinds = set(getattr(judge, "kinds", ("recordings",)))
        assert kinds <= {"recordings", "representations", "synthetic", "model"}
        # attacks on models look at what a model answers, those on synthetic people at rows of numbers: at no view
        if "recordings" in kinds:
            tracks = {channel.track for channel in CHANNELS}
            assert set(judge.modality.split("+")) <= {*tracks, "any"}
            assert set(getattr(judge, "views", ())) <= {*VIEWS, *FACE_VIEWS, *tracks - {"audio", "video"}}
        if folder == "attacks":
            assert judge.question in RISKS
