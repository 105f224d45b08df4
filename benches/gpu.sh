#!/usr/bin/env bash
# All there is to see on a GPU: parity with the processor, exhaustion of memory, decoding speed, steady steps,
# training steps.
#
#   benches/gpu.sh build         builds target/gpu/gpu_bench (needs cargo, and the network once: docs/gpu.md)
#   benches/gpu.sh run [OUT]     runs target/gpu/gpu_bench.gz on a machine with a GPU and no toolchain; lines of
#                                JSON go to OUT/<check>.jsonl (OUT: target/gpu/out), what failed is named at the end
#   benches/gpu.sh try [OUT]     tries the program itself on the processor, with tiny models
#
# DEVICE (cuda:0) names the GPU, BANDWIDTH (3350, GB/s: an H100 SXM) its memory's bandwidth, LIMIT (540) the
# seconds of one check, CHECKS the checks to run.
set -uo pipefail
cd "$(dirname "$0")/.."

folder=target/gpu
device=${DEVICE:-cuda:0}
bandwidth=${BANDWIDTH:-3350}
limit=${LIMIT:-540}

build() {
    set -e
    cargo build --release --locked --features cuda --example gpu_bench
    mkdir -p "$folder"
    cp "${CARGO_TARGET_DIR:-target}/release/examples/gpu_bench" "$folder/"
    # a folder that travels is small
    strip "$folder/gpu_bench"
    gzip -9 --keep --force "$folder/gpu_bench"
    ls -l "$folder"
}

# kernels are compiled on the machine that runs them: NVRTC and the CUDA headers must be found
find_cuda() {
    local header
    [ -n "${CUDA_PATH:-}" ] && return
    for header in /usr/local/cuda*/include/cuda_fp16.h \
        /usr/lib/python3*/site-packages/nvidia/cuda_runtime/include/cuda_fp16.h \
        /usr/local/lib/python3*/dist-packages/nvidia/cuda_runtime/include/cuda_fp16.h; do
        [ -e "$header" ] || continue
        CUDA_PATH=$(dirname "$(dirname "$header")")
        export CUDA_PATH
        break
    done
    local library
    for library in /usr/local/cuda*/lib64 /usr/local/lib/python3*/dist-packages/nvidia/cuda_nvrtc/lib; do
        [ -d "$library" ] && export LD_LIBRARY_PATH="$library:${LD_LIBRARY_PATH:-}"
    done
    echo "CUDA_PATH=${CUDA_PATH:-not found}" >&2
}

run() {
    local program=$1 device=$2 out=$3 failed=()
    shift 3
    mkdir -p "$out"
    for check in "$@"; do
        local began=$SECONDS
        timeout "$limit" "$program" "$device" "$check" "$bandwidth" >"$out/$check.jsonl" 2>"$out/$check.err"
        local ended=$?
        if [ "$ended" = 0 ]; then
            echo "$check: sound ($((SECONDS - began)) s)"
        else
            failed+=("$check")
            echo "$check: FAILED with $ended ($((SECONDS - began)) s)"
            tail -n 5 "$out/$check.err"
        fi
        cat "$out/$check.jsonl"
    done
    if [ ${#failed[@]} -gt 0 ]; then
        echo "failed: ${failed[*]}"
        return 1
    fi
}

case "${1:-}" in
build) build ;;
run)
    find_cuda
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
    program=$(mktemp -d)/gpu_bench
    gzip -dc "$folder/gpu_bench.gz" >"$program" && chmod +x "$program"
    # shellcheck disable=SC2086 # a list of words
    run "$program" "$device" "${2:-$folder/out}" ${CHECKS:-parity memory decode-0.5b steady-0.5b decode-7b steady-7b train-7b}
    ;;
try)
    program=${CARGO_TARGET_DIR:-target}/release/examples/gpu_bench
    [ -x "$program" ] || cargo build --release --locked --example gpu_bench || exit 1
    # whether steps are steady says nothing on a processor that others use too
    run "$program" cpu "${2:-$folder/trial}" parity memory decode-tiny train-tiny
    ;;
*)
    sed -n '2,12s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
