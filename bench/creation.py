#!/usr/bin/env python3
"""Creation of a 3x1 cluster by Slotwright and by redis-cli --cluster create, in turns, on real redis-server processes.

The clock of both starts when the last of the six processes answers its first PING and stops when every node says
cluster_state:ok with 16384 slots and six members and every replica's link is up. The same prober asks both, each 5 ms.
redis-cli runs at once when the last server answers, on servers with the directives that Slotwright sets and on servers
as the manual procedure starts them (only cluster-enabled, timeout and no persistence; replicas then wait for
repl-diskless-sync-delay, 5 s). About 2 s of each figure is Redis itself (CLUSTER_WRITABLE_DELAY).
"""
import argparse
import base64
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

NODES = 6
STOCK = ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000", "--save", "", "--appendonly", "no",
         "--protected-mode", "no"]
TUNED = [*STOCK, "--repl-diskless-sync-delay", "0", "--cluster-allow-replica-migration", "no"]


class Node:
    """One connection to one server; reconnects when it breaks."""

    def __init__(self, host, password=None):
        self.host, self.password, self.file = host, password, None

    def ask(self, *words):
        """The reply as text, or None if there is none."""
        try:
            if self.file is None:
                connection = socket.create_connection((self.host, 6379), timeout=0.5)
                self.file = connection.makefile("rwb")
                if self.password and self.exchange("AUTH", self.password) != "OK":
                    return None
            return self.exchange(*words)
        except OSError:
            self.file = None
            return None

    def exchange(self, *words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            data = word.encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
        self.file.write(b"".join(parts))
        self.file.flush()
        line = self.file.readline().decode()
        if not line:
            raise OSError("closed")
        if line[0] == "$":
            return self.file.read(int(line[1:]) + 2).decode()
        return line[1:].strip() if line[0] == "+" else ""

    def whole(self):
        info = self.ask("CLUSTER", "INFO") or ""
        if not all(text in info for text in ("cluster_state:ok", "cluster_slots_ok:16384", f"cluster_known_nodes:{NODES}")):
            return False
        replication = self.ask("INFO", "replication") or ""
        return "role:master" in replication or "master_link_status:up" in replication


def wait(what, condition, seconds=60):
    """Polls each 5 ms; the time at which it came true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return time.monotonic()
        time.sleep(0.005)
    sys.exit(f"bench: {what}: not after {seconds} s")


def measure(nodes, after_start=lambda: None):
    """Seconds from the last first PING until the cluster is whole."""
    left = list(nodes)

    def all_answer():
        left[:] = [node for node in left if node.ask("PING") is None]
        return not left

    start = wait("a server does not answer", all_answer)
    after_start()
    return wait("the cluster is not whole", lambda: all(node.whole() for node in nodes)) - start


def by_redis_cli(network, directives):
    folder = tempfile.mkdtemp(prefix="slotwright-bench-")
    hosts = [f"127.200.{network % 250}.{i + 1}" for i in range(NODES)]
    servers = []
    creation = None
    try:
        for host in hosts:
            home = os.path.join(folder, host)
            os.mkdir(home)
            servers.append(subprocess.Popen(
                ["redis-server", "--bind", host, "--port", "6379", "--dir", home, "--cluster-announce-ip", host,
                 *directives], stdout=subprocess.DEVNULL))

        def create():
            nonlocal creation
            creation = subprocess.Popen(
                ["redis-cli", "--cluster", "create", *[f"{host}:6379" for host in hosts], "--cluster-replicas", "1",
                 "--cluster-yes"], stdout=subprocess.DEVNULL)

        return measure([Node(host) for host in hosts], create)
    finally:
        if creation:
            creation.kill()
            creation.wait()
        for server in servers:
            server.kill()
            server.wait()
        shutil.rmtree(folder)


def by_slotwright(binary):
    folder = tempfile.mkdtemp(prefix="slotwright-bench-")
    state = os.path.join(folder, "state")
    kubeconfig = os.path.join(state, "kubeconfig")
    local = subprocess.Popen([binary, "local", "--state-dir", state, "--apply", "examples/rediscluster.yaml"],
                             stdout=subprocess.DEVNULL)
    try:
        wait("no kubeconfig", lambda: os.path.exists(kubeconfig))
        with open(kubeconfig) as file:
            server = json.load(file)["clusters"][0]["cluster"]["server"]

        def api(path):
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"{server}/api/v1/namespaces/default/{path}", timeout=5) as answer:
                return json.load(answer)

        def addresses():
            return [pod["status"]["podIP"] for pod in api("pods")["items"] if pod.get("status", {}).get("podIP")]

        wait("no pods", lambda: len(addresses()) == NODES)
        password = base64.b64decode(api("secrets/demo-auth")["data"]["password"]).decode()
        return measure([Node(host, password) for host in addresses()])
    finally:
        local.send_signal(signal.SIGTERM)
        local.wait()
        shutil.rmtree(folder, ignore_errors=True)


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
