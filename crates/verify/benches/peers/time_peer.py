"""Grades the labelled sample with Math-Verify and prints one JSON line: median and p99 in microseconds, errors."""

import json
import sys
import time

from math_verify import parse, verify


def main() -> None:
    microseconds = []
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
                # the first round warms caches; verdicts are the same in each
                false_positives += same and not case["equivalent"]
                false_negatives += not same and case["equivalent"]
            else:
                microseconds.append(elapsed)
    microseconds.sort()
    print(
        json.dumps(
            {
                "median_us": microseconds[len(microseconds) // 2],
                "p99_us": microseconds[int(len(microseconds) * 0.99)],
                "false_positives": false_positives,
                "false_negatives": false_negatives,
            }
        )
    )


main()
