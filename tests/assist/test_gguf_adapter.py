"""A merged model answers as the adapted one does; nothing else of the file changes."""

import numpy as np
import pytest

from personare.assist.gguf_adapter import write_merged
from personare.assist.llama_cpp import OpenModel
from personare.core.errors import DataError
from personare.core.randomness import generator
from personare.core.types import Turn
from personare.features.models import sha256_of

gguf = pytest.importorskip("gguf", reason="needs the extra assistant")
pytest.importorskip("cyllama", reason="needs the extra assistant")
pytest.importorskip("transformers", reason="needs the extra assistant")
from tiny_models import NAMES, tiny_llama, tiny_tokenizer, write_gguf  # noqa: E402

PROJECTIONS = [name for name in NAMES if name.endswith("_proj")]
TURNS = [Turn(role="system", text="Profile: name: Ana"), Turn(role="user", text="How do I call?")]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    tokenizer = tiny_tokenizer()
    model = tiny_llama(tokenizer)
    return write_gguf(tmp_path_factory.mktemp("base") / "base.gguf", model, tokenizer), model, tokenizer


def adapter(model, layers=PROJECTIONS, rank=4):
    rng, pairs = generator(7, "adapter"), {}
    for layer in layers:
        weight = model.get_submodule(f"model.layers.1.{layer}").weight
        a, b = rng.standard_normal((rank, weight.shape[1])), rng.standard_normal((weight.shape[0], rank))
        pairs[f"base_model.model.model.layers.1.{layer}"] = (a.astype(np.float32), b.astype(np.float32))
    return pairs


def said(path):
    model = OpenModel(path, 256, 1, 1.0)
    return "".join(model.answer(TURNS, 12))


def test_a_merged_model_answers_as_transformers_with_the_adapter(base, tmp_path):
    import torch

    path, model, tokenizer = base
    pairs = adapter(model)
    checksum = write_merged(path, tmp_path / "merged.gguf", pairs, scale=0.1)
    assert checksum == sha256_of(tmp_path / "merged.gguf")
    adapted = tiny_llama(tokenizer)
    with torch.no_grad():
        for layer, (a, b) in pairs.items():
            adapted.get_submodule(layer.removeprefix("base_model.model.")).weight += 0.1 * torch.from_numpy(b @ a)
    messages = [{"role": turn.role, "content": turn.text} for turn in TURNS]
    asked = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = adapted.generate(**asked, max_new_tokens=12, do_sample=False)[0, asked["input_ids"].shape[1] :]
    assert said(tmp_path / "merged.gguf") == tokenizer.decode(answer, skip_special_tokens=True).rstrip("\ufffd")
    assert said(tmp_path / "merged.gguf") != said(path)


@pytest.mark.parametrize("layer", PROJECTIONS)
def test_every_projection_changes_by_scale_times_b_a(base, tmp_path, layer):
    path, model, _ = base
    ((_, (a, b)),) = (pairs := adapter(model, [layer])).items()
    write_merged(path, tmp_path / "merged.gguf", pairs, scale=0.5)
    name = f"blk.1.{NAMES[layer]}.weight"
    old, new = ({t.name: t for t in gguf.GGUFReader(p).tensors} for p in (path, tmp_path / "merged.gguf"))
    change = gguf.dequantize(new[name].data, new[name].tensor_type) - old[name].data
    if layer in ("self_attn.q_proj", "self_attn.k_proj"):  # back to the order in transformers: halves one after another
        change = change.reshape(len(change) // 16, 8, 2, -1).swapaxes(1, 2).reshape(change.shape)
    assert np.abs(change - 0.5 * b @ a).max() < 0.02 * np.abs(0.5 * b @ a).max()


def test_every_other_weight_is_copied_bit_by_bit(base, tmp_path):
    path, model, _ = base
    write_merged(path, tmp_path / "merged.gguf", adapter(model, ["mlp.down_proj"]), scale=1.0)
    old, new = gguf.GGUFReader(path), gguf.GGUFReader(tmp_path / "merged.gguf")
    theirs = {name: field.contents() for name, field in new.fields.items()}
    unlike = {name for name, field in old.fields.items() if theirs[name] != field.contents()}
    assert unlike <= {"GGUF.kv_count"}  # the alignment is now stated
    after = {t.name: t.data for t in new.tensors}
    assert [t.name for t in old.tensors if not np.array_equal(t.data, after[t.name])] == ["blk.1.ffn_down.weight"]


@pytest.mark.parametrize(
    ("layer", "columns", "says"),
    [
        ("model.layers.1.mlp.down_proj", 95, "another model's"),
        ("model.layers.9.mlp.down_proj", 96, "adapt only q_proj"),
        ("model.layers.1.mlp.act_fn", 96, "adapt only q_proj"),
        ("lm_head", 64, "adapt only q_proj"),
    ],
)
def test_an_adapter_that_does_not_fit_leaves_nothing(base, tmp_path, layer, columns, says):
    pairs = {layer: (np.ones((2, columns), np.float32), np.ones((64, 2), np.float32))}
    with pytest.raises(DataError, match=says):
        write_merged(base[0], tmp_path / "merged.gguf", pairs, scale=1.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"GGUF", b"\x89PNG and so on" * 9])
def test_what_is_no_model_is_refused(tmp_path, content):
    (tmp_path / "base.gguf").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        write_merged(tmp_path / "base.gguf", tmp_path / "merged.gguf", {}, scale=1.0)
