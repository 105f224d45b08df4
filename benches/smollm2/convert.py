#!/usr/bin/env python3
"""Writes the GGUF file of a Llama model with SmolLM2's tokenizer as a Hugging Face folder.

    convert.py MODEL.gguf FOLDER

FOLDER gets the weights in f32, FOLDER/bf16 the same rounded to bf16. What to mind in a GGUF file:

- A matrix's shape is written in reverse; its bytes are row-major [out, in] all the same.
- The rows of attn_q and attn_k are permuted, head by head, from halves (Hugging Face) to pairs (llama.cpp).
- SmolLM2's tokenizer splits digits one by one before the byte-level BPE ("smollm").
"""

import json
import pathlib
import sys

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize

NAMES = {
    "attn_norm.weight": "input_layernorm.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "attn_q.weight": "self_attn.q_proj.weight",
    "attn_k.weight": "self_attn.k_proj.weight",
    "attn_v.weight": "self_attn.v_proj.weight",
    "attn_output.weight": "self_attn.o_proj.weight",
    "ffn_gate.weight": "mlp.gate_proj.weight",
    "ffn_up.weight": "mlp.up_proj.weight",
    "ffn_down.weight": "mlp.down_proj.weight",
}
OUTER_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
# kinds of tokens: control tokens and those that users defined
ADDED = (3, 4)


def main(source, folder):
    reader = GGUFReader(source)
    field = lambda key: reader.fields[key].contents()
    if field("general.architecture") != "llama" or field("tokenizer.ggml.pre") != "smollm":
        sys.exit(f"{source}: not a Llama model with SmolLM2's tokenizer")
    tensors = weights(reader, field)
    tokenizer = tokenizer_files(field)
    for target, dtype in ((folder, "float32"), (folder / "bf16", "bfloat16")):
        target.mkdir(parents=True, exist_ok=True)
        config = model_config(field, "lm_head.weight" not in tensors, dtype)
        for name, content in {"config.json": config, **tokenizer}.items():
            (target / name).write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
        save(target / "model.safetensors", tensors, dtype)


def weights(reader, field):
    tensors = {}
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        values = values.reshape([int(size) for size in reversed(tensor.shape)])
        if tensor.name.endswith("attn_q.weight"):
            values = halves(values, int(field("llama.attention.head_count")))
        elif tensor.name.endswith("attn_k.weight"):
            values = halves(values, int(field("llama.attention.head_count_kv")))
        tensors[hugging_face_name(tensor.name)] = np.ascontiguousarray(values)
    return tensors


def hugging_face_name(name):
    if name in OUTER_NAMES:
        return OUTER_NAMES[name]
    _, layer, rest = name.split(".", 2)
    return f"model.layers.{layer}.{NAMES[rest]}"


def halves(values, head_count):
    half = values.shape[0] // head_count // 2
    return values.reshape(head_count, half, 2, -1).swapaxes(1, 2).reshape(values.shape)


def save(path, tensors, dtype):
    """The safetensors format: the header's length, the header, the tensors. (numpy has no bf16 to hand its package.)"""

    def data(values):
        if dtype == "float32":
            return values
        bits = values.view(np.uint32)
        # to the nearest, ties to even
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)

    tag, size = {"float32": ("F32", 4), "bfloat16": ("BF16", 2)}[dtype]
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, values in tensors.items():
        start, end = end, end + values.size * size
        header[name] = {"dtype": tag, "shape": list(values.shape), "data_offsets": [start, end]}
    header = json.dumps(header).encode()
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as file:
        file.write(len(header).to_bytes(8, "little"))
        file.write(header)
        for values in tensors.values():
            data(values).tofile(file)


def special_ids(field):
    names = ("bos", "eos", "padding", "unknown")
    return [int(field(f"tokenizer.ggml.{name}_token_id")) for name in names]


def model_config(field, is_tied, dtype):
    start, end, padding, _ = special_ids(field)
    epsilon = float(field("llama.attention.layer_norm_rms_epsilon"))
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": int(field("llama.vocab_size")),
        "hidden_size": int(field("llama.embedding_length")),
        "intermediate_size": int(field("llama.feed_forward_length")),
        "num_hidden_layers": int(field("llama.block_count")),
        "num_attention_heads": int(field("llama.attention.head_count")),
        "num_key_value_heads": int(field("llama.attention.head_count_kv")),
        "head_dim": int(field("llama.rope.dimension_count")),
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": 0.0,
        "max_position_embeddings": int(field("llama.context_length")),
        # an f32 in the file
        "rms_norm_eps": float(f"{epsilon:.3g}"),
        "rope_theta": float(field("llama.rope.freq_base")),
        "rope_scaling": None,
        "tie_word_embeddings": is_tied,
        "bos_token_id": start,
        "eos_token_id": end,
        "pad_token_id": padding,
        "torch_dtype": dtype,
    }


def tokenizer_files(field):
    tokens, kinds = field("tokenizer.ggml.tokens"), field("tokenizer.ggml.token_type")
    start, end, padding, unknown = special_ids(field)
    traits = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [
        {"id": id, "content": token, **traits}
        for id, (token, kind) in enumerate(zip(tokens, kinds))
        if kind in ADDED
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    named = {
        "bos_token": tokens[start],
        "eos_token": tokens[end],
        "pad_token": tokens[padding],
        "unk_token": tokens[unknown],
    }
    return {
        "tokenizer.json": {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": added,
            "normalizer": None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, byte_level]},
            "post_processor": None,
            "decoder": {**byte_level, "add_prefix_space": True},
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": False,
                "vocab": {token: id for id, token in enumerate(tokens)},
                "merges": list(field("tokenizer.ggml.merges")),
            },
        },
        "tokenizer_config.json": {
            **named,
            "tokenizer_class": "GPT2TokenizerFast",
            "add_prefix_space": False,
            "clean_up_tokenization_spaces": False,
            "model_max_length": int(field("llama.context_length")),
            "chat_template": field("tokenizer.chat_template"),
        },
        "special_tokens_map.json": named,
        "generation_config.json": {"bos_token_id": start, "eos_token_id": end, "pad_token_id": padding},
    }


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
