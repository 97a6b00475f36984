"""A small server on loopback that speaks as OpenAI's do, and misbehaves when told to."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


def event(text: str) -> bytes:
    """One piece of an answer."""
    return b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n"


def words(handler: BaseHTTPRequestHandler, question: dict) -> None:
    """Answer with the words of the last turn, one a piece, as many as are asked for."""
    said = question["messages"][-1]["content"].split()
    handler.wfile.write(b": a remark\n\n")
    for word in (said * 100)[: question["max_tokens"]]:
        handler.wfile.write(event(word + " "))
    handler.wfile.write(b'data: {"choices": []}\n\ndata: [DONE]\n\n')


class Server(ThreadingHTTPServer):
    """Keeps what was asked."""

    daemon_threads = True
    answer: Callable[[BaseHTTPRequestHandler, dict], None] = staticmethod(words)
    tags: bytes | None = None
    asked: list[dict]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves early is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.send_response(404 if self.server.tags is None else 200)
        self.end_headers()
        self.wfile.write(self.server.tags or b"")

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(question)
        if self.server.answer is words:
            self.send_response(200)
            self.end_headers()
        self.server.answer(self, question)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[Server]:
    """Run the server until the block ends."""
    with Server(("127.0.0.1", 0), _Handler) as server:
        server.asked = []
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
