"""Optimizer steps in PyTorch, as `crates/learning/benches/steps.rs` takes them: `torch_steps.py JSON`.

The JSON object has `code`, `folder` (none for the quick start's model), `sequences`, `tokens`, `part_sequences` (those
that go through the model at once), `warm_up` and `steps`, `rank` (0 trains every parameter), `rate` and `autocast`.
Printed is what `steps.rs` prints.

`code` is `lean`, a decoder with fused projections and scaled_dot_product_attention, or `transformers`, its own model
class, beside which adapters are PEFT's. Both put only those positions through the head that have a target, keep all
activations, and step by fused AdamW after the norm was clipped at 1.
"""

import json
import resource
import sys
import time
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

THREADS = 2
# tokens of "1+1=" in the quick start's vocabulary; their values do not matter for speed
PROMPT = [9, 18, 9, 21]
PROMPT_TOKENS = len(PROMPT)
QUICKSTART = {
    "model_type": "llama", "vocab_size": 26, "hidden_size": 64, "intermediate_size": 176, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 4, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    "tie_word_embeddings": True,
}
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main():
    given = json.loads(sys.argv[1])
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    model, hidden_of, head, vocabulary = {"lean": lean, "transformers": transformers}[given["code"]](given)
    print(json.dumps(measure(given, model, hidden_of, head, vocabulary)))


def tokens(sequences, length, vocabulary):
    """What `steps.rs` trains on."""
    rows = []
    for sequence in range(sequences):
        row = [(place * 7919 + sequence * 104729) % vocabulary for place in range(length)]
        rows.append(PROMPT + row[PROMPT_TOKENS:])
    return rows


def measure(given, model, hidden_of, head, vocabulary):
    ids = torch.tensor(tokens(given["sequences"], given["tokens"], vocabulary))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in trained if parameter.dim() >= 2], "weight_decay": 0.01},
        {"params": [parameter for parameter in trained if parameter.dim() < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    optimizer = torch.optim.AdamW(groups, lr=given["rate"], betas=(0.9, 0.98), fused=True)
    targets = ids[:, PROMPT_TOKENS:].numel()
    seconds, losses = [], []
    for step in range(given["warm_up"] + given["steps"]):
        begun = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        whole = 0.0
        for part in ids.split(given["part_sequences"]):
            with torch.autocast("cpu", torch.bfloat16, enabled=given["autocast"]):
                hidden = hidden_of(part[:, :-1])[:, PROMPT_TOKENS - 1 :]
                logits = F.linear(hidden, head).flatten(0, 1)
                loss = F.cross_entropy(logits, part[:, PROMPT_TOKENS:].flatten(), reduction="sum") / targets
            loss.backward()
            whole += loss.item()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        losses.append(whole)
        if step >= given["warm_up"]:
            seconds.append(time.perf_counter() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "losses": losses, "tokens": ids.numel(), "peak_kib": peak}


def transformers(given):
    from transformers import AutoModelForCausalLM

    folder = given["folder"]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
    body, head, vocabulary = model.model, model.lm_head.weight, model.config.vocab_size
    if given["rank"]:
        from peft import LoraConfig, get_peft_model

        rank = given["rank"]
        settings = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=TARGETS, task_type="CAUSAL_LM")
        model = get_peft_model(model, settings)
    model.train()
    return model, lambda ids: body(input_ids=ids, use_cache=False).last_hidden_state, head, vocabulary


def lean(given):
    folder, config = given["folder"], QUICKSTART
    if folder:
        config = json.loads((Path(folder) / "config.json").read_text())
        config.setdefault("rope_theta", (config.get("rope_parameters") or {}).get("rope_theta", 10000.0))
    if config["model_type"] not in ("llama", "qwen2") or not config.get("tie_word_embeddings"):
        sys.exit(f"{folder}: the lean decoder is a llama or a qwen2 with tied embeddings")
    model = Decoder(config, given["tokens"])
    if folder:
        load(model, folder)
    else:
        for parameter in model.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, 0, config["hidden_size"] ** -0.5)
    return model, model, model.embedding.weight, config["vocab_size"]


class Norm(nn.Module):
    def __init__(self, width, epsilon):
        super().__init__()
        self.weight, self.epsilon = nn.Parameter(torch.ones(width)), epsilon

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.epsilon)


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        hidden, self.heads, self.groups = c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"]
        self.width = c.get("head_dim") or hidden // self.heads
        self.before = Norm(hidden, c["rms_norm_eps"])
        self.between = Norm(hidden, c["rms_norm_eps"])
        rows = (self.heads + 2 * self.groups) * self.width
        self.qkv = nn.Linear(hidden, rows, bias=c["model_type"] == "qwen2")
        self.output = nn.Linear(self.heads * self.width, hidden, bias=False)
        self.gate_up = nn.Linear(hidden, 2 * c["intermediate_size"], bias=False)
        self.down = nn.Linear(c["intermediate_size"], hidden, bias=False)

    def forward(self, x, cosine, sine):
        batch, length, _ = x.shape
        fused = self.qkv(self.before(x)).view(batch, length, self.heads + 2 * self.groups, self.width)
        q, k, v = fused.transpose(1, 2).split([self.heads, self.groups, self.groups], 1)

        def rotate(x):
            half = self.width // 2
            return x * cosine + torch.cat([-x[..., half:], x[..., :half]], -1) * sine

        enable_gqa = self.heads != self.groups
        y = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True, enable_gqa=enable_gqa)
        x = x + self.output(y.transpose(1, 2).reshape(batch, length, -1))
        gate, up = self.gate_up(self.between(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Decoder(nn.Module):
    def __init__(self, c, length):
        super().__init__()
        self.embedding = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.blocks = nn.ModuleList([Block(c) for _ in range(c["num_hidden_layers"])])
        self.norm = Norm(c["hidden_size"], c["rms_norm_eps"])
        width = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
        turns = c["rope_theta"] ** (-torch.arange(0, width, 2).float() / width)
        angles = torch.arange(length).float()[:, None] * turns
        self.register_buffer("cosine", torch.cat([angles.cos()] * 2, -1), False)
        self.register_buffer("sine", torch.cat([angles.sin()] * 2, -1), False)

    def forward(self, ids):
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x, self.cosine[: ids.shape[1]], self.sine[: ids.shape[1]])
        return self.norm(x)


def load(model, folder):
    from safetensors.torch import load_file

    found = load_file(Path(folder) / "model.safetensors")
    part = lambda layer, name: found[f"model.layers.{layer}.{name}"].float()
    with torch.no_grad():
        model.embedding.weight.copy_(found["model.embed_tokens.weight"])
        model.norm.weight.copy_(found["model.norm.weight"])
        for index, block in enumerate(model.blocks):
            joined = lambda names: torch.cat([part(index, name) for name in names])
            block.before.weight.copy_(part(index, "input_layernorm.weight"))
            block.between.weight.copy_(part(index, "post_attention_layernorm.weight"))
            block.qkv.weight.copy_(joined([f"self_attn.{name}_proj.weight" for name in "qkv"]))
            if block.qkv.bias is not None:
                block.qkv.bias.copy_(joined([f"self_attn.{name}_proj.bias" for name in "qkv"]))
            block.output.weight.copy_(part(index, "self_attn.o_proj.weight"))
            block.gate_up.weight.copy_(joined(["mlp.gate_proj.weight", "mlp.up_proj.weight"]))
            block.down.weight.copy_(part(index, "mlp.down_proj.weight"))


main()
