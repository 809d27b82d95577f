#!/usr/bin/env python3
"""Measures a fleet: a forwarder beside a plain loop of the same batches on the same engine, with and without a
synchronous standby; a front beside that loop ("fronts" as argument: only this); bytes of an event; how late events are in the store; what a forwarder costs its node. Needs
PostgreSQL, and a release build with the feature fleet: make bench-fleet. Others on the machine change the rates; trust
the ratios, which are of runs in turns."""

import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

EVENTS = int(os.environ.get("EVENTS", "100000"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
BATCHES = [64, 1_000, 5_000]
BINARY = os.environ.get("LOGAGG", "target/release/logagg")
PROGRAMS = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
USER = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"] if os.getuid() == 0 else []
PORT, STANDBY, NODE, FRONT = 15_499, 15_498, 18_499, 18_498
PAYLOAD = {"said": "x" * 140}
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def engine(folder):
    data = folder + "/data"
    subprocess.run(USER + [PROGRAMS + "/initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                           "--no-locale"], check=True, **QUIET)
    started = postgres(data, PORT)
    until(lambda: subprocess.run(psql("postgres", "-c", "SELECT 1"), **QUIET).returncode == 0)
    return started


def postgres(data, port):
    return subprocess.Popen(USER + [PROGRAMS + "/postgres", "-D", data, "-c", "listen_addresses=127.0.0.1", "-c",
                                    f"port={port}", "-c", "unix_socket_directories="], **QUIET)


def standby(folder):
    """From now on each commit waits for it."""
    connection = f"host=127.0.0.1 port={PORT} user=postgres application_name=second"
    subprocess.run(USER + [PROGRAMS + "/pg_basebackup", "-D", folder + "/standby", "-R", "-c", "fast", "-X", "stream",
                           "-d", connection], check=True, **QUIET)
    started = postgres(folder + "/standby", STANDBY)
    sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'second'")
    sql("postgres", "SELECT pg_reload_conf()")
    until(lambda: sql("postgres", "SELECT sync_state FROM pg_stat_replication") == "sync")
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


def plain_loop(database, size):
    """Batches as arrays of text over one session of psql: two inserts and a commit each."""
    tables = subprocess.run([BINARY, "store", "schema"], check=True, text=True, capture_output=True).stdout
    sql(database, tables)
    payload = json.dumps(PAYLOAD).replace('"', '\\"')
    statements = []
    for batch in range(EVENTS // size):
        ids = sorted(os.urandom(18).hex() for _ in range(size))
        texts = ",".join(ids)
        payloads = ",".join([f'"{payload}"'] * size)
        statements.append(
            f"BEGIN; INSERT INTO logagg.keys(event_id, topic_id, batch, idx, content) SELECT x, 1, {batch}, 0, "
            f"'\\x00112233445566778899aabbccddeeff' FROM unnest('{{{texts}}}'::text[]) AS x ON CONFLICT DO NOTHING; "
            "INSERT INTO logagg.events(seq, topic_id, event_id, timestamp, source, payload, processed_at) "
            f"SELECT {batch * size} + i, 1, x, '2026-01-02T03:04:05Z', 'bench', p, now() FROM "
            f"unnest('{{{texts}}}'::text[], '{{{payloads}}}'::text[]) WITH ORDINALITY AS x(x, p, i); COMMIT;\n")
    text = "".join(statements)
    begun = time.monotonic()
    sql(database, text)
    return EVENTS // size * size / (time.monotonic() - begun)


def forwarded(database, size):
    begun = time.monotonic()
    assert forwarder(database, "--once", "--batch-events", str(size)).wait() == 0
    return EVENTS / (time.monotonic() - begun)


def rates(kind):
    """Both in turns, each in a database of its own."""
    for size in BATCHES:
        found = {plain_loop: [], forwarded: []}
        for number in range(ROUNDS):
            for run in [plain_loop, forwarded] if number % 2 else [forwarded, plain_loop]:
                sql("postgres", "CREATE DATABASE one_run")
                found[run].append(run("one_run", size))
                sql("postgres", "DROP DATABASE one_run")
        plain, rate = (statistics.median(found[run]) for run in [plain_loop, forwarded])
        print(f"{kind:17} {size:5,} a batch: plain loop {plain:8,.0f} events/s, forwarder {rate:8,.0f}, "
              f"{rate / plain:.2f} of it", flush=True)
    return rate


def fronts():
    """A front with 64 connections at batches of 64, beside the plain loop of such batches, in turns."""
    found = {plain_loop: [], at_front: []}
    for number in range(ROUNDS):
        for run in [plain_loop, at_front] if number % 2 else [at_front, plain_loop]:
            sql("postgres", "CREATE DATABASE one_run")
            found[run].append(run("one_run", BATCHES[0]))
            sql("postgres", "DROP DATABASE one_run WITH (FORCE)")
    plain, rate = (statistics.median(found[run]) for run in [plain_loop, at_front])
    print(f"front, 64 connections, {BATCHES[0]} a batch: {rate:,.0f} events/s, plain loop {plain:,.0f}, "
          f"{rate / plain:.2f} of it", flush=True)


def at_front(database, size):
    store = f"postgres://postgres@127.0.0.1:{PORT}/{database}"
    front = subprocess.Popen([BINARY, "serve", "--store", store, "--port", str(FRONT), "--log-duplicates", "off"], **QUIET)
    url = f"http://127.0.0.1:{FRONT}"
    try:
        until(lambda: subprocess.run([BINARY, "healthcheck", "--url", url], **QUIET).returncode == 0)
        begun = time.monotonic()
        subprocess.run([BINARY, "bench", "--server", url, "--duration", "6s", "--connections", "64", "--batch", str(size)],
                       check=True, **QUIET)
        took = time.monotonic() - begun
        return int(sql(database, "SELECT count(*) FROM logagg.events")) / took
    finally:
        front.terminate()
        front.wait()


def sizes():
    """Of what the forwarder has brought."""
    sql("postgres", "CREATE DATABASE sizes")
    before = sql("sizes", "SELECT pg_current_wal_lsn()")
    forwarded("sizes", BATCHES[-1])
    wal = sql("sizes", f"SELECT pg_current_wal_lsn() - '{before}'::pg_lsn")
    of = "(SELECT sum({}(c.oid)) FROM pg_class c WHERE c.relname ~ '^{}_' AND c.relkind = 'r')"
    parts = [of.format(size, table) for table in ["keys", "events"] for size in ["pg_total_relation_size", "pg_indexes_size"]]
    keys, of_keys, events, of_events = (int(n) / EVENTS for n in sql("sizes", "SELECT " + ",".join(parts)).split("|"))
    print(f"bytes an event: key {keys:.0f}, of them index {of_keys:.0f}; event {events:.0f}, of them indexes "
          f"{of_events:.0f}; WAL {int(wal) / EVENTS:.0f}", flush=True)


def forwarder(database, *flags):
    to = f"postgres://postgres@127.0.0.1:{PORT}/{database}"
    return subprocess.Popen([BINARY, "forward", "--server", f"http://127.0.0.1:{NODE}", "--to", to, *flags],
                            stderr=subprocess.DEVNULL)


def busy(process):
    """Seconds of processor that it has used."""
    with open(f"/proc/{process.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def publishing(node):
    """Events a second, and microseconds of the node's processor for each. Node and publishers share a core."""
    bench = ["taskset", "-c", "0", BINARY, "bench", "--server", f"http://127.0.0.1:{NODE}", "--duration", "6s",
             "--connections", "16", "--batch", "100"]
    before, used, begun = ask("/stats")["last_seq"], busy(node), time.monotonic()
    subprocess.run(bench, check=True, **QUIET)
    count, took = ask("/stats")["last_seq"] - before, time.monotonic() - begun
    return count / took, (busy(node) - used) * 1e6 / count


def cost(engine, node):
    """What the node's publishers lose while it is forwarded, in turns. Engine and forwarder have another core. That one
    is never idle: on a virtual machine a core that sleeps makes each sync of the other one last longer, and a forwarder
    that wakes it would seem to make its node faster."""
    for core, process in [("0", node), ("1", engine)]:
        subprocess.run(["taskset", "-acp", core, str(process.pid)], check=True, stdout=subprocess.DEVNULL)
    awake = subprocess.Popen(["taskset", "-c", "1", "chrt", "-i", "0", "sh", "-c", "while :; do :; done"])
    try:
        publishing(node)
        found = {False: [], True: []}
        for is_beside in ([False, True, True, False] * ROUNDS)[: 2 * ROUNDS]:
            beside = forwarder("fleet") if is_beside else None
            if beside:
                subprocess.run(["taskset", "-acp", "1", str(beside.pid)], check=True, stdout=subprocess.DEVNULL)
            time.sleep(1)
            before = position() if beside else 0
            found[is_beside].append(publishing(node))
            if beside:
                assert position() > before, "it was at work"
                beside.terminate()
                beside.wait()
    finally:
        awake.kill()
        awake.wait()
    (alone, used), (beside, used_beside) = ([statistics.median(of) for of in zip(*found[is_beside])]
                                            for is_beside in [False, True])
    print(f"node: {alone:,.0f} events/s alone, {beside:,.0f} while it is forwarded, {beside / alone:.2f} of it; "
          f"processor {used:.2f} and {used_beside:.2f} µs an event")


def position():
    return int(sql("fleet", "SELECT max(position) FROM logagg.node_positions"))


def main():
    folder = tempfile.mkdtemp(prefix="bench-fleet-")
    os.chmod(folder, 0o777)
    started = [engine(folder)]
    try:
        started.append(subprocess.Popen([BINARY, "serve", "--database", folder + "/node.db", "--port", str(NODE),
                                         "--log-duplicates", "off"], stderr=subprocess.DEVNULL))
        time.sleep(1)
        for first in range(0, EVENTS, 1_000):
            publish(made(range(first, first + 1_000)))
        fronts()
        if sys.argv[1:] == ["fronts"]:
            return
        rate = rates("without standby")
        sizes()
        second = standby(folder)
        rates("standby waits")
        sql("postgres", "ALTER SYSTEM RESET synchronous_standby_names")
        sql("postgres", "SELECT pg_reload_conf()")
        second.terminate()
        second.wait()
        sql("postgres", "CREATE DATABASE fleet")
        assert forwarder("fleet", "--once").wait() == 0
        lags(rate)
        cost(*started)
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()
        subprocess.run(["rm", "-rf", folder], check=True)


def lags(rate):
    """Publishes at half of the forwarder's rate, and looks how long the last event of each request is not there."""
    beside = forwarder("fleet")
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
        # And after a silence, in which it asks less often.
        time.sleep(5)
        events = made(range(1))
        publish(events)
        begun, question = time.monotonic(), f"SELECT count(*) FROM logagg.keys WHERE event_id = '{events[0]['event_id']}'"
        until(lambda: sql("fleet", question) == "1")
        silent = time.monotonic() - begun
        print(f"in the store {max(late):.2f} s after the answer at most, at half load; {silent:.2f} s after a silence",
              flush=True)
    finally:
        beside.terminate()
        beside.wait()


if __name__ == "__main__":
    sys.exit(main())
