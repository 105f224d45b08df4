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

lines = [line for table in ("extraction.jsonl", "fixtures/grading_sample.jsonl")
         for line in pathlib.Path("../tests", table).read_text(encoding="utf-8").splitlines()]
for at, line in enumerate(lines):
    pathlib.Path(f"corpus/judge/{at:05}").write_text(json.loads(line)["prediction"], encoding="utf-8")
PYTHON
