"""What PEFT computes beside weights in bf16: the reference of `crates/tensor-decoder/tests/bf16_adapters.rs`.

    python benches/learner/peft_bf16.py crates/decoder/tests/fixtures crates/tensor-decoder/tests/fixtures/bf16_adapters

For each small model of the first folder, its weights rounded to bf16, and for each size of change, the second folder gets
PEFT's adapter and `reference.safetensors`: the tokens, and log-probabilities of all but the first of each sequence with
the gradients of their mean in every factor, once with all numbers in f32 (`exact`) and once as PEFT computes beside a
base in bf16 (`peft`; its factors are f32 as it makes them). A change's size is the largest number of `B A`, scaled.
"""

import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

MODELS = ["llama", "qwen2", "qwen3"]
SIZES = [1e-2, 1e-3, 1e-4, 1e-5]
TARGETS = ["q_proj", "v_proj", "down_proj"]
RANK = 4


def base(folder, dtype):
    """The model in that type, its numbers those of bf16 whatever the type."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="eager").to(dtype)


def adapter(folder, size, out):
    torch.manual_seed(7)
    # `r` and `lora_alpha` are equal, so that the change is B A itself
    config = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=TARGETS, task_type="CAUSAL_LM")
    model = get_peft_model(base(folder, torch.float32), config)
    with torch.no_grad():
        factors = dict(model.named_parameters())
        for name, up in factors.items():
            if "lora_B" in name:
                torch.nn.init.normal_(up)
                up *= size / (up @ factors[name.replace("lora_B", "lora_A")]).abs().max()
    model.save_pretrained(out)
    (out / "README.md").unlink(missing_ok=True)


def computed(folder, adapter_folder, dtype, ids):
    model = PeftModel.from_pretrained(base(folder, dtype), adapter_folder, is_trainable=True)
    model.eval()
    found = torch.log_softmax(model(ids).logits.float(), -1)
    found = found[:, :-1].gather(2, ids[:, 1:, None])[..., 0]
    found.mean().backward()
    gradients = {
        name.removeprefix("base_model.model.").replace(".default", ""): parameter.grad.float()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    return found.detach().flatten(), gradients


def main():
    models, out = map(Path, sys.argv[1:3])
    for name in MODELS:
        for size in SIZES:
            folder = out / f"{name}_{size:.0e}"
            adapter(models / name, size, folder)
            vocabulary = base(models / name, torch.float32).config.vocab_size
            ids = torch.tensor([[(at * 7919 + row * 104729) % vocabulary for at in range(49)] for row in range(8)])
            tensors = {"tokens": ids.to(torch.int32)}
            for kind, dtype in [("exact", torch.float32), ("peft", torch.bfloat16)]:
                found, gradients = computed(models / name, folder, dtype, ids)
                tensors[f"{kind}.log_probabilities"] = found
                tensors |= {f"{kind}.{key}": value.contiguous() for key, value in gradients.items()}
            save_file(tensors, folder / "reference.safetensors")


if __name__ == "__main__":
    main()
