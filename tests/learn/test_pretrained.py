"""Tiny random models of several families, saved on the spot, read back from their folder alone."""

import sys

import numpy as np
import pytest

from personare.core.errors import MissingModelError, OptionError
from personare.learn.multimodal import Encoding
from personare.learn.pretrained import describe

transformers = pytest.importorskip("transformers")

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "so", "happy", "sad", "no"]
TEXT = np.array(["so happy", "no", "sad sad sad so"])
SOUND = np.random.default_rng(0).normal(size=(3, 4000, 1)).astype(np.float32)
PICTURES = np.random.default_rng(0).random(size=(3, 3, 40, 40)).astype(np.float32)
MEL = np.random.default_rng(0).normal(size=(3, 1, 20, 50)).astype(np.float32)


def wav2vec2():
    convolutions = {"conv_dim": (8, 8), "conv_stride": (10, 4), "conv_kernel": (20, 8), "num_feat_extract_layers": 2}
    extra = {"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
    return transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**SMALL, **convolutions, **extra))


def vit():
    return transformers.ViTModel(transformers.ViTConfig(**SMALL, image_size=32, patch_size=8))


def bert():
    return transformers.BertModel(transformers.BertConfig(**SMALL, vocab_size=len(WORDS)))


def clip():
    text = {**SMALL, "vocab_size": len(WORDS), "max_position_embeddings": 32}
    return transformers.CLIPModel(
        transformers.CLIPConfig(text_config=text, vision_config={**SMALL, "image_size": 32, "patch_size": 8})
    )


def whisper():
    halves = {f"{half}_{name}": n for half in ("encoder", "decoder") for name, n in (("layers", 1), ("ffn_dim", 32))}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    sizes = {"d_model": 16, "num_mel_bins": 16, "max_source_positions": 30, "vocab_size": 20, "pad_token_id": 0}
    ends = {"bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    return transformers.WhisperModel(transformers.WhisperConfig(**halves, **heads, **sizes, **ends))


FAMILIES = {
    "wav2vec2": (wav2vec2, SOUND),
    "vit": (vit, PICTURES),
    "bert": (bert, TEXT),
    "clip_vision": (clip, PICTURES),
    "clip_text": (clip, TEXT),
    "whisper": (whisper, MEL),
}


def saved(make, folder):
    make().save_pretrained(folder, safe_serialization=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=16).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_describes_each_recording_by_itself(family, tmp_path):
    make, values = FAMILIES[family]
    folder = saved(make, tmp_path)
    found = describe(values, folder)
    assert found.shape == (3, 32)
    assert found.dtype == np.float32
    assert np.allclose(np.square(found).sum(axis=1), 1, atol=1e-5)
    assert np.allclose(found[1:2], describe(values[1:2], folder), atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 1e-4
    assert np.array_equal(found, describe(values, folder))


def test_serves_as_an_encoder(tmp_path):
    folder = saved(vit, tmp_path)
    encoding = Encoding.of("face", PICTURES, {"face": f"pretrained:{folder}"})
    assert (encoding.kind, encoding.described) == ("pretrained", 32)
    assert encoding.network(width=8, dropout=0.0)(encoding.prepare(PICTURES)).shape == (3, 8)


def test_a_model_of_another_modality_is_refused(tmp_path):
    with pytest.raises(OptionError, match="a model of this modality"):
        describe(SOUND, saved(vit, tmp_path))


def test_a_broken_folder_is_told(tmp_path):
    saved(vit, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(MissingModelError, match="cannot be read"):
        describe(PICTURES, str(tmp_path))


def test_without_transformers_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingModelError, match=r"personare\[pretrained\]"):
        describe(PICTURES, str(tmp_path))
