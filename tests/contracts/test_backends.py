"""Every file of ``assist/backends`` keeps the contract: answers piece by piece, the same again, and stops when told."""

from contextlib import ExitStack

import pytest
from loopback_server import serving
from tiny_models import tiny_llama, tiny_tokenizer, write_folder, write_gguf

from personare.core import registry
from personare.core.errors import MissingModelError
from personare.core.types import Turn
from personare.features.models import find_model, sha256_of

PACKAGE = "personare.assist.backends"
SYSTEM = "You are a kind, brief assistant.\nProfile: name: Ana\nFacts: The call button is green. It is below."
TURNS = [Turn(role="system", text=SYSTEM), Turn(role="user", text="How do I call?")]
OTHER = [Turn(role="system", text=SYSTEM), Turn(role="user", text="What is below?")]


@pytest.fixture(scope="module", params=list(registry.find(PACKAGE)))
def backend(request, tmp_path_factory):
    """One backend of each file, small and open."""
    folder, stack = tmp_path_factory.mktemp(request.param), ExitStack()
    for package in ("cyllama", "transformers", "gguf") if request.param not in ("template", "loopback") else ():
        pytest.importorskip(package, reason="needs the extra assistant")
    match request.param:
        case "smollm2":
            try:
                find_model("smollm2")
            except MissingModelError as error:
                pytest.skip(str(error))
            options = {}
        case "gguf":
            tokenizer = tiny_tokenizer()
            path = write_gguf(folder / "tiny.gguf", tiny_llama(tokenizer), tokenizer)
            options = {"path": path, "sha256": sha256_of(path), "context_tokens": 512}
        case "transformers_folder":
            tokenizer = tiny_tokenizer()
            options = {"folder": write_folder(folder, tiny_llama(tokenizer), tokenizer)}
        case "loopback":
            server = stack.enter_context(serving())
            options = {"url": server.url}
        case _:
            options = {}
    made = registry.create(PACKAGE, request.param, options)
    with stack:
        yield made
        made.close()


def test_it_answers_in_text_piece_by_piece(backend):
    pieces = list(backend(TURNS, most_tokens=12))
    assert len(pieces) > 1
    assert all(isinstance(piece, str) for piece in pieces)


def test_the_same_turns_get_the_same_answer_whatever_was_asked_before(backend):
    first = list(backend(TURNS, most_tokens=12))
    list(backend(OTHER, most_tokens=3))
    list(backend(TURNS[1:], most_tokens=3))
    assert list(backend(TURNS, most_tokens=12)) == first


def test_it_ends_with_most_tokens(backend):
    short, long = (list(backend(TURNS, most_tokens=most)) for most in (3, 12))
    assert len(short) <= 3 < len(long) <= 12
    assert "".join(long).startswith("".join(short))


def test_closing_the_iterator_stops_it_and_the_next_question_is_answered(backend):
    answer = backend(TURNS, most_tokens=200)
    next(answer)
    answer.close()
    assert next(answer, None) is None
    assert list(backend(OTHER, most_tokens=4))


def test_it_opens_again_after_it_was_closed(backend):
    first = list(backend(TURNS, most_tokens=4))
    backend.close()
    assert list(backend(TURNS, most_tokens=4)) == first


def test_it_says_where_the_words_go(backend):
    assert "this process" in backend.where or "127.0.0.1" in backend.where
