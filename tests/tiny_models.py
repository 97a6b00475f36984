"""Tiny random language models for tests, made in memory: as a folder of transformers, and the same as a GGUF file."""

from pathlib import Path

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXTS = ["You are a kind, brief assistant.", "Profile: name: Ana", "Facts: The call button is green.", "How do I call?"]


def tiny_tokenizer(*more: str, template: str = CHAT):
    """Train a byte-level BPE of about 300 tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    special = ["<unk>", "<|im_start|>", "<|im_end|>", *more]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    words.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        unk_token="<unk>",
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        chat_template=template,
    )


def tiny_llama(tokenizer, seed: int = 0):
    """Make a random Llama of two layers, whose answers vary."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config).eval()


def write_folder(folder: Path, model, tokenizer) -> Path:
    """Save a model as transformers does."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def write_gguf(path: Path, model, tokenizer) -> Path:
    """Write a Llama as llama.cpp's converter does: the halves of a head that turn together lie side by side."""
    import json

    import gguf

    config, words = model.config, json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    special = set(tokenizer.all_special_tokens)
    tokens = sorted(words["vocab"], key=words["vocab"].get)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in words["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template(tokenizer.chat_template)
    weights = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    writer.add_tensor("token_embd.weight", weights["model.embed_tokens.weight"])
    writer.add_tensor("output_norm.weight", weights["model.norm.weight"])
    writer.add_tensor("output.weight", weights["lm_head.weight"])
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for layer in range(config.num_hidden_layers):
        for theirs, name in NAMES.items():
            value = weights[f"model.layers.{layer}.{theirs}.weight"]
            if name in heads:
                value = value.reshape(heads[name], 2, -1, value.shape[1]).swapaxes(1, 2).reshape(value.shape)
            writer.add_tensor(f"blk.{layer}.{name}.weight", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tiny_seeing(kind: str):
    """Make a random model that sees, and its processor: ``paligemma``, ``llava``, ``idefics3`` or ``smolvlm``."""
    import torch
    import transformers as t

    torch.manual_seed(0)
    text = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    text |= {"num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 2048, "initializer_range": 0.3}
    eye = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
    eye |= {"image_size": 28, "patch_size": 14}  # 4 patches
    side = {"height": 28, "width": 28}
    part = "{{ '<image>' if part['type'] == 'image' else part['text'] }}"
    template = CHAT.replace("{{ message['content'] }}", "{% for part in message['content'] %}" + part + "{% endfor %}")
    if kind == "paligemma":
        tokenizer = tiny_tokenizer(template=None)
        image = t.SiglipImageProcessorPil(size=side)
        image.image_seq_length = 4
        processor = t.PaliGemmaProcessor(image, tokenizer)  # adds its tokens of places and outlines
        config = t.PaliGemmaConfig(
            text_config={"model_type": "gemma2", "vocab_size": len(tokenizer), **text},
            vision_config={"model_type": "siglip_vision_model", "projection_dim": 32, **eye},
            image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
            projection_dim=32,
        )
        model = t.PaliGemmaForConditionalGeneration(config)
    elif kind == "llava":
        tokenizer = tiny_tokenizer("<image>", template=template)
        processor = t.LlavaProcessor(
            t.CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size=side),
            tokenizer,
            patch_size=14,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=template,
        )
        config = t.LlavaConfig(
            text_config={"model_type": "llama", "vocab_size": len(tokenizer), **text},
            vision_config={"model_type": "clip_vision_model", "projection_dim": 32, **eye},
            image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
            vision_feature_layer=-1,
        )
        model = t.LlavaForConditionalGeneration(config)
    else:
        marks = ["<fake_token_around_image>", "<global-img>", "<image>", "<end_of_utterance>"]
        marks += [f"<row_{row}_col_{column}>" for row in range(1, 3) for column in range(1, 3)]
        tokenizer = tiny_tokenizer(*marks, template=template)
        sizes = {"size": {"longest_edge": 28}, "max_image_size": {"longest_edge": 28}, "do_image_splitting": False}
        image = t.Idefics3ImageProcessorPil(**sizes)
        processor = t.Idefics3Processor(image, tokenizer, image_seq_len=1, chat_template=template)
        config = t.Idefics3Config(
            text_config={"model_type": "llama", "vocab_size": len(tokenizer), "pad_token_id": 2, **text},
            vision_config={"model_type": "idefics3_vision", **eye},
            image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
            scale_factor=2,
        )
        model = t.Idefics3ForConditionalGeneration(config)
    return model.eval(), processor
