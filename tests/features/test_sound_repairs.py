"""What is wrong with a file's sound is mended, stays in time, and is said."""

import re
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile

from personare.core.errors import DataError
from personare.core.types import Signal
from personare.features import audio, video
from personare.features.files import remarks
from personare.study.doctor import examine_file

RATE = 16000


def tone(seconds=2.0, level=0.4, channels=1, rate=RATE):
    wave = level * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def rms(values):
    return float(np.sqrt(np.mean(np.square(values, dtype=float))))


def said(path):
    """What is said of a usable file, by the seam and by the doctor alike."""
    findings = list(examine_file(path))
    assert [what for status, what, _ in findings if status == "note"] == remarks(path)
    assert all(status != "no" for status, _, _ in findings), findings
    return " ".join(remarks(path))


def film(path, tracks, *, codec="aac", layout="mono", picture_s=0.0, disposition=()):
    """Write tracks of (start in seconds, (N, C) values) pieces, with a gray picture where it lasts."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=25) if picture_s else None
        streams = [container.add_stream(codec, rate=RATE, layout=layout) for _ in tracks]
        for number, flag in disposition:
            streams[number].disposition = flag
        if picture:
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
            for _ in range(round(25 * picture_s)):
                image = np.full((48, 64, 3), 90, np.uint8)
                container.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(picture.encode(None))
        for stream, pieces in zip(streams, tracks, strict=True):
            form = stream.codec_context.format.name
            resampler = av.AudioResampler(format=form, layout=layout, rate=RATE)
            for start_s, values in pieces:
                for at in range(0, len(values) - len(values) % 1024, 1024):
                    block = np.ascontiguousarray(values[at : at + 1024]).reshape(1, -1)
                    frame = av.AudioFrame.from_ndarray(block, format="flt", layout=layout)
                    frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
                    frame.pts = round(start_s * RATE) + at
                    for part in resampler.resample(frame):
                        container.mux(stream.encode(part))
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("peak", [1.5, 4.0, 32767.0])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_float_sound_beyond_full_scale_is_turned_down_as_a_whole(tmp_path, peak, subtype):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(level=peak), RATE, subtype=subtype)
    values = audio.read(path).values
    np.testing.assert_allclose(values, tone(level=1.0), atol=2e-3)  # the same wave: no square one
    assert "turned down" in said(path)


@pytest.mark.parametrize(("suffix", "codec"), [(".mka", "pcm_f32le"), (".ogg", "libopus"), (".mov", "pcm_f32le")])
def test_sound_of_a_container_beyond_full_scale_is_turned_down_too(tmp_path, suffix, codec):
    path = film(tmp_path / f"a{suffix}", [[(0, tone(level=3.0))]], codec=codec)
    values = audio.read(path).values[2000:-2000, 0]
    assert 0.9 < np.abs(values).max() <= 1
    assert np.mean(np.abs(values) > 0.97) < 0.25  # of a sine; of a square wave it is 1
    assert "turned down" in said(path)


def test_sound_within_full_scale_is_left_as_it_is_and_nothing_is_said(tmp_path):
    for name, subtype in (("a.wav", "FLOAT"), ("b.wav", "PCM_16"), ("c.flac", "PCM_16")):
        soundfile.write(tmp_path / name, tone(level=0.99), RATE, subtype=subtype)
        np.testing.assert_allclose(audio.read(tmp_path / name).values, tone(level=0.99), atol=1e-4)
        assert remarks(tmp_path / name) == []


@pytest.mark.parametrize("share", [0.5, 0.1, 0.0])
@pytest.mark.parametrize(("subtype", "channels"), [("PCM_16", 1), ("PCM_24", 2), ("FLOAT", 1)])
def test_a_wav_header_that_announces_too_little_drops_nothing(tmp_path, share, subtype, channels):
    path, values = tmp_path / "a.wav", tone(channels=channels)
    soundfile.write(path, values, RATE, subtype=subtype)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    size = int.from_bytes(content[at : at + 4], "little")
    content[at : at + 4] = (round(size * share) // 12 * 12).to_bytes(4, "little")
    path.write_bytes(content)
    np.testing.assert_allclose(audio.read(path).values, values, atol=1e-4)
    assert "all of its 2.00 s are used" in said(path)


@pytest.mark.parametrize(
    ("suffix", "length"), [(".flac", 0), (".flac", 8000), (".flac", 16000), (".au", 8000), (".au", 16000)]
)
def test_other_headers_that_announce_too_little_drop_nothing(tmp_path, suffix, length):
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, tone(), RATE)
    content = bytearray(path.read_bytes())
    if suffix == ".flac":
        fields = int.from_bytes(content[18:26]) >> 36 << 36
        content[18:26] = (fields | length).to_bytes(8)
    else:
        content[8:12] = (2 * length).to_bytes(4, "big" if content[:4] == b".snd" else "little")
    path.write_bytes(content)
    np.testing.assert_allclose(audio.read(path).values, tone(), atol=1e-4)
    assert "all of its 2.00 s are used" in said(path) or not length


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_a_length_that_a_streaming_recorder_did_not_know_is_no_lie(tmp_path, size):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), RATE)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = size.to_bytes(4, "little")
    path.write_bytes(content)
    assert len(audio.read(path).values) == 2 * RATE
    assert said(path) == ""


@pytest.mark.parametrize("chunk", [b"LIST\x04\x00\x00\x00INFO", b"id3 \x03\x00\x00\x00abc\x00", b"TAG" + bytes(125)])
def test_what_follows_the_sound_of_a_wav_file_is_not_heard(tmp_path, chunk):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), RATE)
    path.write_bytes(path.read_bytes() + chunk)
    assert len(audio.read(path).values) == 2 * RATE
    assert said(path) == ""


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "aac"), (".mkv", "aac"), (".ogg", "libopus"), (".webm", "libopus"), (".m4a", "aac")]
)
def test_a_pause_in_the_time_stamps_is_silence(tmp_path, suffix, codec):
    picture_s = 2.0 if suffix in (".mp4", ".mkv") else 0.0
    whole = film(tmp_path / f"whole{suffix}", [[(0, tone(2.048))]], codec=codec, picture_s=picture_s)
    path = tmp_path / f"a{suffix}"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        streams = [target.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.dts is not None:
                if packet.stream.type == "audio" and packet.pts * packet.time_base >= 1:
                    packet.pts, packet.dts = (t + round(1 / packet.time_base) for t in (packet.pts, packet.dts))
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    values = audio.read(path, rate_hz=RATE).values[:, 0]
    level = [rms(values[round(at * RATE) :][: RATE // 2]) for at in (0.3, 1.3, 2.3)]
    assert level[0] > 0.2 and level[1] < 0.01 and level[2] > 0.2
    assert "The sound pauses 1 times, 1.0" in said(path)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("late_s", [1.0, 12.0])
def test_sound_that_starts_after_its_picture_stays_in_time(tmp_path, suffix, late_s):
    path = film(tmp_path / f"a{suffix}", [[(late_s, tone(1.024))]], picture_s=late_s + 2)
    values = audio.read(path).values[:, 0]
    assert rms(values[: round((late_s - 0.1) * RATE)]) < 0.01
    assert rms(values[round((late_s + 0.1) * RATE) :][: RATE // 2]) > 0.2
    assert re.search(f"The sound starts ({late_s - 0.06:.2f}|{late_s:.2f}) s late", said(path))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_a_silent_track_before_one_that_is_heard_is_passed_over(tmp_path, suffix):
    path = film(tmp_path / f"a{suffix}", [[(0, tone() * 0)], [(0, tone())]])
    assert rms(audio.read(path).values) > 0.2
    assert "plays first is silent: another one" in said(path)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_of_two_tracks_the_one_that_a_player_plays_is_taken(tmp_path, suffix):
    loud, quiet = [(0, tone(level=0.8))], [(0, tone(level=0.1))]
    flags = [(0, av.stream.Disposition(0)), (1, av.stream.Disposition.default)]
    path = film(tmp_path / f"a{suffix}", [loud, quiet], disposition=flags)
    assert rms(audio.read(path).values) == pytest.approx(0.1 / 2**0.5, rel=0.1)
    path = film(tmp_path / f"b{suffix}", [loud, quiet])
    assert rms(audio.read(path).values) == pytest.approx(0.8 / 2**0.5, rel=0.1)


@pytest.mark.parametrize(
    ("suffix", "codec", "layout"),
    [(".mkv", "flac", "5.0(side)"), (".flac", "flac", "5.1"), (".mkv", "flac", "7.1"), (".mp4", "aac", "5.1")],
)
def test_speech_in_the_middle_of_surround_sound_keeps_its_loudness(tmp_path, layout, suffix, codec):
    values = tone() * (np.arange(av.AudioLayout(layout).nb_channels) == 2)  # the loudspeaker in the middle
    path = film(tmp_path / f"a{suffix}", [[(0, values)]], layout=layout, codec=codec)
    mixed = audio.read(path).values
    assert mixed.shape[1] == 2
    power = float(np.sum(np.mean(np.square(mixed, dtype=float), axis=0)))  # of all loudspeakers together
    assert power == pytest.approx(0.4**2 / 2, rel=0.03)
    assert "mixed to stereo" in said(path)


@pytest.mark.parametrize("channels", [4, 5, 6, 8])
@pytest.mark.parametrize("where", [0, 2, -1])
def test_one_microphone_of_many_keeps_its_loudness_when_mixed(tmp_path, channels, where):
    values = np.zeros((2 * RATE, channels), np.float32)
    values[:, where] = tone()[:, 0]
    soundfile.write(tmp_path / "a.wav", values, RATE)
    signal = audio.read(tmp_path / "a.wav")
    assert signal.values.shape[1] == channels  # each may be another person's
    assert rms(audio.mono(signal).values) == pytest.approx(rms(tone()), rel=0.01)
    with video.VideoWriter(tmp_path / "a.mp4", width=64, height=48, rate_hz=25) as writer:
        writer.write_sound(signal)
        for _ in range(50):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    assert rms(audio.read(tmp_path / "a.mp4").values) == pytest.approx(rms(tone()), rel=0.1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1e30])
def test_samples_that_are_no_numbers_are_silenced_alone(tmp_path, bad):
    values = tone()
    values[100:103] = bad
    soundfile.write(tmp_path / "a.wav", values, RATE, subtype="FLOAT")
    again = audio.read(tmp_path / "a.wav").values
    assert not again[100:103].any()
    np.testing.assert_allclose(again[103:], values[103:], atol=1e-6)
    assert "3 samples of the sound are no numbers" in said(tmp_path / "a.wav")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
def test_damage_in_the_middle_does_not_drop_the_rest(tmp_path, suffix):
    path = film(tmp_path / f"a{suffix}", [[(0, tone(4.096))]])
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(audio=0) if p.size]
    content = bytearray(path.read_bytes())
    for at, size in packets[20:24]:
        content[at + 8 : at + size] = bytes(size - 8)[: max(0, size - 8)]
    path.write_bytes(content)
    values = audio.read(path).values[:, 0]
    assert len(values) == pytest.approx(4.096 * RATE, abs=3000)
    assert rms(values[-RATE:]) > 0.2


def test_a_file_cut_short_says_so_also_to_who_uses_it_nevertheless(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(4.0), RATE)
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(content[: len(content) // 2])
    assert "announces 4.00 s of sound and holds 2.00 s" in " ".join(remarks(tmp_path / "a.wav"))
    with pytest.raises(DataError, match="cut short"):
        audio.check(tmp_path / "a.wav")
    assert [status for status, _, _ in examine_file(tmp_path / "a.wav")] == ["no", "note"]


def test_loudness_that_cancels_out_is_no_error():
    opposite = np.stack([tone()[:, 0], -tone()[:, 0], tone()[:, 0] * 0], axis=1)
    assert not audio.mono(Signal(values=opposite, rate_hz=RATE)).values.any()


SECRET_HZ, OPEN_HZ = 2000, 440


def changing(seconds=2.048):
    """A secret tone, then half a second from 0.512 s of what is heard, then the secret again."""
    time_s = np.arange(round(seconds * RATE)) / RATE
    hidden = (time_s < 0.512) | (time_s >= 1.024)
    return (0.4 * np.sin(2 * np.pi * np.where(hidden, SECRET_HZ, OPEN_HZ) * time_s))[:, None].astype(np.float32)


def heard(values, hertz):
    """The share of a tone in the power of a sound."""
    power = np.abs(np.fft.rfft(values[:, 0] * np.hanning(len(values)))) ** 2
    at = round(hertz * len(values) / RATE)
    return power[at - 8 : at + 9].sum() / power.sum()


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "aac"), (".m4a", "aac"), (".mov", "pcm_s16le"), (".m4a", "alac")]
)
@pytest.mark.parametrize("fragmented", [False, True])
def test_sound_that_an_edit_list_cuts_off_does_not_come_out(tmp_path, suffix, codec, fragmented):
    whole = film(tmp_path / f"whole{suffix}", [[(0, changing())]], codec=codec)
    path = tmp_path / f"a{suffix}"
    flags = {"movflags": "frag_keyframe+empty_moov+delay_moov"} if fragmented else {}
    with av.open(str(whole)) as source, av.open(str(path), "w", options=flags) as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.dts is not None and not (fragmented and packet.pts * packet.time_base >= 1.0):
                packet.stream = stream
                target.mux(packet)
    assert heard(audio.read(path).values, SECRET_HZ) > 0.3
    content = bytearray(path.read_bytes())
    movie, media = (struct.unpack_from(">I", content, content.index(name) + 16)[0] for name in (b"mvhd", b"mdhd"))
    at = content.index(b"elst") + 12
    begin_s = 0.512 + (0.064 if codec == "aac" else 0)  # an encoder's own delay
    struct.pack_into(">Ii", content, at, 0 if fragmented else round(0.448 * movie), round(begin_s * media))
    path.write_bytes(content)
    values = audio.read(path).values
    assert len(values) / RATE == pytest.approx(0.48, abs=0.1)
    assert heard(values[:7000], OPEN_HZ) > 0.9 and heard(values[:7000], SECRET_HZ) < 0.05
    audio.check(path)


def test_a_sound_track_that_is_switched_off_beside_a_picture_is_not_heard(tmp_path):
    for suffix in (".mp4", ".mov", ".m4v"):
        path = film(tmp_path / f"a{suffix}", [[(0, tone())]], picture_s=2.0)
        assert video.probe(path).has_sound
        content = bytearray(path.read_bytes())
        content[content.rindex(b"tkhd") + 7] &= ~1
        path.write_bytes(content)
        assert not video.probe(path).has_sound
        assert not audio.extract_sound(path, tmp_path / "a.wav")
        with pytest.raises(DataError, match="no sound track that a player plays"):
            audio.read(path)
