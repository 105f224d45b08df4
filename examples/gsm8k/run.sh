#!/usr/bin/env bash
# Makes a small language model better at GSM8K by its own exploration, on the CPU. The same command goes on where it was
# stopped, and prints the results at its end.
#
#   examples/gsm8k/run.sh FOLDER [--full] [--dpo] [--ablations] [-- SETTING=VALUE ...]
#
# FOLDER gets data, policies and results. MODEL names another model than Qwen2.5-Coder-0.5B-Instruct: a folder, or
# `hf:owner/name`. GSM8K (MIT licence) is fetched, unless FOLDER holds its train.jsonl and test.jsonl.
#   --full       more problems, three rounds and the whole test split: some five hours on two cores
#   --dpo        after the rounds of SFT, one of DPO on pairs of the same pool, in a copy of the data directory
#   --ablations  after the rounds, by as many steps, in copies again: the pool's right answers as they are selected, at
#                random, right or wrong, and what was imitated alone
set -euo pipefail
usage() {
    sed -n '2,14s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
[ $# -ge 1 ] || usage
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
problems=120 imitated=120 dev=60 test=200 rounds=1 dpo= ablations= settings=()
equal=(round.init=imitated training.improvement.steps=60)
while [ $# -gt 0 ]; do
    case $1 in
    --full)
        problems=720 imitated=240 dev=100 test=1319
        rounds=3
        settings+=(run.rounds=3 round.problems=240 round.init=base)
        settings+=(training.imitation.steps=80 training.improvement.steps=240)
        equal=()
        ;;
    --dpo) dpo=yes ;;
    --ablations) ablations=yes ;;
    --)
        shift
        settings+=("$@")
        break
        ;;
    *) usage ;;
    esac
    shift
done
model=${MODEL:-hf:Qwen/Qwen2.5-Coder-0.5B-Instruct}
settings+=("model.source=$model")

for split in train test; do
    if [ ! -f "$folder/$split.jsonl" ]; then
        curl --fail --location --silent --show-error --output "$folder/$split.part" \
            "https://raw.githubusercontent.com/openai/grade-school-math/master/grade_school_math/data/$split.jsonl"
        mv "$folder/$split.part" "$folder/$split.jsonl"
    fi
done
# what is explored, what is imitated, what gates and what is only reported have no problem in common
head -n "$problems" "$folder/train.jsonl" >"$folder/problems.jsonl"
sed -n "$((problems + 1)),$((problems + imitated))p" "$folder/train.jsonl" >"$folder/imitated.jsonl"
tail -n "$dev" "$folder/train.jsonl" >"$folder/dev.jsonl"
head -n "$test" "$folder/test.jsonl" >"$folder/held-out.jsonl"
cp "$here/gsm8k.toml" "$folder/gsm8k.toml"

(cd "$here/../.." && cargo build --release --locked --bins)
stilld=${CARGO_TARGET_DIR:-$here/../../target}/release/stilld
arguments=()
for setting in "${settings[@]}"; do arguments+=(--set "$setting"); done

cd "$folder"
# what is imitated at first: right answers of the model's own
system=$(sed -n 's/^system = "\(.*\)"$/\1/p' gsm8k.toml | sed 's/\\\\/\\/g')
"$stilld" generate --model "$model" --problems imitated.jsonl --count 4 --style chat --system "$system" --format none \
    --precision bf16 --temperature 0.8 --top-p 0.95 --max-new-tokens 256 --out own.jsonl
"$stilld" distill --config gsm8k.toml --set teacher.keep=2 --problems imitated.jsonl --responses own.jsonl \
    --out demonstrations.jsonl
"$stilld" run --config gsm8k.toml --data-dir data "${arguments[@]}"
"$stilld" inspect results --data-dir data

# a copy of the data directory: NAME
copy() {
    [ ! -d "$1" ] || return 0
    rm -rf "$1.part"
    mkdir "$1.part"
    cp -r data/store "$1.part/store"
    # policies are gigabytes that never change: they lie on the disk once
    cp -rl data/checkpoints "$1.part/checkpoints"
    mv "$1.part" "$1"
}
# one round more from the pool as it is, in a copy: NAME [SETTING=VALUE ...]
one_more() {
    local copy=$1 settings=()
    shift
    for setting in "$@"; do settings+=(--set "$setting"); done
    "$stilld" run --config gsm8k.toml --data-dir "$copy" "${arguments[@]}" --set exploration.enabled=false \
        --set "run.rounds=$((rounds + 1))" "${settings[@]}"
    "$stilld" inspect results --data-dir "$copy"
}
if [ -n "$dpo" ]; then
    copy dpo
    one_more dpo round.algorithm=dpo round.preference_init=current
fi
if [ -n "$ablations" ]; then
    for name in selected random unverified demonstrations; do copy "$name"; done
    "$stilld" pool evict --verdict correct --reason "what was imitated alone" --config gsm8k.toml --data-dir demonstrations
    one_more selected selection.keep=none "${equal[@]}"
    one_more random selection.keep=none "${equal[@]}" selection.order=random
    one_more unverified selection.keep=none "${equal[@]}" selection.verified_only=false
    one_more demonstrations selection.keep=none "${equal[@]}"
fi
