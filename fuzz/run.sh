#!/usr/bin/env bash
# Runs all fuzz targets, or those that are named, for SECONDS each:
#
#     fuzz/run.sh SECONDS [TARGET...]
#
# Inputs that reach new code are kept in fuzz/target/corpus/, and the next run starts with them. Findings are kept
# in fuzz/artifacts/. To add the inputs that reach new code to a committed corpus:
#
#     cargo +nightly fuzz run TARGET fuzz/corpus/TARGET fuzz/target/corpus/TARGET -- -merge=1 -use_counters=0
set -euo pipefail
cd "$(dirname "$0")/.."

all=(connection publish bulk timestamp encoding keys tokens times journal hec msgpack syslog otlp gelf filters)

missing() {
    echo "Fuzzing needs $1. To get it: $2" >&2
    exit 1
}

# libFuzzer's options for a target. The limits of memory hold for one allocation: a zstd window of 8 MiB is
# the largest that is meant to be.
options() {
    case "$1" in
        connection) echo "-max_len=4096 -dict=fuzz/dictionaries/connection.dict" ;;
        publish) echo "-max_len=4096 -dict=fuzz/dictionaries/publish.dict" ;;
        bulk) echo "-max_len=4096 -dict=fuzz/dictionaries/bulk.dict" ;;
        hec) echo "-max_len=512 -dict=fuzz/dictionaries/hec.dict" ;;
        timestamp) echo "-max_len=48" ;;
        encoding) echo "-max_len=4096 -malloc_limit_mb=12" ;;
        keys) echo "-max_len=123" ;;
        filters) echo "-max_len=1024 -dict=fuzz/dictionaries/filters.dict" ;;
        gelf) echo "-max_len=1000" ;;
        msgpack) echo "-max_len=512" ;;
        syslog) echo "-max_len=512 -dict=fuzz/dictionaries/syslog.dict" ;;
        tokens) echo "-max_len=4096 -dict=fuzz/dictionaries/tokens.dict" ;;
        journal) echo "-max_len=1024 -dict=fuzz/dictionaries/journal.dict" ;;
        otlp) echo "-max_len=4096 -dict=fuzz/dictionaries/otlp.dict" ;;
        times) echo "-max_len=160" ;;
        *)
            echo "There is no target $1, only ${all[*]}." >&2
            return 1
            ;;
    esac
}

# Runs a target and prints its figure.
fuzz() {
    local target=$1 flags log executions outcome status=0
    flags=$(options "$target")
    log=fuzz/target/log/$target
    mkdir -p "fuzz/target/corpus/$target" "fuzz/artifacts/$target" fuzz/target/log
    # shellcheck disable=SC2086 # the flags are words
    cargo +nightly fuzz run "$target" "fuzz/target/corpus/$target" "fuzz/corpus/$target" -- \
        "-max_total_time=$seconds" -timeout=20 -print_final_stats=1 $flags >"$log" 2>&1 || status=$?
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    if [ "$status" -eq 0 ]; then
        outcome="no findings"
    else
        tail -n 60 "$log"
        outcome="A FINDING: $(sed -n 's/.*Test unit written to //p' "$log")"
    fi
    echo "FIGURE fuzz-$target: ${executions:-0} executions in $seconds s, $outcome"
    return "$status"
}

seconds=${1:?how many seconds for each target}
shift
targets=("$@")
[ $# -gt 0 ] || targets=("${all[@]}")

command -v rustup >/dev/null || missing rustup "see https://rustup.rs"
rustup run nightly rustc --version >/dev/null 2>&1 ||
    missing "the nightly toolchain" "rustup toolchain install nightly --profile minimal"
cargo fuzz --version >/dev/null 2>&1 || missing cargo-fuzz "cargo install cargo-fuzz"

failed=0
for target in "${targets[@]}"; do
    cargo +nightly fuzz build "$target"
    fuzz "$target" || failed=1
done
exit "$failed"
