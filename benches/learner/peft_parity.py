"""Adapters in PEFT's own hands: ours opened by peft, peft's opened by us, merged ones by transformers.

    stilld train sft --model BASE --data FILE --out OUT --lora-rank 8
    python benches/learner/peft_parity.py --stilld stilld --base BASE --out OUT

Told are the largest differences of log-probabilities over a few hundred tokens, in nats.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def texts(vocabulary):
    return [[(place * 7919 + text * 104729) % vocabulary for place in range(64)] for text in range(4)]


def of_still(stilld, ids, model, adapter=None):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps({"token_ids": row}) + "\n" for row in ids)
        file.flush()
        command = [stilld, "score", "--model", model, "--input", file.name, "--json"]
        command += ["--adapter", adapter] if adapter else []
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return torch.tensor([json.loads(line)["log_probabilities"] for line in done.stdout.splitlines()])


@torch.no_grad()
def of_torch(model, ids):
    ids = torch.tensor(ids)
    found = torch.log_softmax(model(ids).logits.float(), -1)
    return found[:, :-1].gather(2, ids[:, 1:, None])[..., 0]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    for name in ["stilld", "base", "out"]:
        arguments.add_argument(f"--{name}", required=True)
    given = arguments.parse_args()
    fresh = lambda: AutoModelForCausalLM.from_pretrained(given.base, dtype=torch.float32)
    base = fresh()
    ids = texts(base.config.vocab_size)
    adapter = str(Path(given.out) / "adapter")
    distance = lambda one, two: (one - two).abs().max().item()

    plain = of_torch(base, ids)
    theirs = of_torch(PeftModel.from_pretrained(base, adapter), ids)
    ours = of_still(given.stilld, ids, given.base, adapter)
    merged = of_torch(AutoModelForCausalLM.from_pretrained(given.out, dtype=torch.float32), ids)
    print(f"the adapter changes log-probabilities by up to  {distance(plain, theirs):.3e}")
    print(f"our adapter, peft beside stilld --adapter       {distance(theirs, ours):.3e}")
    print(f"our merged folder, transformers beside peft     {distance(theirs, merged):.3e}")

    torch.manual_seed(0)
    made = get_peft_model(fresh(), LoraConfig(r=4, lora_alpha=16, target_modules=TARGETS, task_type="CAUSAL_LM"))
    for name, parameter in made.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, 0, 0.02)
    with tempfile.TemporaryDirectory() as folder:
        made.save_pretrained(folder)
        read = of_still(given.stilld, ids, given.base, folder)
    expected = of_torch(made, ids)
    print(f"peft's adapter changes them by up to            {distance(plain, expected):.3e}")
    print(f"peft's adapter, peft beside stilld --adapter    {distance(expected, read):.3e}")


if __name__ == "__main__":
    main()
