#!/usr/bin/env python3
"""A hundred RedisClusters under one operator, in a Kubernetes full of other people's objects.

`slotwright local --no-operator` gives Kubernetes, and one `slotwright operator` of its own process works there. First its
memory with no cluster, before and after 5,000 foreign objects are there. Then clusters of one master come one after the
other; the clock of each starts with its POST and stops when its status says Ready, and about 1.5 s of that is its server.
The last ones are held against the first ones. In the end nothing is done for a while: what the operator's processor time is
then, and whether a cluster that is edited meanwhile waits for the others.

Exits with 1 if the last clusters take 1.5 times as long as the first ones, the foreign objects (5,000 of them) more than 3 MB,
or a cluster after the first ten more than 0.5 MB.
"""
import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from fleet import Local, wait

TICKS = os.sysconf("SC_CLK_TCK")
# What is measured (docs/operations.md) with room for a machine that is busy: at twice as much something grows that should not.
MOST_RATIO = 1.5
MOST_FOREIGN_MEGABYTES = 3
MOST_MEGABYTES_A_CLUSTER = 0.5


def megabytes(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) / 1024


def seconds_of_processor(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        words = stat.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / TICKS


@contextlib.contextmanager
def kubernetes_and_operator(binary):
    folder = tempfile.mkdtemp(prefix="slotwright-bench-")
    kubeconfig = os.path.join(folder, "state", "kubeconfig")
    processes = []

    def start(*arguments):
        with open(os.path.join(folder, arguments[0] + ".log"), "w", encoding="utf-8") as log:
            processes.append(subprocess.Popen([binary, *arguments], stdout=subprocess.DEVNULL, stderr=log))
        return processes[-1].pid

    try:
        start("local", "--no-operator", "--state-dir", os.path.dirname(kubeconfig))
        wait("no kubeconfig", lambda: os.path.exists(kubeconfig))
        with open(kubeconfig, encoding="utf-8") as file:
            server = json.load(file)["clusters"][0]["cluster"]["server"]
        yield Local(server), start("operator", "--kubeconfig", kubeconfig, "--no-leader-elect", "--log-level", "warn",
                                   "--metrics-bind-address", "0", "--health-probe-bind-address", "0")
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def post(kubernetes, path, body):
    request = urllib.request.Request(kubernetes.server + path, json.dumps(body).encode(),
                                     headers={"Content-Type": "application/json"})
    kubernetes.opener.open(request, timeout=10).close()


def fill(kubernetes, count):
    for i in range(count):
        kind = ("ConfigMap", "Secret", "Service", "PersistentVolumeClaim")[i % 4]
        body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": f"foreign-{i}", "labels": {"app": "other"}}}
        if kind == "ConfigMap":
            body["data"] = {"text": "x" * 2000}
        elif kind == "Secret":
            body["stringData"] = {"text": "x" * 2000}
        elif kind == "Service":
            body["spec"] = {"clusterIP": "None", "ports": [{"port": 80}]}
        else:
            body["spec"] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        post(kubernetes, f"/api/v1/namespaces/default/{kind.lower()}s", body)


def seconds_until_ready(kubernetes, name, change):
    start = time.monotonic()
    change()
    return wait(f"{name} is not ready", lambda: kubernetes.ready(name)) - start


def cluster(name):
    return {"apiVersion": "slotwright.dev/v1alpha1", "kind": "RedisCluster", "metadata": {"name": name},
            "spec": {"masters": 1, "replicasPerMaster": 0, "image": "redis:7.0"}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slotwright", default="build/release/operator/slotwright", help="the program")
    parser.add_argument("--clusters", type=int, default=100, help="how many (default: 100)")
    parser.add_argument("--foreign", type=int, default=5000, help="objects of others (default: 5000)")
    options = parser.parse_args()
    with kubernetes_and_operator(options.slotwright) as (kubernetes, operator):
        time.sleep(3)
        before = megabytes(operator)
        fill(kubernetes, options.foreign)
        time.sleep(3)
        empty = megabytes(operator)
        print(f"no cluster: {before:.1f} MB; with {options.foreign} foreign objects: {empty:.1f} MB", flush=True)
        times = []
        for i in range(options.clusters):
            name = f"c{i}"
            times.append(seconds_until_ready(
                kubernetes, name, lambda name=name: post(kubernetes, kubernetes.CLUSTERS, cluster(name))))
            if i < 10:
                ten = megabytes(operator)  # what the first one takes is for all
            if (i + 1) % 10 == 0:
                print(f"{i + 1} clusters: the last ten ready after {statistics.median(times[-10:]):.2f} s each (median), "
                      f"{megabytes(operator):.0f} MB", flush=True)
        first, last = statistics.median(times[:10]), statistics.median(times[-10:])
        start, spent = time.monotonic(), seconds_of_processor(operator)
        time.sleep(30)
        share = (seconds_of_processor(operator) - spent) / (time.monotonic() - start)
        edit = {"spec": {"config": {"maxmemory-policy": "allkeys-lru"}}}
        edited = seconds_until_ready(
            kubernetes, "c0", lambda: kubernetes.api(f"{kubernetes.CLUSTERS}/c0", edit))
        print(f"\n{options.clusters} clusters: the first ten {first:.2f} s each, the last ten {last:.2f} s (ratio "
              f"{last / first:.2f}); idle {100 * share:.1f} % of a processor; an edit is live after {edited:.2f} s; "
              f"{megabytes(operator):.0f} MB")
        figures = {
            "ratio of the last clusters' time to the first ones'": (last / first, MOST_RATIO),
            "MB for all foreign objects": (empty - before, MOST_FOREIGN_MEGABYTES),
            "MB for a cluster": ((megabytes(operator) - ten) / max(1, options.clusters - 10), MOST_MEGABYTES_A_CLUSTER),
        }
    failed = [f"{what}: {figure:.2f}, more than {most}" for what, (figure, most) in figures.items() if figure > most]
    if failed:
        sys.exit("many.py: " + "; ".join(failed))


if __name__ == "__main__":
    main()
