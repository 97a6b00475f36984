"""Frozen features of a model that others have trained on public data, from a local folder and without the network."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from personare.core.errors import MissingModelError, OptionError, extra
from personare.core.types import Array

_ROWS = 16  # recordings that pass through the model together; bounds the memory


def describe(values: Array, folder: str) -> Array:
    """Describe each recording by the mean and deviation of a frozen model's last layer, (N, D) float32 of length 1.

    The model is read from the folder alone (no download, no code from the folder) and learns nothing from the people
    described, so what it says of one recording depends on that recording alone and costs no privacy.

    ``values`` are (N, T, 1) sound at the model's rate, (N, 1, F, T) spectrograms, (N, 3, H, W) pictures in [0, 1] or
    [0, 255], or (N,) text. The folder is that of a transformers model (``config.json``, ``model.safetensors``,
    tokenizer for text): Wav2Vec2, HuBERT, WavLM, Whisper, AST, ViT, DINOv2, BERT, RoBERTa, CLIP and others with the
    same inputs.
    """
    with extra("pretrained", "A pretrained encoder"):
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging
    if not (Path(folder) / "config.json").is_file():
        raise MissingModelError(f"{folder} must hold a transformers model (config.json and weights); it does not.")
    before = logging.get_verbosity()
    logging.set_verbosity_error()  # its progress bars and reports belong in nobody's study
    logging.disable_progress_bar()
    try:
        model: Any = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError) as error:
        raise MissingModelError(f"{folder} cannot be read as a transformers model: {error}") from error
    finally:
        logging.set_verbosity(before)
        logging.enable_progress_bar()
    if getattr(model.config, "is_encoder_decoder", False):
        model = model.get_encoder()
    else:  # of a model of pictures and text, the half that reads this modality
        model = getattr(model, "text_model" if values.dtype.kind == "U" else "vision_model", model)
    model, expected = model.eval(), getattr(model, "main_input_name", "input_ids")
    spectrogram = values.ndim == 4 and values.shape[1] == 1
    fitting = {
        "input_ids": values.dtype.kind == "U",
        "input_values": spectrogram or (values.ndim == 3 and values.shape[2] == 1),
        "input_features": spectrogram,
        "pixel_values": values.ndim == 4 and values.shape[1] == 3,
    }
    if not fitting.get(expected):
        raise OptionError(
            f"The model in {folder} takes {expected}, which cannot be made of arrays {values.dtype} {values.shape}: "
            "choose a model of this modality."
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True) if expected == "input_ids" else None
    except (OSError, ValueError) as error:
        raise MissingModelError(f"{folder} must hold the tokenizer of its model: {error}") from error
    parts = [np.zeros((0, 2 * model.config.hidden_size), dtype=np.float32)]
    for first in range(0, len(values), _ROWS):
        inputs = _inputs(values[first : first + _ROWS], expected, model.config, tokenizer)
        with torch.inference_mode():
            layer = model(**inputs).last_hidden_state  # (B, L, D)
        mask = inputs.get("attention_mask", torch.ones(layer.shape[:2]))[:, :, None].float()
        mean = (layer * mask).sum(dim=1) / mask.sum(dim=1)
        spread = (((layer - mean[:, None]) ** 2 * mask).sum(dim=1) / mask.sum(dim=1)).sqrt()
        parts.append(functional.normalize(torch.cat([mean, spread], dim=1), dim=1).numpy())  # (B, 2 D)
    return np.concatenate(parts)


def _inputs(rows: Array, expected: str, config: Any, tokenizer: Any) -> dict[str, Tensor]:
    """Return what a model takes of some recordings."""
    if tokenizer:
        most = min(128, int(tokenizer.model_max_length))
        return dict(tokenizer(rows.tolist(), padding=True, truncation=True, max_length=most, return_tensors="pt"))
    x = torch.from_numpy(rows).float()
    if rows.ndim == 3:
        return {expected: _standardized(x[:, :, 0])}
    if expected == "pixel_values":
        x = torch.where(x.amax(dim=(1, 2, 3), keepdim=True) > 1.5, x / 255, x)  # each by itself, not its neighbors
        size = (int(config.image_size), int(config.image_size))
        return {expected: functional.interpolate(x, size=size, mode="bilinear", antialias=True) * 2 - 1}
    # bands and frames are fitted to those the model was built for: (B, T, F) for AST, (B, F, T) for Whisper
    bands = int(getattr(config, "num_mel_bins", None) or rows.shape[2])
    frames = int(getattr(config, "max_length", 0) or 2 * getattr(config, "max_source_positions", 0) or rows.shape[3])
    x = functional.interpolate(x, size=(bands, rows.shape[3]), mode="bilinear")
    x = _standardized(x)[:, 0, :, :frames]  # (B, F, T)
    x = functional.pad(x, (0, frames - x.shape[2]))
    return {expected: x if getattr(config, "model_type", "") == "whisper" else x.transpose(1, 2)}


def _standardized(x: Tensor) -> Tensor:
    """Give every recording mean 0 and deviation 1, as most models of sound expect."""
    axes = tuple(range(1, x.ndim))
    return (x - x.mean(dim=axes, keepdim=True)) / (x.std(dim=axes, keepdim=True) + 1e-5)
