#!/usr/bin/env bash
# Writes the seed corpora from the tables of the tests: corpus/read, corpus/compare and corpus/judge.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p corpus/read corpus/compare corpus/judge
awk -F'\t' '
  /^# / || NF < 2 { next }
  { at++
    read = sprintf("corpus/read/%05d", at); printf "%s", $2 > read; close(read)
    pair = sprintf("corpus/compare/%05d", at); printf "%s\n%s", $1, $2 > pair; close(pair) }
' ../tests/equivalence.tsv ../tests/adversarial.tsv ../tests/variations.tsv
python3 - <<'PYTHON'
import json
import pathlib

tables = ("extraction.jsonl", "context.jsonl", "fixtures/grading_sample.jsonl", "fixtures/grading_failures_2026_11.jsonl")
lines = [line for table in tables for line in pathlib.Path("../tests", table).read_text(encoding="utf-8").splitlines()]
for at, line in enumerate(lines):
    case = json.loads(line)
    pathlib.Path(f"corpus/judge/{at:05}").write_text(case["prediction"], encoding="utf-8")
    # what stands in the one box of an answer, beside its gold
    answer = case["prediction"].removeprefix("$\\boxed{").removesuffix("}$")
    if "\n" not in case["gold"] + answer:
        pathlib.Path(f"corpus/read/j{at:05}").write_text(answer, encoding="utf-8")
        pathlib.Path(f"corpus/compare/j{at:05}").write_text(f"{case['gold']}\n{answer}", encoding="utf-8")
PYTHON
