"""transformers on torch as a worker: `worker_transformers.py MODEL_FOLDER f32|bf16 THREADS ROWS`.

The protocol is that of crates/rollout/examples/worker.rs. Decoding is a bare loop of forward passes over the model's own
cache, which is a little faster than `generate`; the queue goes through `generate` in padded batches of ROWS.
"""

import sys
import time

import torch
from transformers import AutoModelForCausalLM


def main():
    folder, precision, threads, rows = sys.argv[1:]
    torch.set_num_threads(int(threads))
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[precision]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa").eval()
    worker = Worker(model, int(rows))
    print("ready", flush=True)
    for line in sys.stdin:
        kind, *rest = line.split()
        with torch.inference_mode():
            print(*getattr(worker, kind)(*rest), flush=True)


class Worker:
    def __init__(self, model, rows):
        self.model, self.rows, self.next = model, rows, 0
        model.generation_config.eos_token_id = None

    def prompt(self, length):
        """The same ids as the other workers'."""
        ids = [(self.next * 7919 + place * 31 + 3) % self.model.config.vocab_size for place in range(length)]
        self.next += 1
        return ids

    def greedy(self, new, *prompt):
        """The likeliest tokens after a prompt."""
        ids, cache, drawn = torch.tensor([list(map(int, prompt))]), None, []
        for _ in range(int(new)):
            out = self.model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            ids, cache = out.logits[:, -1].argmax(-1, keepdim=True), out.past_key_values
            drawn.append(ids.item())
        return drawn

    def decode(self, batch, prompt, steps):
        ids = torch.tensor([self.prompt(int(prompt)) for _ in range(int(batch))])
        out = self.model(input_ids=ids, use_cache=True, logits_to_keep=1)
        start = time.perf_counter()
        for _ in range(int(steps)):
            ids = out.logits[:, -1].argmax(-1, keepdim=True)
            out = self.model(input_ids=ids, past_key_values=out.past_key_values, use_cache=True)
        return time.perf_counter() - start, int(batch) * int(steps)

    def prefill(self, batch, prompt):
        ids = torch.tensor([self.prompt(int(prompt)) for _ in range(int(batch))])
        start = time.perf_counter()
        out = self.model(input_ids=ids, use_cache=True, logits_to_keep=1)
        out.logits[:, -1].argmax(-1)
        return time.perf_counter() - start, ids.numel()

    def bandwidth(self):
        """Bytes of memory that all threads together read."""
        values = torch.ones(1 << 27)
        start = time.perf_counter()
        values.sum()
        return time.perf_counter() - start, values.numel() * 4

    def products(self):
        """Floating-point operations of a large product."""
        size = 2048
        left, right = torch.rand(size, size), torch.rand(size, size)
        start = time.perf_counter()
        left @ right
        return time.perf_counter() - start, 2 * size**3

    def queue(self, *requests):
        requests = [tuple(map(int, request.split(":"))) for request in requests]
        prompts = [self.prompt(prompt) for prompt, _ in requests]
        start = time.perf_counter()
        for first in range(0, len(requests), self.rows):
            batch = prompts[first : first + self.rows]
            width = max(map(len, batch))
            ids = torch.tensor([[0] * (width - len(row)) + row for row in batch])
            mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in batch])
            longest = max(new for _, new in requests[first : first + self.rows])
            self.model.generate(
                ids,
                attention_mask=mask,
                do_sample=False,
                max_new_tokens=longest,
                min_new_tokens=longest,
                pad_token_id=0,
            )
        # what a row draws beyond its own length is of no use to anyone
        return time.perf_counter() - start, sum(new for _, new in requests)


main()
