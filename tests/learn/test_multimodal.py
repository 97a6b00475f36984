"""Every encoder takes its arrays, reads each recording by itself, and lets gradients through."""

import numpy as np
import pytest
import torch

from personare.core.errors import DataError, MissingModelError, OptionError
from personare.learn.describing import ngrams, tokens
from personare.learn.multimodal import Encoding

RNG = np.random.default_rng(0)
ARRAYS = {
    "table": RNG.normal(size=(6, 9)).astype(np.float32),
    "signal": RNG.normal(size=(6, 30, 4)).astype(np.float32),
    "spectrogram": RNG.normal(size=(6, 1, 24, 40)).astype(np.float32),
    "picture": RNG.random(size=(6, 3, 20, 28)).astype(np.float32),
    "words": np.array(["so happy", "no no no", "", "I was afraid!", "ünïcödé", "a " * 100]),
    "sentence": np.array(["so happy", "no no no", "", "I was afraid!", "ünïcödé", "a " * 100]),
}
NAMED = {"sentence": "transformer"}
KINDS = {"table": "table", "signal": "signal", "spectrogram": "picture", "picture": "picture", "words": "ngrams"}


@pytest.mark.parametrize("modality", ARRAYS)
def test_the_shape_decides_and_recordings_do_not_mix(modality):
    encoding = Encoding.of(modality, ARRAYS[modality], NAMED)
    assert encoding.kind == KINDS.get(modality, "transformer")
    torch.manual_seed(0)
    net = encoding.network(width=16, dropout=0.2).eval()
    whole = net(encoding.prepare(ARRAYS[modality]))
    assert whole.shape == (6, 16)
    assert torch.isfinite(whole).all()
    assert torch.allclose(whole[1:2], net(encoding.prepare(ARRAYS[modality][1:2])), atol=1e-5)
    net.train()
    net(encoding.prepare(ARRAYS[modality])).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


@pytest.mark.parametrize("modality", ARRAYS)
def test_no_layer_mixes_people(modality):
    net = Encoding.of(modality, ARRAYS[modality], NAMED).network(width=16, dropout=0.0)
    assert not any(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in net.modules())


@pytest.mark.parametrize("shape", [(5,), (5, 2, 8, 8), (5, 1, 1, 1, 1)])
def test_arrays_that_mean_nothing_are_refused(shape):
    with pytest.raises(DataError, match="must be a float array"):
        Encoding.of("face", np.zeros(shape, dtype=np.float32), {})


@pytest.mark.parametrize("named", ["picture", "magic", "pretrained"])
def test_encoders_that_do_not_suit_are_refused(named):
    with pytest.raises(OptionError, match="must be one of table, pretrained"):
        Encoding.of("table", ARRAYS["table"], {"table": named})


def test_a_folder_without_a_model_is_told(tmp_path):
    with pytest.raises(MissingModelError, match="must hold a transformers model"):
        Encoding.of("picture", ARRAYS["picture"], {"picture": f"pretrained:{tmp_path}"})


def test_hashes_are_public_the_same_everywhere():
    assert tokens(["joy and fear"], buckets=4096, length=4).tolist() == [[2347, 3796, 2247, 0]]
    rows = ngrams(["so happy", "so happy", "never"], buckets=256)
    assert np.array_equal(rows[0], rows[1])
    assert rows[0] @ rows[2] < 0.5
    assert np.square(rows[0]).sum() == pytest.approx(2)
