#!/usr/bin/env bash
# Drives POST /publish with the load generators that are installed, each with one JSON event, 100
# requests at a time: hey and ab with 10,000 requests, wrk, which cannot count them, for 5 seconds. Uses
# the server on 127.0.0.1:8080 (or PORT); if none answers there, starts one on a database of its own and
# stops it at the end.
set -euo pipefail

host=127.0.0.1
port=${PORT:-8080}
requests=10000
connections=100
seconds=5
here=$(cd "$(dirname "$0")" && pwd)
url="http://$host:$port/publish"
work=$(mktemp -d)
server=

finish() {
    if [ -n "$server" ]; then
        kill -TERM "$server" 2>/dev/null || true
        wait "$server" || echo "The server ended with exit code $?."
    fi
    rm -rf "$work"
}
trap finish EXIT

# Prints the body of GET $1. Bash's own sockets will do, so no client need be installed.
get() {
    (
        exec 3<>"/dev/tcp/$host/$port"
        printf 'GET %s HTTP/1.0\r\nHost: %s:%s\r\n\r\n' "$1" "$host" "$port" >&3
        sed '1,/^\r$/d' <&3
    ) 2>/dev/null
}

if get /health >"$work/health"; then
    echo "A server answers on port $port; it gets the load."
else
    echo "No server answers on port $port; starting one."
    (cd "$here/.." && ${CARGO:-cargo} build --release)
    "$here/../target/release/logagg" serve --host "$host" --port "$port" \
        --database "$work/load.db" --log-duplicates summary 2>"$work/log" &
    server=$!
    for _ in $(seq 100); do
        if get /health >"$work/health"; then
            break
        fi
        if ! kill -0 "$server" 2>/dev/null; then
            break
        fi
        sleep 0.1
    done
    if ! get /health >"$work/health"; then
        echo "The server did not start:" >&2
        cat "$work/log" >&2
        exit 1
    fi
fi

cat >"$work/event.json" <<'EVENT'
{"topic":"load.test","event_id":"evt-1","timestamp":"2026-01-02T03:04:05Z","source":"load","payload":{"n":1}}
EVENT

missing=
# $1: the program, $2: the Debian package that has it. Succeeds if it is there, and says so.
have() {
    if command -v "$1" >/dev/null; then
        printf '\n== %s\n' "$1"
    else
        missing="$missing $2"
        printf '\n== %s is not installed (apt-get install %s)\n' "$1" "$2"
        return 1
    fi
}

status=0
if have hey hey; then
    hey -n "$requests" -c "$connections" -m POST -T application/json -D "$work/event.json" "$url" || status=1
fi
if have ab apache2-utils; then
    ab -q -n "$requests" -c "$connections" -p "$work/event.json" -T application/json "$url" || status=1
fi
if have wrk wrk; then
    EVENT_FILE="$work/event.json" \
        wrk -t 1 -c "$connections" -d "${seconds}s" --latency -s "$here/publish.lua" "$url" || status=1
fi

printf '\n== GET /stats\n'
get /stats
echo
if [ -n "$missing" ]; then
    echo "Not installed:$missing (apt-get install$missing)"
fi
exit "$status"
