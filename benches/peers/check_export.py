"""Loads exported folders in transformers and compares their logits: `check_export.py EXPORT_PROGRAM FOLDER ...`.

Every folder is read and written again by `hugging_face::save_folder`, as f32 in one file, as f32 in shards and as bf16.
The f32 ones must give the logits of the folder that they came from; the bf16 one those of the folder that transformers
itself rounds to bf16. Prints the largest differences and fails when one is not zero.
"""

import pathlib
import subprocess
import sys
import tempfile

import torch
from transformers import AutoConfig, AutoModelForCausalLM

SHARDS = 4


def main():
    program, folders = sys.argv[1], [pathlib.Path(folder) for folder in sys.argv[2:]]
    torch.set_num_threads(2)
    print("| model | export | files | largest difference of a logit |")
    print("|---|---|---|---|")
    different = False
    for folder in folders:
        size = sum(file.stat().st_size for file in folder.glob("model*.safetensors"))
        exports = [("f32", 1 << 62), ("f32", size // SHARDS), ("bf16", 1 << 62)]
        for precision, shard_bytes in exports:
            with tempfile.TemporaryDirectory() as out:
                subprocess.run([program, folder, out, precision, str(shard_bytes)], check=True)
                found = logits(out, torch.float32)
                expected = logits(folder, torch.float32, rounded=precision == "bf16")
                difference = (found - expected).abs().max().item()
                files = len(list(pathlib.Path(out).glob("model*.safetensors")))
            print(f"| {folder.name} | {precision} | {files} | {difference:g} |", flush=True)
            different |= difference > 0
    if different:
        sys.exit("an export does not give the logits of its model")


def logits(folder, dtype, rounded=False):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16 if rounded else dtype).to(dtype).eval()
    vocabulary = AutoConfig.from_pretrained(folder).vocab_size
    ids = torch.tensor([[(row * 7919 + place * 31 + 3) % vocabulary for place in range(24)] for row in range(3)])
    with torch.inference_mode():
        return model(input_ids=ids).logits


main()
