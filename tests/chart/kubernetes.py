"""A bare Kubernetes for tests of rights: real etcd, API server and controller manager, no nodes. Audited."""

import base64
import contextlib
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

ADDRESS = "127.79.255.1"
TOKEN = "test-admin"


def free_port():
    with socket.socket() as s:
        s.bind((ADDRESS, 0))
        return s.getsockname()[1]


def wait_until(what, condition, seconds=60):
    """Polls; fails with what `condition` returned last, which must be None or empty of problems to succeed."""
    deadline = time.monotonic() + seconds
    while True:
        problem = condition()
        if not problem:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: after {seconds} s still: {problem}")
        time.sleep(0.1)


class Processes:
    """Starts programs and stops them by their id, last first."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.running = []

    def start(self, name, command, **options):
        log = open(self.folder / f"{name}.log", "ab")  # pylint: disable=consider-using-with
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **options
        )
        log.close()
        self.running.append(process)
        return process

    def stop(self, process, how=signal.SIGTERM, seconds=15):
        process.send_signal(how)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with contextlib.suppress(ValueError):
            self.running.remove(process)

    def stop_all(self):
        for process in reversed(list(self.running)):
            self.stop(process)


class Kubernetes:
    """The API server and what it needs. `programs` holds kube-apiserver, kube-controller-manager, kubectl and
    etcd; everything it writes is in `folder`."""

    def __init__(self, programs, folder, audited_user):
        self.folder = pathlib.Path(folder)
        self.programs = pathlib.Path(programs)
        self.processes = Processes(folder)
        self.port = free_port()
        self.url = f"https://{ADDRESS}:{self.port}"
        self.audit_log = self.folder / "audit.log"
        self._make_files(audited_user)
        self.context = ssl.create_default_context(cafile=str(self.folder / "server.crt"))
        self.kubeconfig = self.write_kubeconfig("admin", TOKEN)

    def _make_files(self, audited_user):
        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
                "-keyout", "server.key", "-out", "server.crt", "-addext", f"subjectAltName=IP:{ADDRESS}")  # fmt: skip
        openssl("genrsa", "-out", "accounts.key", "2048")
        (self.folder / "tokens.csv").write_text(f'{TOKEN},admin,1,"system:masters"\n', encoding="utf-8")
        policy = {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata", "users": [audited_user]}, {"level": "None"}],
        }
        (self.folder / "audit.json").write_text(json.dumps(policy), encoding="utf-8")

    def write_kubeconfig(self, name, token, namespace="default"):
        authority = base64.b64encode((self.folder / "server.crt").read_bytes()).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": self.url, "certificate-authority-data": authority}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": namespace}}],
            "current-context": "x",
        }
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(json.dumps(config), encoding="utf-8")
        return path

    def start(self):
        etcd, peers = free_port(), free_port()
        self.processes.start("etcd", [self.programs / "etcd", "--data-dir", self.folder / "etcd", "--unsafe-no-fsync",
            "--listen-client-urls", f"http://{ADDRESS}:{etcd}", "--advertise-client-urls", f"http://{ADDRESS}:{etcd}",
            "--listen-peer-urls", f"http://{ADDRESS}:{peers}", "--log-level", "warn"])  # fmt: skip
        # Not on by default, but some distributions have it: the strictest server asks for the most.
        self.processes.start("kube-apiserver", [self.programs / "kube-apiserver",
            f"--etcd-servers=http://{ADDRESS}:{etcd}", f"--bind-address={ADDRESS}", f"--secure-port={self.port}",
            f"--tls-cert-file={self.folder}/server.crt", f"--tls-private-key-file={self.folder}/server.key",
            f"--cert-dir={self.folder}", f"--token-auth-file={self.folder}/tokens.csv", "--authorization-mode=RBAC",
            f"--service-account-key-file={self.folder}/accounts.key",
            f"--service-account-signing-key-file={self.folder}/accounts.key", "--service-account-issuer=https://test",
            "--service-cluster-ip-range=10.96.0.0/16", "--endpoint-reconciler-type=none", "--watch-cache=true",
            "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
            f"--audit-policy-file={self.folder}/audit.json", f"--audit-log-path={self.audit_log}"])  # fmt: skip
        wait_until("the API server is ready", lambda: self.try_get("/readyz"), 90)
        self.processes.start("kube-controller-manager", [self.programs / "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig}", "--leader-elect=false", "--secure-port=0",
            f"--service-account-private-key-file={self.folder}/accounts.key",
            f"--root-ca-file={self.folder}/server.crt",
            # What would take our pretended node and volumes for broken ones.
            "--controllers=*,-node-lifecycle-controller,-persistentvolume-binder-controller,"
            "-pod-garbage-collector-controller"
            ])  # fmt: skip
        wait_until(
            "default has a ServiceAccount", lambda: self.try_get("/api/v1/namespaces/default/serviceaccounts/default")
        )

    def stop(self):
        self.processes.stop_all()

    def request(self, method, path, body=None, content_type="application/json"):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Authorization", f"Bearer {TOKEN}")
        request.add_header("Content-Type", content_type)
        with urllib.request.urlopen(request, context=self.context, timeout=30) as response:
            text = response.read().decode()
        return json.loads(text) if text.startswith("{") else text

    def patch(self, path, body):
        return self.request("PATCH", path, body, "application/merge-patch+json")

    def try_get(self, path):
        """What is wrong with it; None if it is there."""
        try:
            self.request("GET", path)
            return None
        except (urllib.error.URLError, OSError) as error:
            return str(error)

    def kubectl(self, *arguments, manifest=None, check=True):
        run = subprocess.run(
            [self.programs / "kubectl", "--kubeconfig", self.kubeconfig, *arguments],
            input=manifest, capture_output=True, text=True, timeout=120, check=False,
            env={**os.environ, "HOME": str(self.folder)},
        )  # fmt: skip
        if check and run.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(map(str, arguments))}: {run.stderr}")
        return run.stdout if check else run.stdout + run.stderr

    def audit(self):
        """(verb, resource with subresource, namespace, code) of every request of the audited user."""
        for line in self.audit_log.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            reference = event.get("objectRef")
            if not reference or "responseStatus" not in event:
                continue
            resource = "/".join(filter(None, [reference["resource"], reference.get("subresource")]))
            yield event["verb"], resource, reference.get("namespace", ""), event["responseStatus"].get("code", 0)
