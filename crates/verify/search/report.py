"""Holds the verdicts against the labels: `report.py PAIRS VERDICTS [PAIRS VERDICTS ...] [--list FILE]`.

Prints the confusion matrix by kind as a Markdown table and every false positive. Ends with an error if there is one, or
if more than 0.5 % of the equal pairs of a kind were refused.
"""

import argparse
import collections
import json
import sys

LIMIT = 0.005


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", help="pairs and their verdicts, in turn")
    parser.add_argument(
        "--list", help="where every pair that was judged wrongly goes, one JSON object a line"
    )
    options = parser.parse_args()
    table = collections.defaultdict(collections.Counter)
    proofs = collections.Counter()
    wrong = []
    for pairs, verdicts in zip(options.files[::2], options.files[1::2], strict=True):
        with open(pairs, encoding="utf-8") as labelled, open(verdicts, encoding="utf-8") as judged:
            for pair, verdict in zip(labelled, judged, strict=True):
                pair, verdict = json.loads(pair), json.loads(verdict)["verdict"]
                accepted = verdict == "correct"
                table[pair["family"]][pair["equivalent"], accepted] += 1
                proofs[pair["equivalent"], pair["proof"]] += 1
                if accepted != pair["equivalent"]:
                    wrong.append({**pair, "verdict": verdict})
    if options.list:
        with open(options.list, "w", encoding="utf-8") as listed:
            listed.writelines(json.dumps(pair, ensure_ascii=False) + "\n" for pair in wrong)
    print_table(table)
    print()
    print(
        "Labels: "
        + ", ".join(
            f"{count:,} {'equal' if equal else 'different'} by {proof}"
            for (equal, proof), count in sorted(proofs.items())
        )
        + "."
    )
    false_positives = [pair for pair in wrong if not pair["equivalent"]]
    for pair in false_positives[:1000]:
        print(
            f"false positive ({pair['family']}, {pair['change']}): gold {pair['gold']!r}, prediction {pair['prediction']!r}"
        )
    missing = any(row[True, False] > LIMIT * (row[True, True] + row[True, False]) for row in table.values())
    sys.exit(bool(false_positives) or missing)


def print_table(table):
    """The confusion matrix, kinds in the order of the file, all of them at the end."""
    print("| kind | equal | of them refused | different | of them accepted |")
    print("|---|--:|--:|--:|--:|")
    whole = collections.Counter()
    for row in table.values():
        whole.update(row)
    for name, row in [*table.items(), ("**all**", whole)]:
        equal, different = row[True, True] + row[True, False], row[False, True] + row[False, False]
        share = f" ({row[True, False] / equal:.2%})" if row[True, False] else ""
        print(f"| {name} | {equal:,} | {row[True, False]:,}{share} | {different:,} | {row[False, True]:,} |")


main()
