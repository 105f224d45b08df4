#!/usr/bin/env bash
# Times this verifier and Math-Verify on the labelled sample, one after the other in one run, and prints the ratio.
# Builds its own Python environment on first use. VENV names another place for it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${VENV:-$here/.venv}
if [ ! -x "$venv/bin/python" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet 'math-verify==0.9.0'
fi
ours=$(cd "$here/../.." && cargo bench --quiet --bench judge)
peer=$("$venv/bin/python" "$here/time_peer.py" "$here/../../tests/fixtures/grading_sample.jsonl" 2>/dev/null)
echo "still-verify: $ours"
echo "Math-Verify:  $peer"
python3 - "$ours" "$peer" <<'PYTHON'
import json
import re
import sys

median = float(re.search(r"median ([0-9.]+) us", sys.argv[1]).group(1))
p99 = float(re.search(r"p99 ([0-9.]+) us", sys.argv[1]).group(1))
peer = json.loads(sys.argv[2])
warm = peer["warm_median_us"]
print(f"ratio: median {peer['median_us'] / median:.0f}x (warm {warm / median:.0f}x), p99 {peer['p99_us'] / p99:.0f}x")
PYTHON
