"""Grades the labelled sample with Math-Verify and prints one JSON line: median and p99 in microseconds, errors.

The first pass meets every answer for the first time, as a training run does; in the later ones its caches of
expressions answer for it, which is given as the warm median.
"""

import json
import sys
import time

from math_verify import parse, verify


def main() -> None:
    first, warm = [], []
    verify(parse("$1$"), parse("$\\frac{1}{2}$"))
    false_positives = false_negatives = 0
    with open(sys.argv[1], encoding="utf-8") as lines:
        cases = [json.loads(line) for line in lines]
    for round_index in range(3):
        for case in cases:
            started = time.perf_counter()
            try:
                same = verify(parse("$" + case["gold"] + "$"), parse(case["prediction"]))
            except Exception:  # an exception is no verdict
                same = False
            elapsed = (time.perf_counter() - started) * 1e6
            if round_index == 0:
                false_positives += same and not case["equivalent"]
                false_negatives += not same and case["equivalent"]
            (warm if round_index else first).append(elapsed)
    first.sort()
    warm.sort()
    print(
        json.dumps(
            {
                "median_us": first[len(first) // 2],
                "warm_median_us": warm[len(warm) // 2],
                "p99_us": first[int(len(first) * 0.99)],
                "false_positives": false_positives,
                "false_negatives": false_negatives,
            }
        )
    )


main()
