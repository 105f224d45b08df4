"""SFT steps of our learner beside PyTorch: same model, same tokens, two threads, alternating.

All sides are processes of their own, started by turns; of each, the median over all timed steps of all turns is told.
Without a model folder it is the quick start's model. Of a folder all parameters are trained, and then adapters of rank
16 beside all seven projections. The peers are a lean decoder in PyTorch, which is faster than the model classes of
transformers, and PEFT on those; `--sides` names others (torch_steps.py tells what they are). The losses of a side must
be ours to a thousandth of a nat, beside adapters, which begin at random, the first: otherwise the script fails. Of sides
that compute in bf16 they are only told, and where `still, bf16` is among the sides they are compared with that.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
RANK = 16
MAX_LOSS_DIFFERENCE = 1e-3
# by side: the code, and whether it computes in bf16
PEERS = {
    "still, bf16": ("still", True),
    "torch": ("lean", False),
    "torch, bf16 autocast": ("lean", True),
    "transformers": ("transformers", False),
    "transformers, bf16 autocast": ("transformers", True),
    "PEFT": ("transformers", False),
    "PEFT, bf16 autocast": ("transformers", True),
}


def main():
    given = parse()
    print("| model | trained | side | tokens/s | step, s | least to most | peak, MiB | first loss | last |")
    print("|---|---|---|---|---|---|---|---|---|")
    if not given.folder:
        quickstart = {"sequences": 16, "tokens": 50, "part_sequences": 16, "warm_up": 2, "steps": 200}
        compare(given, "quickstart", "whole", ["torch"], quickstart | {"rank": 0, "rate": 0.003})
        return
    shape = {name: getattr(given, name) for name in ("sequences", "tokens", "part_sequences", "warm_up", "steps")}
    different = []
    for trained, rank, rate in [("whole", 0, 1e-5), ("adapters", RANK, 1e-4)]:
        is_for = lambda side: side.startswith("still") or side.startswith("PEFT") == (rank > 0)
        sides = [side for side in given.sides if is_for(side)]
        if any(not side.startswith("still") for side in sides):
            different += compare(given, "folder", trained, sides, shape | {"rank": rank, "rate": rate})
    if different:
        sys.exit(f"other losses than ours: {', '.join(different)}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", help="the built bench `steps`", required=True)
    parser.add_argument("--folder", help="a Hugging Face folder of a Llama or a Qwen2 model with tied embeddings")
    parser.add_argument("--sequences", type=int, default=4, help="of a step of the folder's model")
    parser.add_argument("--tokens", type=int, default=256, help="of a sequence of it")
    parser.add_argument("--part-sequences", type=int, default=4, help="that go through it at once, on all sides")
    parser.add_argument("--warm-up", type=int, default=1, help="steps that a process takes before it is timed")
    parser.add_argument("--steps", type=int, default=2, help="timed steps of a process")
    parser.add_argument("--turns", type=int, default=3, help="processes of a side")
    sides = lambda text: text.split("/")
    parser.add_argument("--sides", type=sides, default=["torch", "PEFT"], help=f"of {'/'.join(PEERS)}")
    given = parser.parse_args()
    unknown = [side for side in given.sides if side not in PEERS]
    if unknown:
        parser.error(f"{unknown[0]} is none of {'/'.join(PEERS)}")
    return given


def compare(given, model, trained, peers, shape):
    """Takes steps on all sides by turns and prints what they cost; returns the peers that computed something else."""
    name = Path(given.folder).resolve().name if given.folder else model
    turns = {side: [] for side in ["still", *peers]}
    for _ in range(given.turns):
        for side, found in turns.items():
            code, is_bf16 = PEERS.get(side, ("still", False))
            ours = code == "still"
            found.append(still(given, model, shape | {"bf16": int(is_bf16)}) if ours else peer(given, side, shape))
            step = statistics.median(found[-1]["seconds"])
            print(f"{name}, {trained}, {side}: {step:.4g} s a step", file=sys.stderr, flush=True)
    rates = {}
    for side, found in turns.items():
        seconds = [second for turn in found for second in turn["seconds"]]
        median = statistics.median(seconds)
        rates[side] = found[0]["tokens"] / median
        losses = [f"{found[0]['losses'][at]:.4f}" for at in (0, -1)]
        spread = f"{min(seconds):.4g} to {max(seconds):.4g}"
        peak = f"{max(turn['peak_kib'] for turn in found) / 1024:.0f}"
        cells = [name, trained, side, f"{rates[side]:.0f}", f"{median:.4g}", spread, peak, *losses]
        print("| " + " | ".join(cells) + " |")
    for side in peers:
        ours = "still, bf16" if PEERS[side][1] and "still, bf16" in peers and side != "still, bf16" else "still"
        print(f"| {name} | {trained} | {ours} / {side} | {rates[ours] / rates[side]:.2f} | | | | | |", flush=True)
    return [side for side in peers if given.folder and differs(side, trained, turns["still"][0], turns[side][0])]


def differs(side, trained, ours, theirs):
    """Whether a peer computed something else, which is told."""
    if PEERS[side][1]:
        return False
    compared = list(zip(ours["losses"], theirs["losses"]))[: 1 if trained == "adapters" else None]
    farthest = max(abs(one - other) for one, other in compared)
    print(f"{side}, {trained}: losses {farthest:.1e} from ours at most", file=sys.stderr, flush=True)
    return farthest > MAX_LOSS_DIFFERENCE


def still(given, model, shape):
    arguments = {name: shape[name] for name in ("steps", "warm_up", "sequences", "tokens", "rank", "bf16")}
    arguments["part_tokens"] = shape["part_sequences"] * shape["tokens"]
    if given.folder:
        arguments["rate_millionths"] = round(shape["rate"] * 1e6)
    words = [f"{name}={number}" for name, number in arguments.items()]
    environment = {"STILL_MODEL_FOLDER": given.folder} if given.folder else {}
    return run([given.ours, "--bench", model, *words], environment)


def peer(given, side, shape):
    code, autocast = PEERS[side]
    asked = shape | {"code": code, "autocast": autocast, "folder": given.folder}
    return run([sys.executable, HERE / "torch_steps.py", json.dumps(asked)])


def run(command, environment=None):
    done = subprocess.run(command, env={**os.environ, **(environment or {})}, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command} failed:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
