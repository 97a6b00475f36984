"""Answers with a server on this machine that speaks as OpenAI's (llama.cpp, Ollama, vLLM); no word goes elsewhere."""

import base64
import ipaddress
import json
import re
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import httpx

from personare.core.errors import DataError, OptionError, data_errors
from personare.core.types import Turn

__all__ = ["Loopback"]

_MOST_BYTES = 2**22  # of one answer
_FIX = "See that it runs and has a model, or choose another backend."


@dataclass(frozen=True, kw_only=True)
class Loopback:
    """Sends the turns, pictures among them, to ``url`` and nowhere else.

    **Guarantee**: an address that is not this machine's, and a model that Ollama runs in its cloud, is refused before a
    word is sent; no proxy is used and no redirect followed.
    """

    url: str = "http://127.0.0.1:8080"
    model: str = ""
    connect_s: float = 3.0
    silence_s: float = 60.0  # before the first piece, and between two
    answer_s: float = 300.0
    name = "loopback"

    def __post_init__(self) -> None:
        address = self._address
        if address.scheme != "http" or not (address.host == "localhost" or _is_loopback(address.host)):
            raise OptionError(
                f"url must be http://127.0.0.1:PORT, http://[::1]:PORT or http://localhost:PORT, not {self.url}."
            )
        if re.search(r"[-:]cloud\b", self.model):
            raise OptionError(f"model must run on this machine; {self.model} runs in a cloud.")

    @property
    def where(self) -> str:
        """The program that the words go to."""
        return f"a program on this machine ({self._address.netloc.decode()})"

    @property
    def _address(self) -> httpx.URL:
        try:
            return httpx.URL(self.url.rstrip("/").removesuffix("/v1"))
        except httpx.InvalidURL as error:
            raise OptionError(f"url must be like http://127.0.0.1:8080, not {self.url}: {error}.") from error

    def __call__(self, turns: Sequence[Turn], *, most_tokens: int) -> Iterator[str]:
        """Yield the answer as it comes; what is no answer, or never ends, is an error."""
        question = {
            "model": self.model,
            "messages": [_message(turn) for turn in turns],
            "stream": True,
            "temperature": 0,
            "seed": 0,
            "max_tokens": most_tokens,
        }
        with (
            data_errors(f"The program at {self.url} gave no answer", _FIX, httpx.HTTPError),
            httpx.Client(
                base_url=self._address,
                trust_env=False,
                headers={"Accept-Encoding": "identity"},
                timeout=httpx.Timeout(self.silence_s, connect=self.connect_s),
            ) as client,
        ):
            self._refuse_elsewhere(client)
            with client.stream("POST", "/v1/chat/completions", json=question) as response:
                if response.status_code != 200:
                    reason = next(response.iter_raw(), b"")[:200].decode(errors="replace")
                    raise DataError(f"The program at {self.url} answered {response.status_code} ({reason}). {_FIX}")
                for _, piece in zip(range(most_tokens), self._pieces(response), strict=False):
                    yield piece

    def close(self) -> None:
        """Nothing stays open between answers."""

    def _refuse_elsewhere(self, client: httpx.Client) -> None:
        """Ask where the words would go: the name's addresses, and what Ollama says of its models."""
        places = socket.getaddrinfo(self._address.host, self._address.port or 80, type=socket.SOCK_STREAM)
        if not all(_is_loopback(str(address[0])) for *_, address in places):
            raise OptionError(f"{self._address.host} is not this machine here: give http://127.0.0.1:PORT as url.")
        with client.stream("GET", "/api/tags") as response:
            if response.status_code != 200:
                return  # not Ollama
            content = b"\n".join(self._lines(response))
        try:
            models = json.loads(content)["models"]
            remote = {_bare(m["name"]) for m in models if m.get("remote_host") or m.get("remote_model")}
        except (ValueError, LookupError, TypeError, AttributeError):
            return
        if _bare(self.model) in remote:
            raise OptionError(f"model must run on this machine; {self.model} runs elsewhere, says {self.url}.")

    def _pieces(self, response: httpx.Response) -> Iterator[str]:
        for line in self._lines(response):
            if not line.startswith(b"data:"):
                continue
            if (data := line[5:].strip()) == b"[DONE]":
                return
            try:
                pieces = [choice["delta"].get("content") or "" for choice in json.loads(data)["choices"]]
                piece = "".join(pieces)
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                raise DataError(f"The program at {self.url} sent no answer but {data[:200]!r}. {_FIX}") from error
            if piece:
                yield piece
        raise DataError(f"The program at {self.url} ended in the middle of its answer. {_FIX}")

    def _lines(self, response: httpx.Response) -> Iterator[bytes]:
        end_s, size, rest = time.monotonic() + self.answer_s, 0, b""
        for chunk in response.iter_raw():
            size += len(chunk)
            if size > _MOST_BYTES or time.monotonic() > end_s:
                raise DataError(
                    f"The answer of {self.url} does not end ({size} bytes, {self.answer_s} s at most). {_FIX}"
                )
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
        yield rest


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bare(model: str) -> str:
    return model.casefold().rpartition("/")[2].removesuffix(":latest")


def _message(turn: Turn) -> dict[str, Any]:
    if turn.picture is None:
        return {"role": turn.role, "content": turn.text}
    png = base64.b64encode(cv2.imencode(".png", turn.picture[..., ::-1])[1].tobytes()).decode()
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png}"}}
    return {"role": turn.role, "content": [picture, {"type": "text", "text": turn.text}]}
