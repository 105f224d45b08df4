#!/usr/bin/env bash
# Our learner beside PyTorch on this machine's processor, in one run, alternating.
#
#   benches/learner/run.sh [MODEL_FOLDER [OPTION ...]]
#
# MODEL_FOLDER is a Hugging Face folder of a Llama or a Qwen2 model, such as SmolLM2-135M; without one, the quick start's
# model is measured. The options are those of compare.py. The Python environment is made once, in the target
# folder.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
environment=${STILL_BENCH_VENV:-$target/bench-learner-venv}
if [ ! -x "$environment/bin/python" ]; then
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet -r benches/learner/requirements.txt
fi
ours=$(cargo bench -p still-learning --bench steps --no-run --message-format json 2>/dev/null |
    "$environment/bin/python" -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("target", {}).get("name") == "steps" and message.get("executable"):
        print(message["executable"])')
exec "$environment/bin/python" benches/learner/compare.py --ours "$ours" ${1:+--folder "$1"} "${@:2}"
