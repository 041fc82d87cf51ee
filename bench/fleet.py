"""What the measurements have in common: servers of our own, a cluster by `slotwright local`, and one who asks nodes."""
import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

PORT = 6379
# As Slotwright starts its servers, as far as it matters here.
TUNED = ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000", "--save", "", "--appendonly", "no",
         "--protected-mode", "no", "--repl-diskless-sync-delay", "0", "--cluster-allow-replica-migration", "no"]


class Node:
    """One connection to one server; reconnects when it breaks."""

    def __init__(self, host, password=None):
        self.host, self.password, self.file = host, password, None

    def ask(self, *words):
        """The reply, an error's text with its '-', or None if there is none."""
        return (self.ask_many([words]) or [None])[-1]

    def ask_many(self, commands):
        """The replies to a pipeline, or None if the connection broke."""
        try:
            if self.file is None:
                connection = socket.create_connection((self.host, PORT), timeout=10)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.file = connection.makefile("rwb")
                if self.password and self.exchange([("AUTH", self.password)]) != ["OK"]:
                    return None
            return self.exchange(commands)
        except OSError:
            self.file = None
            return None

    def exchange(self, commands):
        self.file.write(b"".join(encode(words) for words in commands))
        self.file.flush()
        return [self.read() for _ in commands]

    def read(self):
        line = self.file.readline().decode()
        if not line:
            raise OSError("closed")
        kind, text = line[0], line[1:].strip()
        if kind == "$":
            return None if text == "-1" else self.file.read(int(text) + 2)[:-2].decode()
        if kind == "*":
            return [self.read() for _ in range(int(text))]
        if kind == ":":
            return int(text)
        return text if kind == "+" else "-" + text

    def slots(self):
        """How many slots it says that it owns."""
        for line in (self.ask("CLUSTER", "NODES") or "").splitlines():
            words = line.split()
            if "myself" in words[2]:
                ranges = [word.split("-") for word in words[8:] if word[0] != "["]
                return sum(int(r[-1]) - int(r[0]) + 1 for r in ranges)
        return 0


def encode(words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


def wait(what, condition, seconds=120):
    """Polls each 5 ms; the time at which it came true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return time.monotonic()
        time.sleep(0.005)
    sys.exit(f"bench: {what}: not after {seconds} s")


@contextlib.contextmanager
def servers(count, network, directives):
    """Addresses of that many redis-server processes, which are gone afterwards."""
    folder = tempfile.mkdtemp(prefix="slotwright-bench-")
    hosts = [f"127.200.{network % 250}.{i + 1}" for i in range(count)]
    processes = []
    try:
        for host in hosts:
            home = os.path.join(folder, host)
            os.mkdir(home)
            processes.append(subprocess.Popen(
                ["redis-server", "--bind", host, "--port", str(PORT), "--dir", home, "--cluster-announce-ip", host,
                 *directives], stdout=subprocess.DEVNULL))
        yield hosts
    finally:
        for process in processes:
            process.kill()
            process.wait()
        shutil.rmtree(folder)


class Local:
    """A cluster "demo" by `slotwright local`."""

    def __init__(self, server):
        self.server = server
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def api(self, path, patch=None):
        request = urllib.request.Request(self.server + path)
        if patch is not None:
            request = urllib.request.Request(self.server + path, json.dumps(patch).encode(), method="PATCH",
                                             headers={"Content-Type": "application/merge-patch+json"})
        with self.opener.open(request, timeout=5) as answer:
            return json.load(answer)

    CLUSTERS = "/apis/slotwright.dev/v1alpha1/namespaces/default/redisclusters"
    CLUSTER = CLUSTERS + "/demo"

    def addresses(self):
        pods = self.api("/api/v1/namespaces/default/pods")["items"]
        found = {pod["metadata"]["name"]: pod.get("status", {}).get("podIP") for pod in pods}
        return [found[name] for name in sorted(found) if found[name]]

    def password(self):
        return base64.b64decode(self.api("/api/v1/namespaces/default/secrets/demo-auth")["data"]["password"]).decode()

    def ready(self, name="demo"):
        try:
            cluster = self.api(f"{self.CLUSTERS}/{name}")
        except urllib.error.HTTPError:  # not applied yet
            return False
        ready = [c for c in cluster.get("status", {}).get("conditions", []) if c["type"] == "Ready"]
        return bool(ready) and ready[0]["status"] == "True" and (
            ready[0]["observedGeneration"] == cluster["metadata"]["generation"])


@contextlib.contextmanager
def local_cluster(binary, manifest):
    folder = tempfile.mkdtemp(prefix="slotwright-bench-")
    state = os.path.join(folder, "state")
    kubeconfig = os.path.join(state, "kubeconfig")
    process = subprocess.Popen([binary, "local", "--state-dir", state, "--apply", manifest], stdout=subprocess.DEVNULL)
    try:
        wait("no kubeconfig", lambda: os.path.exists(kubeconfig))
        with open(kubeconfig, encoding="utf-8") as file:
            yield Local(json.load(file)["clusters"][0]["cluster"]["server"])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)
