#!/usr/bin/env python3
"""Rates of this engine beside those of transformers on torch and of llama.cpp, in one run.

    benches/peers/run.py MODEL_FOLDER [--threads 2] [--repetitions 5] [--measures decode,prefill,queue]
                         [--peers transformers,llama.cpp] [--decode-prompt 64] [--decode-steps 96,48,24]
                         [--queue-requests 64] [--rows 32] [--venv DIR] [--export-check FOLDER ...]

MODEL_FOLDER is a Hugging Face folder of a Llama or a Qwen2 model, such as HuggingFaceTB/SmolLM2-135M. The script needs
Python 3.10, cargo and, for llama.cpp, a C++ compiler: it makes an environment of its own (under target/peers unless
--venv names one) and installs requirements.txt there. A peer that cannot be installed or started is named and left out.

Every engine is a process that waits for a line while the others work; they take turns, so that whatever else the
machine does meets all of them. Printed are medians and their ratios, as Markdown tables.

Before anything is timed, all continue a sentence by the likeliest tokens. Those whose weights are f32 must agree on
every token, or the script fails at its end; of those that compute in 16 bits it is told how far they agree.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BATCHES = (1, 8, 32)
# In SmolLM2-135M and Qwen2.5-Coder-0.5B the likeliest token is ahead of the next by 0.036 at least.
GREEDY_TEXT, GREEDY_TOKENS = "The planets of the solar system, in order: Mercury, Venus, Earth,", 24
PREFILL_PROMPT = 128
QUEUE_PROMPT, QUEUE_NEW = (16, 64), (32, 512)


def main():
    arguments = parse()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    python = environment(arguments.venv or target / "peers" / "venv", arguments.peers)
    programs = build(target)
    if arguments.export_check:
        check = [python, HERE / "check_export.py", programs["export"], *arguments.export_check]
        sys.exit(subprocess.run(check).returncode)
    config = json.loads((arguments.model / "config.json").read_text())
    engines = start(arguments, python, programs["worker"], target / "peers")
    print(f"{arguments.model.name}: {config['num_hidden_layers']} layers, width {config['hidden_size']}; ", end="")
    print(f"{arguments.threads} threads of {processor()}; {arguments.repetitions} repetitions in turns", flush=True)
    different = disagreement(engines, sentence(python, arguments.model))
    for title, unit, cases in measures(arguments):
        table(title, unit, cases, engines, arguments.repetitions)
    limits(engines)
    print("\n| engine | peak resident memory |\n|---|---|")
    for engine in engines:
        print(f"| {engine.name} | {engine.peak_gib():.2f} GiB |")
    for engine in engines:
        engine.stop()
    if different:
        sys.exit(different)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--measures", default="decode,prefill,queue", type=lambda text: text.split(","))
    parser.add_argument("--peers", default="transformers,llama.cpp", type=lambda text: text.split(","))
    numbers = lambda text: list(map(int, text.split(",")))
    parser.add_argument("--decode-prompt", type=int, default=64, help="tokens that are there before the first step")
    parser.add_argument("--decode-steps", default="96,48,24", type=numbers, help=f"at {BATCHES} rows")
    parser.add_argument("--queue-requests", type=int, default=64)
    parser.add_argument("--rows", type=int, default=32, help="rows that an engine decodes together at most")
    parser.add_argument("--venv", type=pathlib.Path)
    parser.add_argument("--export-check", type=pathlib.Path, nargs="+", metavar="FOLDER")
    arguments = parser.parse_args()
    if not (arguments.model / "config.json").is_file():
        parser.error(f"{arguments.model} is no Hugging Face folder: it has no config.json")
    return arguments


def environment(folder, peers):
    """The interpreter of an environment that holds the peers; made at the first run."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    if subprocess.run([python, "-c", "import gguf, torch, transformers"], capture_output=True).returncode != 0:
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", HERE / "requirements.txt"], check=True)
    has_llama = lambda: subprocess.run([python, "-c", "import llama_cpp"], capture_output=True).returncode == 0
    if "llama.cpp" in peers and not has_llama():
        # built here, for the instruction set of this machine
        install = [python, "-m", "pip", "install", "--quiet", "llama-cpp-python"]
        if subprocess.run(install).returncode != 0:
            print("llama.cpp could not be built; it is left out", file=sys.stderr)
    return python


def build(target):
    """The example programs, by name."""
    build = ["cargo", "build", "--release", "--quiet"]
    subprocess.run([*build, "-p", "still-rollout", "--example", "worker"], cwd=ROOT, check=True)
    subprocess.run([*build, "-p", "still-decoder", "--example", "export"], cwd=ROOT, check=True)
    return {name: target / "release" / "examples" / name for name in ("worker", "export")}


def start(arguments, python, worker, scratch):
    """The engines that could be started, ours first."""
    model, threads, rows = arguments.model, str(arguments.threads), str(arguments.rows)
    slot = str(QUEUE_PROMPT[1] + QUEUE_NEW[1] + 64)
    # a bf16 folder is kept so anyway; as given it is widened as it is read, which is exact, and multiplied in f32
    commands = {
        "still, f32": [worker, model, "as-given", threads, rows, slot],
        "still, bf16": [worker, model, "bf16", threads, rows, slot],
    }
    has_bf16 = is_bf16(model)
    if "transformers" in arguments.peers:
        for precision in ("f32", "bf16") if has_bf16 else ("f32",):
            command = [python, HERE / "worker_transformers.py", model, precision, threads, rows]
            commands[f"transformers, {precision}"] = command
    if "llama.cpp" in arguments.peers:
        # 16 bits that round no weight
        for precision in ("f32", "bf16" if has_bf16 else "f16"):
            gguf = scratch / f"{model.resolve().name}.{precision}.gguf"
            if not gguf.exists():
                scratch.mkdir(parents=True, exist_ok=True)
                subprocess.run([python, HERE / "gguf_from_folder.py", model, gguf, precision], check=True)
            command = [python, HERE / "worker_llama_cpp.py", gguf, threads, rows, slot]
            commands[f"llama.cpp, {precision}"] = command
    engines = [Engine(name, command) for name, command in commands.items()]
    return [engine for engine in engines if engine.is_ready()]


