"""Writes pairs of answers with labels, one JSON object a line: `generate.py COUNT SEED [SHARE OF SHARES] [--kind NAME]`.

Every kind gets the same number of pairs. A proven pair is spelled several times, each time by two other hands; no two
lines are the same.
"""

import argparse
import json
import random
import sys

from kinds import KINDS
from spelling import Style

# powers and factorials may have any number of digits
sys.set_int_max_str_digits(0)

SPELLINGS = 12
LONGEST = 4_000
PATIENCE = 400


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("seed", type=int)
    parser.add_argument("--share", type=int, default=0, help="which share of the pairs, from 0")
    parser.add_argument("--shares", type=int, default=1, help="how many shares there are")
    parser.add_argument("--kind", help="only this kind")
    options = parser.parse_args()
    names = [options.kind] if options.kind else list(KINDS)
    for place, name in enumerate(names):
        due = options.count * (place + 1) // len(names) - options.count * place // len(names)
        due = due * (options.share + 1) // options.shares - due * options.share // options.shares
        draw = random.Random(f"{options.seed} {options.share} {name}")
        for line in lines(name, due, draw):
            sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")


def lines(name, due, draw):
    """The given number of lines of a kind, or fewer if it runs out of new ones."""
    seen = set()
    stale = 0
    while due and stale < PATIENCE:
        stale += 1
        for pair in KINDS[name](draw):
            for _ in range(SPELLINGS):
                gold, answer = pair.spelled(Style(draw), Style(draw))
                # what nobody writes out, and no verifier reads
                if max(len(gold), len(answer)) > LONGEST:
                    continue
                if (gold, answer) in seen or (pair.change == "spelling" and gold == answer):
                    continue
                seen.add((gold, answer))
                yield {
                    "gold": framed_gold(gold, draw) if pair.answer_kind == "math" else gold,
                    "prediction": answer if pair.whole else framed(answer, draw),
                    "kind": pair.answer_kind,
                    "equivalent": pair.equivalent,
                    "family": name,
                    "change": pair.change,
                    "proof": pair.proof,
                }
                due -= 1
                stale = 0
                if not due:
                    return


def framed_gold(text, draw):
    """A gold as data sets have it: mostly bare, sometimes as a formula."""
    return draw.choice((text,) * 12 + (f"${text}$", f"\\({text}\\)", f"\\displaystyle {text}", f" {text} "))


def framed(text, draw):
    """A solution with the answer in a box."""
    inside = draw.choice((text,) * 12 + (f" {text} ", f"\\displaystyle {text}", f"{{{text}}}", f"{text}."))
    before, after = draw.choice(
        (
            ("$", "$"),
            ("$", "$"),
            ("", ""),
            ("The answer is $", "$."),
            ("\\[", "\\]"),
            ("\\(", "\\)"),
            ("$$\n", "\n$$"),
            ("Hence we find $", "$"),
        )
    )
    return f"{before}\\boxed{{{inside}}}{after}"


main()
