#!/usr/bin/env python3
"""Creation of a 3x1 cluster by Slotwright and by redis-cli --cluster create, in turns, on real redis-server processes.

The clock of both starts when the last of the six processes answers its first PING and stops when every node says
cluster_state:ok with 16384 slots and six members and every replica's link is up. The same prober asks both, each 5 ms.
redis-cli runs at once when the last server answers, on servers with the directives that Slotwright sets and on servers
as the manual procedure starts them (only cluster-enabled, timeout and no persistence; replicas then wait for
repl-diskless-sync-delay, 5 s). About 2 s of each figure is Redis itself (CLUSTER_WRITABLE_DELAY).
"""
import argparse
import statistics
import subprocess

from fleet import PORT, TUNED, Node, local_cluster, servers, wait

NODES = 6
STOCK = TUNED[:TUNED.index("--repl-diskless-sync-delay")]


def whole(node):
    info = node.ask("CLUSTER", "INFO") or ""
    if not all(text in info for text in ("cluster_state:ok", "cluster_slots_ok:16384", f"cluster_known_nodes:{NODES}")):
        return False
    replication = node.ask("INFO", "replication") or ""
    return "role:master" in replication or "master_link_status:up" in replication


def measure(nodes, after_start=lambda: None):
    """Seconds from the last first PING until the cluster is whole."""
    left = list(nodes)

    def all_answer():
        left[:] = [node for node in left if node.ask("PING") is None]
        return not left

    start = wait("a server does not answer", all_answer)
    after_start()
    return wait("the cluster is not whole", lambda: all(whole(node) for node in nodes)) - start


def by_redis_cli(network, directives):
    creation = None

    def create():
        nonlocal creation
        creation = subprocess.Popen(
            ["redis-cli", "--cluster", "create", *[f"{host}:{PORT}" for host in hosts], "--cluster-replicas", "1",
             "--cluster-yes"], stdout=subprocess.DEVNULL)

    with servers(NODES, network, directives) as hosts:
        try:
            return measure([Node(host) for host in hosts], create)
        finally:
            if creation:
                creation.kill()
                creation.wait()


def by_slotwright(binary):
    with local_cluster(binary, "examples/rediscluster.yaml") as local:
        wait("no pods", lambda: len(local.addresses()) == NODES)
        return measure([Node(host, local.password()) for host in local.addresses()])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slotwright", default="build/release/operator/slotwright", help="the program")
    parser.add_argument("--runs", type=int, default=5, help="of each (default: 5)")
    options = parser.parse_args()
    contestants = {
        "slotwright": lambda run: by_slotwright(options.slotwright),
        "redis-cli, same directives": lambda run: by_redis_cli(2 * run, TUNED),
        "redis-cli, stock directives": lambda run: by_redis_cli(2 * run + 1, STOCK),
    }
    times = {name: [] for name in contestants}
    for run in range(options.runs):
        for name, create in contestants.items():
            times[name].append(create(run))
        print(f"run {run + 1}/{options.runs}: " + ", ".join(f"{n} {t[-1]:.2f} s" for n, t in times.items()), flush=True)
    print("\nCreation of 3 masters and 3 replicas, from the last server's first PING to a whole cluster, seconds:")
    ours = statistics.median(times["slotwright"])
    for name, values in times.items():
        median = statistics.median(values)
        print(f"  {name:<28} min {min(values):.2f}  median {median:.2f}  max {max(values):.2f}  ratio {median / ours:.2f}")


if __name__ == "__main__":
    main()
