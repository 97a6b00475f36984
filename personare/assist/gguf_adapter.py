"""Puts what was learned (a low-rank adapter) into a GGUF model, so that llama.cpp answers as the trained model would.

llama.cpp's Python package applies no adapter to an open model, so the adapter is merged into the weights.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from personare.core.atomic import replacing
from personare.core.errors import DataError, data_errors, extra
from personare.core.types import Array
from personare.features.models import sha256_of

_NAME = re.compile(r"layers\.(\d+)\.(?:self_attn|mlp)\.(\w+)$")
_WEIGHTS = {
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}


def write_merged(base: Path, target: Path, pairs: Mapping[str, tuple[Array, Array]], *, scale: float) -> str:
    """Write the model ``base`` with an adapter merged into it, and return the new file's SHA-256.

    ``pairs`` holds A (r, in) and B (out, r) by the layer's name in transformers (``model.layers.3.mlp.down_proj``); its
    weights W become W + ``scale`` B A, in 8 bits (Q8_0). **Guarantee**: every other weight is copied bit by bit, and a
    failure leaves ``target`` as it was.
    """
    with extra("assistant", "Merging"):
        import gguf
    with data_errors(f"{base} cannot be read", "Give a GGUF model of the llama family.", LookupError):
        model = gguf.GGUFReader(base)
        about = {name: field.contents() for name, field in model.fields.items()}
        heads = {"attn_q": about["llama.attention.head_count"], "attn_k": about["llama.attention.head_count_kv"]}
    changes = {}
    for layer, pair in pairs.items():
        match = _NAME.search(layer)
        weight = _WEIGHTS.get(match[2]) if match else None
        name = f"blk.{match and match[1]}.{weight}.weight"
        if not any(tensor.name == name for tensor in model.tensors):
            raise DataError(f"{base.name} has no weights {layer}: adapt only {', '.join(_WEIGHTS)} of its layers.")
        changes[name] = (weight, *pair)
    with replacing(target) as part:
        writer = gguf.GGUFWriter(part, about["general.architecture"])
        writer.add_custom_alignment(model.alignment)
        for name, field in model.fields.items():
            if not name.startswith("GGUF.") and name not in ("general.architecture", "general.alignment"):
                inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
                writer.add_key_value(name, about[name], field.types[0], sub_type=inner)
        for tensor in model.tensors:
            data, kind = tensor.data, tensor.tensor_type
            if tensor.name in changes:
                weight, a, b = changes[tensor.name]
                change = scale * (b.astype(np.float32) @ a.astype(np.float32))  # (out, in)
                old, kind = gguf.dequantize(data, kind), gguf.GGMLQuantizationType.Q8_0
                if change.shape != old.shape:
                    raise DataError(f"{tensor.name} is {old.shape}, its adapter {change.shape}: it is another model's.")
                if weight in heads:  # llama.cpp pairs the halves of a head that are turned together
                    change = change.reshape(heads[weight], 2, -1, old.shape[1]).swapaxes(1, 2).reshape(old.shape)
                data = gguf.quantize(old + change, kind)
            writer.add_tensor(tensor.name, data, raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return sha256_of(target)
