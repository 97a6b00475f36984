"""Whatever a file says besides its sound and its pictures stays behind: each is planted, every byte is searched."""

import io
import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import openpyxl
import pytest
import soundfile
from PIL import Image, PngImagePlugin
from recorders import edf, xdf

from personare.anonymize._recordings import Disguise
from personare.core.types import LocatedFrame
from personare.data.importing import import_cohort
from personare.features import audio, files
from personare.features.tracks import form_of, read_track, write_track
from personare.study import anonymizing
from personare.study.anonymizing import anonymize_path
from personare.study.parallel import Workers

WORD = "Xanthippe"  # in every place where a file can hold words; rare enough that no coincidence writes it
RATE_HZ, MS = 16000, Fraction(1, 1000)
ALONE = Workers(jobs=1, quiet=True)


def jpeg() -> bytes:
    """A picture with its maker, place and time, a comment, XMP, and a thumbnail that says more."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0131], exif[0x013B] = f"{WORD} make", f"{WORD} software", f"{WORD} artist"
    exif.get_ifd(0x8825)[29] = f"{WORD} GPS day"
    exif.get_ifd(0x8769)[0x9003] = f"{WORD} 2023:05:04 03:02:01"
    content = io.BytesIO()
    how = {"exif": exif, "comment": f"{WORD} comment".encode(), "xmp": f"<x>{WORD} xmp</x>".encode()}
    Image.effect_noise((64, 64), 40).convert("RGB").save(content, "JPEG", **how, icc_profile=f"{WORD} icc".encode())
    return content.getvalue()


def png(path: Path) -> None:
    words = PngImagePlugin.PngInfo()
    words.add_text("Author", f"{WORD} tEXt")
    words.add_itxt("Description", f"{WORD} iTXt")
    Image.effect_noise((64, 64), 40).save(path, pnginfo=words, exif=Image.open(io.BytesIO(jpeg())).getexif())


def sound() -> np.ndarray:
    t = np.arange(RATE_HZ // 2) / RATE_HZ
    return 0.1 * np.asarray(sum(np.sin(2 * np.pi * 130 * k * t) / k for k in range(1, 20)))


def wav(path: Path) -> None:
    """Sound with the chunks of recorders, editors and broadcasters before and behind it."""
    with soundfile.SoundFile(path, "w", RATE_HZ, 1, "PCM_16", format="WAV") as file:
        for field in ("title", "artist", "comment", "date", "software", "copyright"):
            setattr(file, field, f"{WORD} {field}")  # LIST INFO
        file.write(sound())
    content = path.read_bytes()
    for name in (b"bext", b"iXML", b"axml", b"id3 ", b"cue ", b"XMP_", b"_PMX"):
        said = f"{WORD} {name.decode()}".encode().ljust(64, b"\0")
        content += name + struct.pack("<I", len(said)) + said
    path.write_bytes(content[:4] + struct.pack("<I", len(content) - 8) + content[8:])


def film(path: Path) -> None:
    """A film with tags, chapters, subtitles, a second picture and sound, a cover, an attachment, another's data."""
    tags = ("title", "artist", "comment", "location", "creation_time", "com.apple.quicktime.model", "make")
    with av.open(str(path), "w") as out:
        for tag in tags:
            out.metadata[tag] = f"{WORD} {tag}"
        pictures = [out.add_stream("mpeg4", rate=25, width=64, height=64, pix_fmt="yuv420p") for _ in range(2)]
        sounds = [out.add_stream("aac", rate=RATE_HZ, layout="mono") for _ in range(2)]
        words = out.add_mux_stream("subrip" if path.suffix == ".mkv" else "mov_text")
        for stream in (*pictures, *sounds, words):
            stream.metadata["title"] = stream.metadata["handler_name"] = f"{WORD} stream"
        mark = {"id": 1, "start": 0, "end": 200, "time_base": MS, "metadata": {"title": f"{WORD} chapter"}}
        out.set_chapters([mark])
        if path.suffix == ".mkv":
            out.add_attachment(f"{WORD}.jpg", "image/jpeg", jpeg())
        for stream in pictures:
            for n in range(5):
                frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90 + n, np.uint8))
                frame.pts = n
                out.mux(stream.encode(frame))
            out.mux(stream.encode())
        for stream in sounds:
            frame = av.AudioFrame.from_ndarray(sound()[None].astype(np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = RATE_HZ, 0
            out.mux([*stream.encode(frame), *stream.encode()])
        said = f"{WORD} subtitle".encode()
        packet = av.Packet(said if path.suffix == ".mkv" else struct.pack(">H", len(said)) + said)
        packet.stream, packet.pts, packet.dts, packet.duration, packet.time_base = words, 0, 0, 200, MS
        out.mux(packet)


def music(path: Path) -> None:
    """Compressed sound with ID3 or Vorbis comments, and its cover."""
    with av.open(str(path), "w") as out:
        out.metadata.update({tag: f"{WORD} {tag}" for tag in ("title", "artist", "album", "comment", "date")})
        stream = out.add_stream("flac" if path.suffix == ".flac" else "libmp3lame", rate=RATE_HZ, layout="mono")
        convert = av.AudioResampler(stream.codec_context.format, "mono", RATE_HZ, frame_size=1152)
        frame = av.AudioFrame.from_ndarray(sound()[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate = RATE_HZ
        for part in [*convert.resample(frame), *convert.resample(None), None]:
            out.mux(stream.encode(part))


MEDIA = {"a.wav": wav, "b.flac": music, "c.mp3": music, "d.mp4": film, "e.mkv": film, "f.mov": film}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of recordings, in a folder and under names that say whose they are; a table says so, too."""
    folder = tmp_path_factory.mktemp("files") / f"{WORD} clinic"
    (folder / f"{WORD} Miller").mkdir(parents=True)
    book = openpyxl.Workbook()
    for field in ("creator", "lastModifiedBy", "title", "description", "keywords", "subject", "category"):
        setattr(book.properties, field, f"{WORD} {field}")
    sheet = book.worksheets[0]
    sheet.title = f"{WORD} sheet"
    sheet.append(["file", "subject", "session", "mood", f"{WORD} note"])
    book.create_sheet("hidden").append([f"{WORD} hidden"])
    for name, write in MEDIA.items():
        path = folder / f"{WORD} Miller" / f"{WORD} {name}"
        write(path)
        sheet.append([path.relative_to(folder).as_posix(), f"{WORD} {name[0]}", f"{WORD} 1", "low", f"{WORD} says"])
        content = path.read_bytes()
        assert content.count(WORD.encode()) >= 5, path
    book.save(folder / "labels.xlsx")
    return folder


@pytest.fixture(autouse=True)
def _every_frame_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    def uncertain(frames, **_):
        for n, at_s, image in frames:
            yield LocatedFrame(index=n, time_s=at_s, image=image, faces=(), certain=False)

    monkeypatch.setattr(anonymizing, "locate_live", uncertain)


def said(root: Path) -> list[str]:
    """Files in whose name or bytes the word is, in any case and any width of letters."""
    spellings = [text.encode(code) for text in (WORD, WORD.lower(), WORD.upper()) for code in ("utf-8", "utf-16-le")]
    paths = [path for path in (root, *root.rglob("*")) if path.is_file()]
    names = [str(path.relative_to(root)) for path in paths if WORD.lower() in str(path.relative_to(root)).lower()]
    return names + [path.name for path in paths if any(word in path.read_bytes() for word in spellings)]


VOICE = Disguise(name="mask", voice="voice_mcadams")
BOTH = replace(VOICE, face="face_solid")
FACE = Disguise(name="mask", face="face_solid", keep_sound=True)


@pytest.mark.parametrize("disguise", [VOICE, BOTH, FACE])
def test_guarantee_nothing_that_a_file_says_leaves_a_folder(planted, tmp_path, disguise):
    release = anonymize_path(planted, tmp_path / "out", disguise, workers=ALONE)
    assert release.counts["recordings"] == (3 if not disguise.voice else 6), release.withheld
    assert said(tmp_path / "out") == []
    for path in (tmp_path / "out").rglob("*.mp4"):
        with av.open(str(path)) as film:
            assert not film.chapters() and "creation_time" not in film.metadata
            assert sorted(s.type for s in film.streams) == ["audio", "video"]


def test_guarantee_nothing_that_a_file_says_leaves_a_cohort(planted, tmp_path):
    how = {"check": files.check, "extract_sound": audio.extract_sound, "consent_purposes": ["anonymization"]}
    _, skipped = import_cohort(planted, tmp_path / "cohort", reader="folder", **how)
    assert not skipped and said(tmp_path / "cohort")  # it stays inside the circle, where nothing is taken from it
    release = anonymize_path(tmp_path / "cohort", tmp_path / "out", BOTH, labels=["mood"], workers=ALONE)
    assert not [w for w in release.withheld if "no video" not in w.problem]
    assert said(tmp_path / "out") == []


def test_guarantee_nothing_that_a_picture_says_is_written_again(tmp_path):
    (tmp_path / "in.jpg").write_bytes(jpeg())
    png(tmp_path / "in.png")
    for source in (tmp_path / "in.jpg", tmp_path / "in.png"):
        assert source.read_bytes().count(WORD.encode()) >= 5
        out = tmp_path / "out" / f"{source.suffix[1:]}.png"
        out.parent.mkdir(exist_ok=True)
        write_track(out, np.asarray(read_track(source).values) / 255, form_of(source), columns=(), note={})
    assert said(tmp_path / "out") == []


def test_guarantee_nothing_that_a_recorder_wrote_enters_a_cohort_or_leaves_it(tmp_path):
    pytest.importorskip("edfio", reason="the extra biosignals is not installed")
    pytest.importorskip("pyxdf", reason="the extra biosignals is not installed")
    folder, times = tmp_path / "in", np.arange(3 * 60 * 64) / 64
    pulse = np.cos(2 * np.pi * 1.1 * times)
    for suffix in (".edf", ".bdf"):
        notes = [(0, 200, "rest"), (1, None, f"{WORD} coughs")]
        edf(folder / f"a{suffix}", [(f"PPG {WORD}", "nW", 64, pulse), (f"{WORD} EEG", "uV", 64, pulse)], notes, WORD)
        assert (folder / f"a{suffix}").read_bytes().count(WORD.encode()) >= 5
    xdf(folder / "b.xdf", [("PPG", WORD, 64, times, pulse), ("Markers", "", 0, [0.0, 9.0], ["rest", WORD])], WORD)
    assert (folder / "b.xdf").read_bytes().count(WORD.encode()) >= 5
    how = {"options": {"annotations": ["rest"]}, "consent_purposes": ["anonymization"]}
    cohort, skipped = import_cohort(folder, tmp_path / "cohort", reader="biosignals", **how)
    assert len(cohort.recordings) == 9 and {w.item for w in skipped} == {"a.bdf, channels 2", "a.edf, channels 2"}
    assert said(tmp_path / "cohort") == []
    mask = Disguise(name="mask", body="physio_resynth")
    release = anonymize_path(tmp_path / "cohort", tmp_path / "out", mask, labels=["state"], workers=ALONE)
    assert release.counts["recordings"] == 9, release.withheld
    assert said(tmp_path / "out") == []
