#!/usr/bin/env bash
# Searches for wrong verdicts: run.sh [COUNT [SEED [JOBS]]] writes COUNT pairs of answers with labels from SymPy, judges
# them, and prints the confusion matrix by kind. Fails if a different answer was accepted or too many equal ones were not.
# Its Python environment, the pairs, and what was judged wrongly (wrong.jsonl) stay in the target folder.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
count=${1:-20000}
seed=${2:-1}
jobs=${3:-$(nproc)}

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/still/target}"
work=$CARGO_TARGET_DIR/search
python=$work/venv/bin/python
if ! "$python" -c 'import sympy; assert sympy.__version__ == "1.14.0"' 2>/dev/null; then
    python3 -m venv --clear "$work/venv"
    "$work/venv/bin/pip" install --quiet 'sympy==1.14.0'
fi
(cd "$here" && cargo build --quiet --release --locked --package still-verify --example grade)

export PYTHONDONTWRITEBYTECODE=1
rm -f "$work"/pairs.*.jsonl "$work"/verdicts.*.jsonl
running=()
for ((share = 0; share < jobs; share++)); do
    "$python" "$here/generate.py" "$count" "$seed" --share "$share" --shares "$jobs" |
        tee "$work/pairs.$share.jsonl" |
        "$CARGO_TARGET_DIR/release/examples/grade" strict >"$work/verdicts.$share.jsonl" &
    running+=($!)
done
for job in "${running[@]}"; do
    wait "$job"
done

files=()
for ((share = 0; share < jobs; share++)); do
    files+=("$work/pairs.$share.jsonl" "$work/verdicts.$share.jsonl")
done
"$python" "$here/report.py" "${files[@]}" --list "$work/wrong.jsonl"
