"""Writes a folder of a Llama or a Qwen2 model as a GGUF file: `gguf_from_folder.py MODEL_FOLDER OUT.gguf f32|f16|bf16`.

It has no vocabulary: the workers exchange ids. Of a Llama model llama.cpp keeps query and key rows interleaved, head by
head, where transformers keeps the halves of a head apart; Qwen2's it keeps as they are.
"""

import json
import pathlib
import sys

import gguf
import numpy
from safetensors import safe_open

MODEL_TYPES = ("llama", "qwen2")
MATRIX_TYPES = {
    "f32": gguf.GGMLQuantizationType.F32,
    "f16": gguf.GGMLQuantizationType.F16,
    "bf16": gguf.GGMLQuantizationType.BF16,
}
LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def main():
    folder, out, precision = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    config = json.loads((folder / "config.json").read_text())
    model_type = config["model_type"]
    if model_type not in MODEL_TYPES:
        sys.exit(f"{folder}: only {' and '.join(MODEL_TYPES)} can be written as GGUF here, not {model_type}")
    heads, key_heads = config["num_attention_heads"], config["num_key_value_heads"]
    width = config.get("head_dim") or config["hidden_size"] // heads
    writer = gguf.GGUFWriter(out, model_type)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(key_heads)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(config.get("rope_theta") or config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    for file in sorted(folder.glob("model*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():
                if name == "lm_head.weight" and config.get("tie_word_embeddings"):
                    continue
                values = tensors.get_tensor(name).float().numpy()
                if model_type == "llama" and ".q_proj." in name:
                    values = interleaved(values, heads)
                if model_type == "llama" and ".k_proj." in name:
                    values = interleaved(values, key_heads)
                kind = MATRIX_TYPES[precision if values.ndim == 2 else "f32"]
                writer.add_tensor(gguf_name(name), gguf.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_name(name):
    outer = {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight",
    }
    if name in outer:
        return outer[name]
    _, _, layer, rest = name.split(".", 3)
    part, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{LAYER_NAMES[part]}.{kind}"


def interleaved(values, heads):
    halves = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return numpy.ascontiguousarray(halves.swapaxes(1, 2).reshape(values.shape))


main()
