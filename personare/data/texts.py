"""What people wrote: decoded whatever it was saved as, and without the handles and links that lead to them."""

import re
from pathlib import Path

from personare.core.errors import data_errors

_LINK = re.compile(
    r"(?:https?:/?/?|www\.|pic\.twitter\.com/)\S*|\b[\w-]+\.(?:com|ly|co|me|tv|net|org)/\S+", re.IGNORECASE
)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
_HANDLE = re.compile(r"[@＠]\s?\w+")


def read_text(path: Path, *, otherwise: str = "gb18030") -> str:
    """Return a text file's content in one line: UTF-8, or ``otherwise``; what cannot be decoded becomes U+FFFD."""
    with data_errors(f"the text {path.name} cannot be read", "Get it again."):
        content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode(otherwise, "replace")
    return " ".join(text.split())


def without_addresses(text: str) -> str:
    """Return a text with placeholders for handles, links and mail addresses; names in plain words stay."""
    return _HANDLE.sub("@user", _MAIL.sub("@user", _LINK.sub("http", text)))
