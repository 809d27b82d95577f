#!/usr/bin/env python3
"""Measures a forwarder: beside a plain loop of the same batches on the same engine, what it costs its node, and how
late events are in the store at half of its rate. Needs PostgreSQL, and a release build with the feature fleet:
make bench-fleet. Others on the machine change the rates; trust the ratios."""

import glob
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

EVENTS = int(os.environ.get("EVENTS", "100000"))
BATCH = 5_000
BINARY = os.environ.get("LOGAGG", "target/release/logagg")
PROGRAMS = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
USER = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"] if os.getuid() == 0 else []
PORT, NODE = 15_499, 18_499
PAYLOAD = {"said": "x" * 140}


def engine(folder):
    data = folder + "/data"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(USER + [PROGRAMS + "/initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                           "--no-locale"], check=True, **quiet)
    started = subprocess.Popen(USER + [PROGRAMS + "/postgres", "-D", data, "-c", "listen_addresses=127.0.0.1", "-c",
                                       f"port={PORT}", "-c", "unix_socket_directories="], **quiet)
    until(lambda: subprocess.run(psql("postgres", "-c", "SELECT 1"), **quiet).returncode == 0)
    return started


def psql(database, *arguments):
    return ["psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(PORT), "-U", "postgres",
            "-d", database, *arguments]


def sql(database, text):
    return subprocess.run(psql(database), input=text, text=True, check=True, capture_output=True).stdout.strip()


def until(done):
    end = time.monotonic() + 120
    while not done():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.02)


def ask(path):
    with urllib.request.urlopen(f"http://127.0.0.1:{NODE}{path}") as answer:
        return json.load(answer)


def publish(events):
    body = json.dumps(events).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{NODE}/publish", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request).read()


def made(numbers):
    stamp = "2026-01-02T03:04:05Z"
    return [{"topic": f"topic {n % 10}", "event_id": os.urandom(18).hex(), "timestamp": stamp, "source": "bench",
             "payload": PAYLOAD} for n in numbers]


def plain_loop():
    """Batches as arrays of text over one session of psql: two inserts and a commit each."""
    tables = subprocess.run([BINARY, "store", "schema"], check=True, text=True, capture_output=True).stdout
    sql("plain", tables)
    payload = json.dumps(PAYLOAD).replace('"', '\\"')
    statements = []
    for batch in range(EVENTS // BATCH):
        ids = sorted(os.urandom(18).hex() for _ in range(BATCH))
        texts = ",".join(ids)
        payloads = ",".join([f'"{payload}"'] * BATCH)
        statements.append(
            f"BEGIN; INSERT INTO logagg.keys(event_id, topic_id, batch, idx, content) SELECT x, 1, {batch}, 0, "
            f"'\\x00112233445566778899aabbccddeeff' FROM unnest('{{{texts}}}'::text[]) AS x ON CONFLICT DO NOTHING; "
            "INSERT INTO logagg.events(seq, topic_id, event_id, timestamp, source, payload, processed_at) "
            f"SELECT {batch * BATCH} + i, 1, x, '2026-01-02T03:04:05Z', 'bench', p, now() FROM "
            f"unnest('{{{texts}}}'::text[], '{{{payloads}}}'::text[]) WITH ORDINALITY AS x(x, p, i); COMMIT;\n")
    text = "".join(statements)
    begun = time.monotonic()
    sql("plain", text)
    return EVENTS / (time.monotonic() - begun)


def forwarder(database, *flags):
    to = f"postgres://postgres@127.0.0.1:{PORT}/{database}"
    return subprocess.Popen([BINARY, "forward", "--server", f"http://127.0.0.1:{NODE}", "--to", to, *flags],
                            stderr=subprocess.DEVNULL)


def publishing_rate():
    """The node and its publishers have a core of their own."""
    bench = ["taskset", "-c", "0", BINARY, "bench", "--server", f"http://127.0.0.1:{NODE}", "--duration", "8s",
             "--connections", "4", "--batch", "100"]
    before, begun = ask("/stats")["last_seq"], time.monotonic()
    subprocess.run(bench, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (ask("/stats")["last_seq"] - before) / (time.monotonic() - begun)


def cost(engine, node):
    """What the node's publishers lose while it is forwarded, in turns. Engine and forwarder have another core."""
    for core, process in [("0", node), ("1", engine)]:
        subprocess.run(["taskset", "-acp", core, str(process.pid)], check=True, stdout=subprocess.DEVNULL)
    publishing_rate()
    rates = {False: [], True: []}
    for is_beside in [False, True, True, False, False, True]:
        beside = forwarder("fleet", "--batch-events", str(BATCH)) if is_beside else None
        if beside:
            subprocess.run(["taskset", "-acp", "1", str(beside.pid)], check=True, stdout=subprocess.DEVNULL)
            time.sleep(1)
        rates[is_beside].append(publishing_rate())
        if beside:
            beside.terminate()
            beside.wait()
    alone, beside = (sorted(rates[is_beside])[1] for is_beside in [False, True])
    print(f"node           {beside:10,.0f} events/s while it is forwarded, {beside / alone:.2f} of its rate alone")


def main():
    folder = tempfile.mkdtemp(prefix="bench-fleet-")
    os.chmod(folder, 0o777)
    started = [engine(folder)]
    try:
        for name in ["plain", "fleet"]:
            sql("postgres", f"CREATE DATABASE {name}")
        started.append(subprocess.Popen([BINARY, "serve", "--database", folder + "/node.db", "--port", str(NODE),
                                         "--log-duplicates", "off"], stderr=subprocess.DEVNULL))
        time.sleep(1)
        for first in range(0, EVENTS, 1_000):
            publish(made(range(first, first + 1_000)))
        plain = plain_loop()
        begun = time.monotonic()
        assert forwarder("fleet", "--once", "--batch-events", str(BATCH)).wait() == 0
        rate = EVENTS / (time.monotonic() - begun)
        print(f"plain loop     {plain:10,.0f} events/s")
        print(f"forwarder      {rate:10,.0f} events/s, {rate / plain:.2f} of it")
        lags(rate)
        cost(*started)
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()
        subprocess.run(["rm", "-rf", folder], check=True)


def lags(rate):
    """Publishes at half of the forwarder's rate, and looks how long the last event of each request is not there."""
    beside = forwarder("fleet", "--batch-events", str(BATCH))
    try:
        late, size = [], max(1, int(rate / 2 / 10))
        for number in range(30):
            due = time.monotonic() + 0.1
            events = made(range(size))
            publish(events)
            if number % 5 == 4:
                begun, last = time.monotonic(), events[-1]["event_id"]
                question = f"SELECT count(*) FROM logagg.keys WHERE event_id = '{last}'"
                until(lambda: sql("fleet", question) == "1")
                late.append(time.monotonic() - begun)
            time.sleep(max(0, due - time.monotonic()))
        print(f"in the store   {max(late):10.2f} s after the answer at most, at half load")
    finally:
        beside.terminate()
        beside.wait()


if __name__ == "__main__":
    sys.exit(main())
