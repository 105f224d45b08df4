"""SFT steps of our learner beside PyTorch: same model sizes, same tokens, two threads, alternating.

Both sides are processes of their own, started by turns; of each, the median over all timed steps of all turns
is told. PyTorch runs a lean decoder (fused projections, scaled_dot_product_attention, fused AdamW, a norm
clipped at 1), which is faster than the model classes of transformers.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

THREADS = 2
WARM_UP_STEPS = 2
PROMPT_TOKENS = 4
# tokens of "1+1=" in the quick start's vocabulary; their values do not matter for speed
PROMPT = [9, 18, 9, 21]
QUICKSTART = {
    "vocab_size": 26, "hidden_size": 64, "intermediate_size": 176, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 4, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
}
# model: sequences, tokens of each, timed steps of a turn
SHAPES = {"quickstart": (16, 50, 200), "folder": (4, 256, 3)}


def tokens(sequences, length, vocabulary):
    """What `steps.rs` trains on."""
    rows = []
    for sequence in range(sequences):
        row = [(place * 7919 + sequence * 104729) % vocabulary for place in range(length)]
        rows.append(PROMPT + row[PROMPT_TOKENS:])
    return rows


def measure_torch(folder, shape):
    import torch
    import torch.nn as nn
    import torch.nn.functional as F

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)

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
            self.width = hidden // self.heads
            self.before = Norm(hidden, c["rms_norm_eps"])
            self.between = Norm(hidden, c["rms_norm_eps"])
            self.qkv = nn.Linear(hidden, (self.heads + 2 * self.groups) * self.width, bias=False)
            self.output = nn.Linear(hidden, hidden, bias=False)
            self.gate_up = nn.Linear(hidden, 2 * c["intermediate_size"], bias=False)
            self.down = nn.Linear(c["intermediate_size"], hidden, bias=False)

        def forward(self, x, cosine, sine):
            batch, length, hidden = x.shape
            fused = self.qkv(self.before(x)).view(batch, length, self.heads + 2 * self.groups, self.width)
            q, k, v = fused.transpose(1, 2).split([self.heads, self.groups, self.groups], 1)

            def rotate(x):
                half = self.width // 2
                return x * cosine + torch.cat([-x[..., half:], x[..., :half]], -1) * sine

            enable_gqa = self.heads != self.groups
            y = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True, enable_gqa=enable_gqa)
            x = x + self.output(y.transpose(1, 2).reshape(batch, length, hidden))
            gate, up = self.gate_up(self.between(x)).chunk(2, -1)
            return x + self.down(F.silu(gate) * up)

    class Decoder(nn.Module):
        def __init__(self, c, length):
            super().__init__()
            self.embedding = nn.Embedding(c["vocab_size"], c["hidden_size"])
            self.blocks = nn.ModuleList([Block(c) for _ in range(c["num_hidden_layers"])])
            self.norm = Norm(c["hidden_size"], c["rms_norm_eps"])
            width = c["hidden_size"] // c["num_attention_heads"]
            turns = c["rope_theta"] ** (-torch.arange(0, width, 2).float() / width)
            angles = torch.arange(length).float()[:, None] * turns
            self.register_buffer("cosine", torch.cat([angles.cos()] * 2, -1), False)
            self.register_buffer("sine", torch.cat([angles.sin()] * 2, -1), False)

        def forward(self, ids):
            x = self.embedding(ids)
            for block in self.blocks:
                x = block(x, self.cosine[: ids.shape[1]], self.sine[: ids.shape[1]])
            return self.norm(x)

    sequences, length, steps = shape
    config = dict(QUICKSTART)
    if folder:
        config = json.loads((Path(folder) / "config.json").read_text())
        config.setdefault("rope_theta", (config.get("rope_parameters") or {}).get("rope_theta", 10000.0))
    model = Decoder(config, length)
    if folder:
        load(model, folder)
    else:
        for parameter in model.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, 0, config["hidden_size"] ** -0.5)
    ids = torch.tensor(tokens(sequences, length, config["vocab_size"]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.98), fused=True)
    wanted = slice(PROMPT_TOKENS - 1, length - 1)
    seconds, losses = [], []
    for step in range(steps + WARM_UP_STEPS):
        begun = time.perf_counter()
        hidden = model(ids[:, :-1])[:, wanted]
        logits = (hidden @ model.embedding.weight.T).flatten(0, 1)
        loss = F.cross_entropy(logits, ids[:, PROMPT_TOKENS:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        if step >= WARM_UP_STEPS:
            seconds.append(time.perf_counter() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "losses": losses, "tokens": ids.numel(), "peak_kib": peak}


def load(model, folder):
    import torch
    from safetensors.torch import load_file

    found = load_file(Path(folder) / "model.safetensors")
    part = lambda layer, name: found[f"model.layers.{layer}.{name}.weight"].float()
    with torch.no_grad():
        model.embedding.weight.copy_(found["model.embed_tokens.weight"])
        model.norm.weight.copy_(found["model.norm.weight"])
        for index, block in enumerate(model.blocks):
            joined = lambda names: torch.cat([part(index, name) for name in names])
            block.before.weight.copy_(part(index, "input_layernorm"))
            block.between.weight.copy_(part(index, "post_attention_layernorm"))
            block.qkv.weight.copy_(joined([f"self_attn.{name}_proj" for name in "qkv"]))
            block.output.weight.copy_(part(index, "self_attn.o_proj"))
            block.gate_up.weight.copy_(joined(["mlp.gate_proj", "mlp.up_proj"]))
            block.down.weight.copy_(part(index, "mlp.down_proj"))


def run(command, environment=None):
    done = subprocess.run(command, env={**os.environ, **(environment or {})}, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command} failed:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--ours", help="the built bench `steps`")
    arguments.add_argument("--folder", help="a Hugging Face folder of a Llama model")
    arguments.add_argument("--turns", type=int, default=5)
    arguments.add_argument("--torch", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.torch:
        folder = given.folder if given.torch == "folder" else None
        return print(json.dumps(measure_torch(folder, SHAPES[given.torch])))
    print("| model | side | tokens/s | step, ms | ms, least to most | peak, MiB | first loss |")
    print("|---|---|---|---|---|---|---|")
    for model in ["quickstart"] + (["folder"] if given.folder else []):
        environment = {"STILL_MODEL_FOLDER": given.folder} if given.folder else {}
        steps = str(SHAPES[model][2])
        sides = {
            "still": lambda: run([given.ours, "--bench", model, steps], environment),
            "torch": lambda: run(
                [sys.executable, __file__, "--torch", model] + (["--folder", given.folder] if given.folder else [])
            ),
        }
        turns = {side: [] for side in sides}
        for _ in range(given.turns):
            for side, measure in sides.items():
                turns[side].append(measure())
        rates = {}
        for side, found in turns.items():
            seconds = [second for turn in found for second in turn["seconds"]]
            median = statistics.median(seconds)
            rates[side] = found[0]["tokens"] / median
            spread = f"{min(seconds) * 1e3:.1f} to {max(seconds) * 1e3:.1f}"
            peak = max(turn["peak_kib"] for turn in found) / 1024
            loss = found[0]["losses"][0]
            print(f"| {model} | {side} | {rates[side]:.0f} | {median * 1e3:.1f} | {spread} | {peak:.0f} | {loss:.4f} |")
        print(f"| {model} | still / torch | {rates['still'] / rates['torch']:.2f} | | | | |", flush=True)


if __name__ == "__main__":
    main()
