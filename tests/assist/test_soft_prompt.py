"""A person's own few thousand numbers: they answer as this person asked, are sealed, and are gone when forgotten."""

import numpy as np
import pytest

pytest.importorskip("transformers", reason="needs the extra assistant")
import torch
from tiny_models import tiny_llama, tiny_tokenizer

from personare.assist.language import Language, collate
from personare.assist.prompting import system_text
from personare.assist.soft_prompt import Correction, SoftPrompt, load, save
from personare.core.errors import DataError, PersonareError
from personare.govern.sealed import Sealed

CORRECTED = [
    Correction(system_text("nothing", [f"Press key {i}."]), f"How do I call number {i}?", f"Press key {i}, my friend.")
    for i in range(6)
]


@pytest.fixture(scope="module")
def language():
    torch.set_num_threads(1)
    tokenizer = tiny_tokenizer()
    return Language(tiny_llama(tokenizer), tokenizer)


def test_answers_that_were_never_corrected_come_closer_to_what_the_person_wants(language):
    method = SoftPrompt(tokens=2)
    before = {name: value.clone() for name, value in language.net.state_dict().items()}
    soft = method.fit(CORRECTED[:5], language=language, rng=np.random.default_rng(0))
    assert soft.shape == (2, language.width)
    last = CORRECTED[5]
    rows = collate([(method.prompt(language, last.system, last.request), language.tokenize_answer(last.answer))])
    plain = collate([(language.prompt(last.system, last.request), language.tokenize_answer(last.answer))])
    with torch.inference_mode():
        own = float(language.losses(rows, torch.from_numpy(soft)[None]))
        assert own < float(language.losses(plain, None)) - 0.5
    assert all(torch.equal(value, language.net.state_dict()[name]) for name, value in before.items())
    with pytest.raises(DataError, match="corrected"):
        method.fit([], language=language, rng=np.random.default_rng(0))


def test_guarantee_it_is_sealed_under_the_persons_key_and_gone_when_that_is_destroyed(tmp_path):
    soft = np.arange(8, dtype=np.float32).reshape(2, 4)
    sealed = Sealed(tmp_path / "vault", "a passphrase that is long")
    save(sealed, "ana", soft)
    assert np.array_equal(load(sealed, "ana"), soft)
    assert not any(soft.tobytes() in path.read_bytes() for path in (tmp_path / "vault").rglob("*") if path.is_file())
    sealed.forget("ana")
    with pytest.raises(PersonareError):
        load(sealed, "ana")
