"""EmoDB, the Berlin database of emotional speech: 10 German actors, 10 sentences, 7 emotions, sound only."""

import re
from pathlib import Path
from typing import ClassVar

from personare.data.media_files import media_files
from personare.data.reading import Contents, Reader

__all__ = ["EmoDb"]

_NAME = re.compile(r"(?P<speaker>\d\d)(?P<text>[ab]\d\d)(?P<emotion>[WLEAFTN])(?P<version>[a-z]?)")
_EMOTIONS = {
    "W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness", "N": "neutral",
}  # fmt: skip
_SPEAKERS = {
    "03": ("M", 31), "08": ("F", 34), "09": ("F", 21), "10": ("M", 32), "11": ("M", 26),
    "12": ("M", 30), "13": ("F", 32), "14": ("F", 35), "15": ("M", 25), "16": ("F", 31),
}  # fmt: skip


class EmoDb(Reader):
    """Reads EmoDB: ``wav/03a01Fa.wav`` as published, or the same names in any folder and sound format.

    Labels ``emotion``, ``sentence`` (such as ``a01``) and ``repetition``.

    **Guarantee**: every sound file is either a recording or listed with the reason.

    **Source**: Burkhardt et al., Interspeech 2005, doi:10.21437/Interspeech.2005-446; sex and age of the speakers too.
    """

    license = "free for research, with citation"
    citation = "Burkhardt et al., A database of German emotional speech, Interspeech 2005"
    home = "http://emodb.bilderbar.info"
    tracks: ClassVar[dict[str, str]] = {"audio": "audio"}

    def gather(self, source: Path, contents: Contents) -> None:
        contents.people |= _SPEAKERS
        files = [(path, "audio", Path(path).stem) for path in media_files(source, tracks=("audio",))]
        for name, tracks in contents.clips(files, _NAME, "SSTTTEv, such as 03a01Fa.wav"):
            labels = {"emotion": _EMOTIONS[name["emotion"]], "sentence": name["text"]}
            labels["repetition"] = name["version"] or "a"
            contents.add(name["speaker"], name["text"] + name["emotion"] + name["version"], tracks, labels)
