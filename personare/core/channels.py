"""The channels that tell who a person is, in one table: releases, judges, pictures and the command line go by it."""

from typing import Final, NamedTuple


class Channel(NamedTuple):
    """What is recorded of a person in one way, and what hides it."""

    name: str  # field of a disguise, and option of the command line
    track: str  # what is read and released, and the modality of figures
    prefix: str  # of its methods, before an underscore
    suffix: str  # of the files released, unless the method has a ``suffix`` of its own
    example: str  # one of its methods


CHANNELS: Final = (
    Channel("voice", "audio", "voice", ".wav", "voice_mcadams"),
    Channel("face", "video", "face", ".mp4", "face_blur"),
    Channel("body", "physio", "physio", ".tsv.gz", "physio_windows"),
    Channel("words", "text", "text", ".txt", "text_redact"),
    Channel("phone", "phone", "phone", ".tsv.gz", "phone_coarsen"),
)
