"""llama.cpp as a worker: `worker_llama_cpp.py MODEL.gguf THREADS ROWS SLOT_TOKENS`.

The protocol is that of crates/rollout/examples/worker.rs. It drives llama.cpp's C interface, one `llama_decode` a step, as
llama.cpp's own batched bench does; the queue refills the place of a row that ends.
"""

import ctypes
import sys
import time

import llama_cpp as api
import numpy

BATCH_TOKENS = 512


def main():
    path, threads, rows, slot_tokens = sys.argv[1:]
    quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
    api.llama_log_set(quiet, None)
    api.llama_backend_init()
    model = api.llama_model_load_from_file(path.encode(), api.llama_model_default_params())
    settings = api.llama_context_default_params()
    settings.n_ctx = int(rows) * int(slot_tokens)
    settings.n_seq_max = int(rows)
    settings.n_batch = settings.n_ubatch = BATCH_TOKENS
    settings.n_threads = settings.n_threads_batch = int(threads)
    context = api.llama_init_from_model(model, settings)
    if not context:
        sys.exit(f"llama.cpp cannot run {path}")
    vocabulary = api.llama_vocab_n_tokens(api.llama_model_get_vocab(model))
    worker = Worker(context, vocabulary, int(rows))
    print("ready", flush=True)
    for line in sys.stdin:
        kind, *rest = line.split()
        print(*getattr(worker, kind)(*rest), flush=True)


class Worker:
    def __init__(self, context, vocabulary, rows):
        self.context, self.vocabulary, self.rows, self.next = context, vocabulary, rows, 0
        self.batch = api.llama_batch_init(BATCH_TOKENS, 0, 1)

    def prompt(self, length):
        """The same ids as the other workers'."""
        ids = [(self.next * 7919 + place * 31 + 3) % self.vocabulary for place in range(length)]
        self.next += 1
        return ids

    def forget(self):
        api.llama_memory_clear(api.llama_get_memory(self.context), False)

    def step(self, entries):
        """Runs (token, position, row, wants logits) and returns the likeliest next token of each that wants it."""
        batch = self.batch
        batch.n_tokens = len(entries)
        for index, (token, position, row, wants_logits) in enumerate(entries):
            batch.token[index], batch.pos[index] = token, position
            batch.n_seq_id[index], batch.seq_id[index][0] = 1, row
            batch.logits[index] = wants_logits
        if api.llama_decode(self.context, batch) != 0:
            sys.exit("llama_decode failed")
        api.llama_synchronize(self.context)
        drawn = []
        for index, (_, _, _, wants_logits) in enumerate(entries):
            if wants_logits:
                logits = api.llama_get_logits_ith(self.context, index)
                drawn.append(int(numpy.ctypeslib.as_array(logits, (self.vocabulary,)).argmax()))
        return drawn

    def run_prompts(self, prompts):
        """The first token after every prompt; the row of a prompt is its place."""
        entries = [
            (token, position, row, position + 1 == len(prompt))
            for row, prompt in enumerate(prompts)
            for position, token in enumerate(prompt)
        ]
        drawn = []
        for first in range(0, len(entries), BATCH_TOKENS):
            drawn += self.step(entries[first : first + BATCH_TOKENS])
        return drawn

    def greedy(self, new, *prompt):
        """The likeliest tokens after a prompt."""
        self.forget()
        drawn = self.run_prompts([list(map(int, prompt))])
        while len(drawn) < int(new):
            drawn += self.step([(drawn[-1], len(prompt) + len(drawn) - 1, 0, True)])
        return drawn

    def decode(self, batch, prompt, steps):
        self.forget()
        batch, prompt, steps = int(batch), int(prompt), int(steps)
        tokens = self.run_prompts([self.prompt(prompt) for _ in range(batch)])
        start = time.perf_counter()
        for position in range(prompt, prompt + steps):
            tokens = self.step([(token, position, row, True) for row, token in enumerate(tokens)])
        return time.perf_counter() - start, batch * steps

    def prefill(self, batch, prompt):
        self.forget()
        prompts = [self.prompt(int(prompt)) for _ in range(int(batch))]
        start = time.perf_counter()
        self.run_prompts(prompts)
        return time.perf_counter() - start, int(batch) * int(prompt)

    def queue(self, *requests):
        self.forget()
        requests = [tuple(map(int, request.split(":"))) for request in requests]
        waiting = [(self.prompt(prompt), new) for prompt, new in reversed(requests)]
        memory = api.llama_get_memory(self.context)
        rows = {}
        start = time.perf_counter()
        while waiting or rows:
            entries, order = [], []
            for row, (token, position, _) in rows.items():
                entries.append((token, position, row, True))
                order.append(row)
            free = [row for row in range(self.rows) if row not in rows]
            while free and waiting and len(entries) + len(waiting[-1][0]) <= BATCH_TOKENS:
                (prompt, new), row = waiting.pop(), free.pop(0)
                entries += [(token, at, row, at + 1 == len(prompt)) for at, token in enumerate(prompt)]
                rows[row] = (0, len(prompt) - 1, new)
                order.append(row)
            for row, token in zip(order, self.step(entries)):
                _, position, left = rows.pop(row)
                if left > 1:
                    rows[row] = (token, position + 1, left - 1)
                else:
                    api.llama_memory_seq_rm(memory, row, -1, -1)
        return time.perf_counter() - start, sum(new for _, new in requests)


main()
