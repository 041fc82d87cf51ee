#!/usr/bin/env python3
"""Slots of a fourth master, by Slotwright and by redis-cli --cluster rebalance, in turns, while a client reads and writes.

Three masters without replicas hold a million keys of 100 bytes; a quarter of them has to move. The clock of both starts
when the new master owns its first slot and stops when it owns 98 % of 4096, which both call even; the same prober asks it each 5 ms. A client in a
process of its own GETs and SETs random keys, one after the other with 1 ms between, follows MOVED and ASK, and keeps each
latency of that time. Afterwards every key must be there.
"""
import argparse
import binascii
import multiprocessing
import os
import random
import statistics
import subprocess
import tempfile
import time

from fleet import PORT, TUNED, Node, local_cluster, servers, wait

SHARE = 4096 * 98 // 100
VALUE = b"x" * 100
MANIFEST = """
apiVersion: slotwright.dev/v1alpha1
kind: RedisCluster
metadata: {name: demo}
spec: {masters: 3, replicasPerMaster: 0, image: "redis:7.0"}
"""


def key_of(number):
    return b"key:%d" % number


def slot_of(key):
    return binascii.crc_hqx(key, 0) % 16384


def owners(node):
    """Slot -> host, by one node's CLUSTER SLOTS."""
    return {slot: first[0] for low, high, first, *_ in node.ask("CLUSTER", "SLOTS") for slot in range(low, high + 1)}


def fill(hosts, password, keys):
    nodes = {host: Node(host, password) for host in hosts}
    where = owners(nodes[hosts[0]])
    batches = {host: [] for host in hosts}
    for number in range(keys):
        key = key_of(number)
        batch = batches[where[slot_of(key)]]
        batch.append(("SET", key, VALUE))
        if len(batch) == 5000 or number == keys - 1:
            for host, commands in batches.items():
                if number < keys - 1 and len(commands) < 5000:
                    continue
                if any(reply != "OK" for reply in nodes[host].ask_many(commands)):
                    raise SystemExit(f"bench: {host} refused a key")
                commands.clear()


def client(hosts, password, keys, stop, results):
    """Sends (moments, seconds) of each request until it is stopped; an error's text otherwise."""
    nodes = {host: Node(host, password) for host in hosts}
    where = owners(nodes[hosts[0]])
    chance = random.Random(1)
    moments, seconds = [], []

    def ask(host, *commands):
        if host not in nodes:
            nodes[host] = Node(host, password)
        return (nodes[host].ask_many(commands) or ["-broken connection"])[-1]

    while not stop.is_set():
        key = key_of(chance.randrange(keys))
        command = ("GET", key) if chance.random() < 0.5 else ("SET", key, VALUE)
        start = time.monotonic()
        reply = ask(where[slot_of(key)], command)
        while isinstance(reply, str) and reply.startswith(("-MOVED", "-ASK", "-TRYAGAIN")):
            if reply.startswith("-TRYAGAIN"):
                reply = ask(where[slot_of(key)], command)
                continue
            host = reply.split()[2].rsplit(":", 1)[0]
            if reply.startswith("-ASK"):
                reply = ask(host, ("ASKING",), command)
            else:
                where[slot_of(key)] = host
                reply = ask(host, command)
        if reply is None or (isinstance(reply, str) and reply.startswith("-")):
            results.put(f"{command[0]} {key.decode()}: {reply}")
            return
        moments.append(start)
        seconds.append(time.monotonic() - start)
        time.sleep(0.001)
    results.put((moments, seconds))


