"""A node that is only pretended: it runs the operator's Redis pods as processes of this machine, each on an address of
its own, and calls every claim bound. Enough for a whole life of the operator against a bare API server."""

import base64
import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import urllib.error

NODE = "pretended"


class PretendedNode:
    def __init__(self, kubernetes, folder):
        self.kubernetes = kubernetes
        self.folder = pathlib.Path(folder)
        self.processes = {}  # by the pod's uid
        self.addresses = (f"127.79.{a}.{b}" for a, b in itertools.product(range(0, 250), range(1, 250)))
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.problem = None

    def start(self):
        self.kubernetes.request("POST", "/api/v1/nodes", {"metadata": {"name": NODE}})
        self.thread.start()

    def stop(self):
        self.stopping.set()
        if self.thread.is_alive():
            self.thread.join(30)
        for uid in list(self.processes):
            self._kill(uid)

    def _run(self):
        while not self.stopping.wait(0.1):
            try:
                for pod in self.kubernetes.request(
                    "GET", "/api/v1/pods?labelSelector=app.kubernetes.io/managed-by%3Dslotwright"
                )["items"]:
                    self._look_after(pod)
                for claim in self.kubernetes.request("GET", "/api/v1/persistentvolumeclaims")["items"]:
                    self._bind_claim(claim)
            except (urllib.error.HTTPError, OSError) as error:  # somebody was faster; the next look tells
                self.problem = str(error)

    def _look_after(self, pod):
        path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
        uid = pod["metadata"]["uid"]
        if "deletionTimestamp" in pod["metadata"]:
            self._kill(uid)
            self.kubernetes.request("DELETE", path, {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}})
        elif "nodeName" not in pod["spec"]:
            binding = {"metadata": {"name": pod["metadata"]["name"]}, "target": {"kind": "Node", "name": NODE}}
            self.kubernetes.request("POST", path + "/binding", binding)
        elif uid not in self.processes:
            address = self._launch(pod)
            container = {
                "name": "redis",
                "ready": True,
                "restartCount": 0,
                "image": "",
                "imageID": "",
                "state": {"running": {}},
            }
            status = {
                "phase": "Running",
                "podIP": address,
                "podIPs": [{"ip": address}],
                "conditions": [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady")],
                "containerStatuses": [container],
            }
            self.kubernetes.patch(path + "/status", {"status": status})

    def _launch(self, pod):
        """Runs the pod's own command, with its files written where the pod would mount them, below a folder."""
        root = self.folder / pod["metadata"]["uid"]
        namespace = f"/api/v1/namespaces/{pod['metadata']['namespace']}"
        container = pod["spec"]["containers"][0]
        mounts = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
        for volume in pod["spec"]["volumes"]:
            target = root / mounts[volume["name"]].lstrip("/")
            if "persistentVolumeClaim" in volume:  # outlives the pod, not the claim
                claim = self.kubernetes.request(
                    "GET", f"{namespace}/persistentvolumeclaims/{volume['persistentVolumeClaim']['claimName']}"
                )
                data = self.folder / "volumes" / claim["metadata"]["uid"]
                data.mkdir(parents=True, exist_ok=True)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(data)
                continue
            target.mkdir(parents=True)
            if "configMap" in volume:
                files = self.kubernetes.request("GET", f"{namespace}/configmaps/{volume['configMap']['name']}")["data"]
                for name, text in files.items():
                    (target / name).write_text(text, encoding="utf-8")
            if "secret" in volume:
                data = self.kubernetes.request("GET", f"{namespace}/secrets/{volume['secret']['secretName']}")["data"]
                for item in volume["secret"]["items"]:
                    (target / item["path"]).write_bytes(base64.b64decode(data[item["key"]]))
        address = next(self.addresses)

        def here(word):
            word = word.replace("$(POD_IP)", address)
            for place in mounts.values():
                if word == place or word.startswith(place + "/"):
                    return str(root / word.lstrip("/"))
            return word

        with open(root / "log", "wb") as log:
            self.processes[pod["metadata"]["uid"]] = subprocess.Popen(
                [here(word) for word in container["command"] + container["args"]],
                env={"PATH": os.environ["PATH"], "POD_IP": address}, cwd=root, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        return address

    def _kill(self, uid):
        process = self.processes.pop(uid, None)
        if process is None:
            return
        # The start script and its server are a session of their own.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        shutil.rmtree(self.folder / uid, ignore_errors=True)

    def _bind_claim(self, claim):
        wanted = claim["spec"]["resources"]["requests"]
        if claim.get("status", {}).get("phase") == "Bound" and claim["status"].get("capacity") == wanted:
            return
        path = f"/api/v1/namespaces/{claim['metadata']['namespace']}/persistentvolumeclaims/{claim['metadata']['name']}"
        status = {"phase": "Bound", "capacity": wanted, "accessModes": claim["spec"]["accessModes"]}
        self.kubernetes.patch(path + "/status", {"status": status})