def is_bf16(model):
    config = json.loads((model / "config.json").read_text())
    return config.get("dtype", config.get("torch_dtype")) == "bfloat16"


class Engine:
    """A worker process."""

    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def is_ready(self):
        line = self.process.stdout.readline().strip()
        if line != "ready":
            print(f"{self.name} did not start; it is left out", file=sys.stderr)
        return line == "ready"

    def ask(self, line):
        """The words of the answer to a line."""
        print(line, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline().split()
        if not answer:
            sys.exit(f"{self.name} ended at `{line[:60]}`")
        return answer

    def rate(self, line):
        """Tokens a second."""
        seconds, tokens = map(float, self.ask(line))
        return tokens / seconds

    def peak_gib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / (1 << 20)

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def sentence(python, model):
    """The ids of a short prompt."""
    encode = "import sys, tokenizers; print(*tokenizers.Tokenizer.from_file(sys.argv[1]).encode(sys.argv[2]).ids)"
    command = [python, "-c", encode, model / "tokenizer.json", GREEDY_TEXT]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def disagreement(engines, prompt):
    """Has all engines draw the likeliest tokens after a prompt; returns what those of f32 weights do not agree on."""
    drawn = {engine.name: engine.ask(f"greedy {GREEDY_TOKENS} {prompt}") for engine in engines}
    expected = drawn[engines[0].name]
    print(f"\n| engine | of {GREEDY_TOKENS} greedy tokens as still's |\n|---|---|")
    different = []
    for name, tokens in drawn.items():
        first = next((at for at, pair in enumerate(zip(tokens, expected)) if pair[0] != pair[1]), len(expected))
        agrees = len(tokens) == len(expected) == first
        print(f"| {name} | {'all' if agrees else f'the first {first}'} |", flush=True)
        if not agrees and name.endswith(", f32"):
            different.append(f"{name}: {' '.join(tokens)}")
    if not different:
        return None
    return "\n".join(["engines of f32 weights do not agree", f"still: {' '.join(expected)}", *different])


def measures(arguments):
    """Title, unit and cases (heading, line, most repetitions) of every measure."""
    batches = [batch for batch in BATCHES if batch <= arguments.rows]
    steps = dict(zip(BATCHES, arguments.decode_steps))
    decode = [(f"batch {batch}", f"decode {batch} {arguments.decode_prompt} {steps[batch]}") for batch in batches]
    prefill = [(f"batch {batch}", f"prefill {batch} {PREFILL_PROMPT}") for batch in batches]
    draw = random.Random(0)
    lengths = [(draw.randint(*QUEUE_PROMPT), draw.randint(*QUEUE_NEW)) for _ in range(arguments.queue_requests)]
    queue = "queue " + " ".join(f"{prompt}:{new}" for prompt, new in lengths)
    heading = f"{arguments.queue_requests} requests, {arguments.rows} rows"
    tables = {
        "decode": (f"Decode after {arguments.decode_prompt} tokens", "tokens/s", decode),
        "prefill": (f"Prefill of {PREFILL_PROMPT} tokens", "tokens/s", prefill),
        "queue": (f"Queue of {QUEUE_NEW[0]} to {QUEUE_NEW[1]} new tokens", "useful tokens/s", [(heading, queue)]),
    }
    return [tables[name] for name in arguments.measures]


def table(title, unit, cases, engines, repetitions):
    """Measures the cases on all engines in turns and prints medians and ratios."""
    medians = {engine.name: [] for engine in engines}
    for _, line in cases:
        # the queue is long enough to be its own average, and too long to warm up with
        is_queue = line.startswith("queue")
        rates = {engine.name: [] for engine in engines}
        for repetition in range(repetitions + (not is_queue)):
            for engine in engines:
                rate = engine.rate(line)
                print(f"{engine.name}, {line[:24]}: {rate:.1f}", file=sys.stderr, flush=True)
                if repetition > 0 or is_queue:
                    rates[engine.name].append(rate)
        for name, values in rates.items():
            medians[name].append(statistics.median(values))
    print(f"\n{title}, {unit}:\n")
    print("| engine | " + " | ".join(heading for heading, _ in cases) + " | still, f32 over it |")
    print("|---|" + "---|" * (len(cases) + 1))
    ours = medians[engines[0].name]
    for engine in engines:
        rates = medians[engine.name]
        ratios = " / ".join(f"{own / other:.2f}" for own, other in zip(ours, rates))
        print(f"| {engine.name} | " + " | ".join(f"{rate:.1f}" for rate in rates) + f" | {ratios} |", flush=True)


def limits(engines):
    """What the machine could do at best just now, by torch's own kernels."""
    for engine in engines:
        if engine.name == "transformers, f32":
            bandwidth = max(engine.rate("bandwidth") for _ in range(5)) / 1e9
            products = max(engine.rate("products") for _ in range(5)) / 1e9
            print(f"\nThe machine reads {bandwidth:.1f} GB/s and multiplies matrices at {products:.0f} GFLOP/s.")


def processor():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines() if os.path.exists("/proc/cpuinfo") else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "this machine")


if __name__ == "__main__":
    main()