def measure(hosts, password, keys, newest, begin, finish):
    """Calls begin(), waits until `newest()`, an address, owns its share, then calls finish(); a dict of figures."""
    stop, results = multiprocessing.Event(), multiprocessing.Queue()
    process = multiprocessing.Process(target=client, args=(hosts, password, keys, stop, results), daemon=True)
    process.start()
    asked = time.monotonic()
    begin()
    node = Node(newest(), password)
    first = wait("no slot has moved", lambda: node.slots() > 0)
    last = wait("slots do not become even", lambda: node.slots() >= SHARE, 300)
    moved = int(node.ask("DBSIZE"))
    stop.set()
    latencies = results.get(timeout=30)
    process.join(10)
    if isinstance(latencies, str):
        raise SystemExit(f"bench: the client failed: {latencies}")
    finish()
    total = sum(int(Node(host, password).ask("DBSIZE")) for host in {*hosts, node.host})
    during = sorted(s for m, s in zip(*latencies) if first <= m <= last)
    return {"keys/s": moved / (last - first), "seconds": last - first, "since asked": last - asked, "lost": keys - total,
            "p50": during[len(during) // 2] * 1000, "p99": during[len(during) * 99 // 100] * 1000,
            "worst": during[-1] * 1000}


def by_slotwright(binary, keys):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as manifest:
        manifest.write(MANIFEST)
        manifest.flush()
        with local_cluster(binary, manifest.name) as local:
            wait("the cluster is not ready", local.ready)
            hosts, password = local.addresses(), local.password()
            fill(hosts, password, keys)

            def newest():
                wait("no fourth pod", lambda: len(local.addresses()) == 4)
                return local.addresses()[3]

            return measure(hosts, password, keys, newest, lambda: local.api(local.CLUSTER, {"spec": {"masters": 4}}),
                           lambda: wait("the cluster is not ready", local.ready))


def redis_cli(*arguments):
    return subprocess.run(["redis-cli", "--cluster", *arguments], check=False, stdout=subprocess.DEVNULL).returncode


def by_redis_cli(network, keys, pipeline):
    with servers(4, network, TUNED) as hosts:
        wait("a server does not answer", lambda: all(Node(host).ask("PING") for host in hosts))
        redis_cli("create", *[f"{host}:{PORT}" for host in hosts[:3]], "--cluster-yes")
        nodes = [Node(host) for host in hosts]
        wait("the cluster is not whole", lambda: all("cluster_state:ok" in n.ask("CLUSTER", "INFO") for n in nodes[:3]))
        fill(hosts[:3], None, keys)
        redis_cli("add-node", f"{hosts[3]}:{PORT}", f"{hosts[0]}:{PORT}")
        # It stops at the first key while the new node is not sure of the cluster or nodes disagree: it gets that time.
        infos = ("cluster_state:ok", "cluster_known_nodes:4")
        wait("the fourth is not in", lambda: all(i in n.ask("CLUSTER", "INFO") for n in nodes for i in infos))
        wait("redis-cli sees a disagreement", lambda: redis_cli("check", f"{hosts[0]}:{PORT}") == 0)
        rebalance = None

        def begin():
            nonlocal rebalance
            rebalance = subprocess.Popen(
                ["redis-cli", "--cluster", "rebalance", f"{hosts[0]}:{PORT}", "--cluster-use-empty-masters",
                 "--cluster-pipeline", str(pipeline)], stdout=subprocess.DEVNULL)

        try:
            return measure(hosts[:3], None, keys, lambda: hosts[3], begin, lambda: rebalance.wait(60))
        finally:
            if rebalance:
                rebalance.wait(30)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slotwright", default="build/release/operator/slotwright", help="the program")
    parser.add_argument("--runs", type=int, default=1, help="of each (default: 1)")
    parser.add_argument("--keys", type=int, default=1_000_000, help="in all (default: 1000000)")
    options = parser.parse_args()
    contestants = {
        "slotwright": lambda run: by_slotwright(options.slotwright, options.keys),
        **{f"redis-cli --cluster-pipeline {size}":
           lambda run, size=size: by_redis_cli(100 + run, options.keys, size) for size in (10, 100, 1000)},
    }
    figures = {name: [] for name in contestants}
    for run in range(options.runs):
        for name, move in contestants.items():
            figures[name].append(move(run))
            print(f"run {run + 1}/{options.runs}: {name}: " +
                  ", ".join(f"{what} {value:.1f}" for what, value in figures[name][-1].items()), flush=True)
    print(f"\n3 -> 4 masters, {options.keys} keys, medians; load average {os.getloadavg()[0]:.1f}; milliseconds of a client:")
    median = {name: {what: statistics.median(run[what] for run in runs) for what in runs[0]}
              for name, runs in figures.items()}
    ours = median["slotwright"]
    for name, m in median.items():
        print(f"  {name:<32} {m['keys/s']:>8.0f} keys/s  {m['seconds']:>5.1f} s  p50 {m['p50']:.2f}  p99 {m['p99']:.1f}  "
              f"worst {m['worst']:.0f}  lost {m['lost']:.0f}  ratio {m['keys/s'] / ours['keys/s']:.2f}")
    if any(run["lost"] for runs in figures.values() for run in runs):
        raise SystemExit("bench: keys are missing")


if __name__ == "__main__":
    main()
