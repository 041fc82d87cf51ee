"""The chart on a real API server: `helm install`, the operator's pods as pod security sees them, and a life of the
operator with nothing but its ServiceAccount's token. The audit log says what it was refused, and which of its
rights it never used.
Run by server.sh, which sets PROGRAMS, SLOTWRIGHT and HELM. The tests are one story, told in the order of their names.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import urllib.request

import chart
from kubernetes import ADDRESS, Kubernetes, free_port, wait_until
from monitoring_test import registered
from pretended_node import PretendedNode

ACCOUNT = f"system:serviceaccount:{chart.NAMESPACE}:slotwright"
# The server asks for it, and the audit log does not show that.
NOT_AUDITED = {("update", "redisclusters/finalizers")}
SLOTWRIGHT = os.environ.get("SLOTWRIGHT", "slotwright-operator")


def cluster(name, namespace, **spec):
    spec = {"masters": 3, "replicasPerMaster": 0, "image": "redis:7.0", **spec}
    metadata = {"name": name, "namespace": namespace}
    return json.dumps(
        {"apiVersion": "slotwright.dev/v1alpha1", "kind": "RedisCluster", "metadata": metadata, "spec": spec}
    )


@unittest.skipUnless("PROGRAMS" in os.environ, "run tests/chart/server.sh")
class OnAServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="slotwright-chart-")  # pylint: disable=consider-using-with
        cls.addClassCleanup(cls.temporary.cleanup)
        folder = pathlib.Path(cls.temporary.name)
        cls.kubernetes = Kubernetes(os.environ["PROGRAMS"], folder, ACCOUNT)
        cls.addClassCleanup(cls.kubernetes.stop)
        cls.kubernetes.start()
        cls.node = PretendedNode(cls.kubernetes, folder)
        cls.addClassCleanup(cls.node.stop)
        cls.node.start()
        cls.operators = []
        cls.metrics = []
        for namespace in (chart.NAMESPACE, "team-a", "team-b", "team-c"):
            labels = {"pod-security.kubernetes.io/enforce": "restricted"}
            cls.kubernetes.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace, "labels": labels}})
        cls.kubernetes.request("POST", "/apis/storage.k8s.io/v1/storageclasses", {
            "metadata": {"name": "growing"}, "provisioner": "test.dev/none", "allowVolumeExpansion": True})  # fmt: skip

    # --- what the story is made of

    def try_helm(self, *arguments, values=None):
        return chart.helm(
            *arguments, "--kubeconfig", str(self.kubernetes.kubeconfig), "--namespace", chart.NAMESPACE, values=values
        )

    def helm(self, *arguments, values=None):
        run = self.try_helm(*arguments, values=values)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def start_operators(self):
        """As many as the Deployment says, with its own arguments and the token of its own account."""
        deployment = self.kubernetes.request(
            "GET", f"/apis/apps/v1/namespaces/{chart.NAMESPACE}/deployments/slotwright"
        )
        args = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
        args = [a for a in args if "bind-address" not in a and "log-level" not in a and "log-format" not in a]
        token = self.kubernetes.kubectl("-n", chart.NAMESPACE, "create", "token", "slotwright").strip()
        kubeconfig = self.kubernetes.write_kubeconfig("operator", token)
        here = [f"--kubeconfig={kubeconfig}", "--health-probe-bind-address=0"]
        self.metrics.clear()
        for i in range(deployment["spec"]["replicas"]):
            self.metrics.append(f"{ADDRESS}:{free_port()}")
            command = [SLOTWRIGHT, *args, *here, f"--metrics-bind-address={self.metrics[-1]}"]
            self.operators.append(
                self.kubernetes.processes.start(f"operator-{i}", command, env={"OPERATOR_NAMESPACE": chart.NAMESPACE})
            )

    def stop_operators(self):
        while self.operators:
            self.kubernetes.processes.stop(self.operators.pop())

    def condition(self, namespace, name, kind="Ready"):
        path = f"/apis/slotwright.dev/v1alpha1/namespaces/{namespace}/redisclusters/{name}"
        found = self.kubernetes.request("GET", path)
        conditions = found.get("status", {}).get("conditions", [])
        condition = next((c for c in conditions if c["type"] == kind), None)
        if (
            condition
            and condition.get("observedGeneration", found["metadata"]["generation"]) < found["metadata"]["generation"]
        ):
            return None
        return condition

    def ready(self, namespace, name, seconds=90):
        def problem():
            condition = self.condition(namespace, name)
            return None if condition and condition["status"] == "True" else str(condition)

        try:
            wait_until(f"{namespace}/{name} is ready", problem, seconds)
        except AssertionError:
            for log in sorted(pathlib.Path(self.temporary.name).glob("operator-*.log")):
                print(
                    f"--- {log.name}\n" + "\n".join(log.read_text(encoding="utf-8").splitlines()[-15:]), file=sys.stderr
                )
            print(f"--- the pretended node's last problem: {self.node.problem}", file=sys.stderr)
            raise

    def change(self, name, spec, namespace="team-a"):
        self.kubernetes.patch(
            f"/apis/slotwright.dev/v1alpha1/namespaces/{namespace}/redisclusters/{name}", {"spec": spec}
        )
        self.ready(namespace, name)

    def refused_requests(self):
        return sorted({(verb, resource, ns) for verb, resource, ns, code in self.kubernetes.audit() if code == 403})

    def granted(self):
        rights = set()
        for role in chart.of_kind("defaults", "ClusterRole", "Role"):
            if role["metadata"]["name"].endswith(("-view", "-edit")):
                continue
            rights |= {
                (verb, resource) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]
            }
        return rights

    # --- the story

    def test_01_installs_and_its_pods_pass_pod_security(self):
        self.helm("install", "slotwright", str(chart.CHART))
        wait_until("two operator pods were let in", lambda: self.operator_pods_problem(2))
        wait_until(
            "the definition is served", lambda: self.kubernetes.try_get("/apis/slotwright.dev/v1alpha1/redisclusters")
        )
        self.assertEqual(self.annotations_of_the_definition()["helm.sh/resource-policy"], "keep")

    def test_02_examples_are_taken_as_they_are(self):
        examples = sorted((chart.ROOT / "examples").glob("*.yaml"))
        self.assertGreater(len(examples), 2)
        for example in examples:
            self.kubernetes.kubectl("-n", "team-a", "apply", "--dry-run=server", "-f", str(example))

    def annotations_of_the_definition(self):
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/redisclusters.slotwright.dev"
        return self.kubernetes.request("GET", path)["metadata"]["annotations"]

    def operator_pods_problem(self, wanted):
        path = f"/api/v1/namespaces/{chart.NAMESPACE}/pods?labelSelector=app.kubernetes.io/component%3Doperator"
        found = len(self.kubernetes.request("GET", path)["items"])
        return None if found == wanted else f"{found} pods"

    def test_03_a_life_of_the_operator_with_its_own_rights_alone(self):
        self.start_operators()
        apply = ("apply", "-f", "-")
        storage = {"size": "1Gi", "storageClassName": "growing", "retain": "Delete"}
        self.kubernetes.kubectl(*apply, manifest=cluster("demo", "team-a", replicasPerMaster=1, storage=storage))
        self.ready("team-a", "demo")
        kubeconfig = self.kubernetes.folder / "operator.kubeconfig"
        for command in ("status", "check", "plan"):  # as by kubectl exec in its pod
            run = subprocess.run(
                [SLOTWRIGHT, command, "demo", "--namespace=team-a", f"--kubeconfig={kubeconfig}"],
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.change("demo", {"config": {"maxmemory-policy": "allkeys-lru"}})  # set live
        self.change("demo", {"masters": 4, "storage": {"size": "2Gi"}})
        self.change("demo", {"masters": 3})
        self.change("demo", {"replicasPerMaster": 2})
        self.change("demo", {"replicasPerMaster": 1, "image": "redis:7.0.1"})  # rolling, by evictions
        service = "/api/v1/namespaces/team-a/services/demo"
        self.kubernetes.patch(service, {"spec": {"selector": {"app.kubernetes.io/instance": "nobody"}}})

        def astray():
            selector = self.kubernetes.request("GET", service)["spec"]["selector"]
            return None if selector.get("app.kubernetes.io/instance") == "demo" else str(selector)

        wait_until("the service is repaired", astray)

    def test_04_names_that_are_taken_are_looked_up(self):
        labels = {"metadata": {"name": "", "namespace": "team-a"}}
        for path, name, body in (
            ("/api/v1/namespaces/team-a/configmaps", "taken-config", {}),
            ("/api/v1/namespaces/team-a/services", "taken", {"spec": {"ports": [{"port": 1}]}}),
            ("/apis/policy/v1/namespaces/team-a/poddisruptionbudgets", "taken-0", {"spec": {"maxUnavailable": 1}}),
            ("/api/v1/namespaces/team-a/persistentvolumeclaims", "data-taken-0-0",
             {"spec": {"storageClassName": "growing", "accessModes": ["ReadWriteOnce"],
                       "resources": {"requests": {"storage": "1Gi"}}}}),
        ):  # fmt: skip
            self.kubernetes.request("POST", path, {**labels, "metadata": {"name": name}, **body})
        storage = {"size": "1Gi", "storageClassName": "growing"}
        self.kubernetes.kubectl("apply", "-f", "-", manifest=cluster("taken", "team-a", storage=storage))

        def problem():
            condition = self.condition("team-a", "taken")
            return None if condition and condition["reason"] == "NameTaken" else str(condition)

        wait_until("it is said that the names are taken", problem)
        used = {(verb, resource) for verb, resource, _, code in self.kubernetes.audit() if code == 200}
        for resource in ("configmaps", "services", "poddisruptionbudgets", "persistentvolumeclaims"):
            self.assertIn(("get", resource), used)
        self.kubernetes.kubectl(
            "-n", "team-a", "delete", "rdc/taken", "configmap/taken-config", "service/taken", "pdb/taken-0"
        )

    def test_05_another_operator_takes_over(self):
        lease = f"/apis/coordination.k8s.io/v1/namespaces/{chart.NAMESPACE}/leases/slotwright"
        first = self.kubernetes.request("GET", lease)["spec"]["holderIdentity"]
        # Whichever leads: one is stopped, and a cluster is still looked after.
        self.kubernetes.processes.stop(self.operators.pop(0))
        self.change("demo", {"masters": 4})
        self.kubernetes.processes.stop(self.operators.pop(0))
        self.start_operators()
        self.change("demo", {"masters": 3})
        self.assertNotEqual(self.kubernetes.request("GET", lease)["spec"]["holderIdentity"], first)

    def test_06_it_was_refused_nothing_and_used_all_that_it_may(self):
        self.assertEqual(self.refused_requests(), [])
        used = {(verb, resource) for verb, resource, _, code in self.kubernetes.audit() if code < 400 or code == 404}
        unused = self.granted() - used - NOT_AUDITED
        self.assertEqual(sorted(unused), [], "rights that nothing needed")
        self.assertEqual(sorted(used - self.granted()), [])

    def what_it_may_do(self, namespace):
        """(resource, resource names, verbs) of `kubectl auth can-i --list`, but for those that every account has."""
        text = self.kubernetes.kubectl("auth", "can-i", "--list", f"--as={ACCOUNT}", "-n", namespace)
        rows = re.findall(r"^([a-z]\S*)\s+\[\]\s+\[(.*?)\]\s+\[(.*?)\]$", text, re.M)
        return sorted(row for row in rows if not row[0].startswith("selfsubject"))

    def test_07_what_kubernetes_says_it_may_do_is_what_the_documentation_says(self):
        text = (chart.ROOT / "docs" / "security.md").read_text(encoding="utf-8")
        text = text[text.index("### As Kubernetes prints it") : text.index("### For people")]
        printed = re.findall(r"^    ([a-z]\S*)\s+\[(.*?)\]\s+\[(.*?)\]$", text, re.M)
        leases = [row for row in printed if row[0].startswith("leases")]
        elsewhere = self.what_it_may_do("team-a")
        self.assertEqual(elsewhere, sorted(set(printed) - set(leases)))
        own = self.what_it_may_do(chart.NAMESPACE)
        self.assertEqual(own, sorted(elsewhere + leases))
        given = {}
        for resource, _, verbs in own:
            given.setdefault(re.sub(r"\.[a-z0-9.]+", "", resource), set()).update(verbs.split())
        self.assertEqual(given, chart.documented_rights()[0])

    def test_08_what_is_not_in_the_documentation_is_forbidden(self):
        forbidden = "list secrets,watch secrets,delete secrets,create pods --subresource=exec,get nodes,list leases"
        for right in (forbidden + ",patch redisclusters,delete redisclusters").split(","):
            answer = self.kubernetes.kubectl(
                "auth", "can-i", *right.split(), f"--as={ACCOUNT}", "-n", "team-a", check=False
            )
            self.assertIn("no", answer.splitlines(), f"{right}: {answer}")

    def test_09_what_the_sources_register_is_what_it_serves(self):
        served = set()
        for address in self.metrics:
            with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as response:
                served |= set(re.findall(r"^# TYPE (\S+)", response.read().decode(), re.M))
        self.assertEqual(served, registered())

    def test_10_an_upgrade_to_listed_namespaces_leaves_clusters_alone_and_ignores_other_namespaces(self):
        before = self.pods("team-a")
        # In between the old pods would be refused what they watched until now: that is no news here.
        self.stop_operators()
        requests_before = len(list(self.kubernetes.audit()))
        self.helm("upgrade", "slotwright", str(chart.CHART), values={
            "watch": {"namespaces": ["team-a", "team-b"]},
            "networkPolicy": chart.VARIANTS["narrow network policy"]["networkPolicy"],
            "metrics": {"dashboard": {"enabled": True}},
        })  # fmt: skip
        self.start_operators()
        self.assertIn("not found", self.kubernetes.kubectl("get", "clusterrole", "slotwright", check=False))
        for namespace in ("team-b", "team-c"):
            self.kubernetes.kubectl("apply", "-f", "-", manifest=cluster("other", namespace))
        self.ready("team-b", "other")
        self.ready("team-a", "demo")
        self.assertEqual(self.pods("team-a"), before)
        self.assertIsNone(self.condition("team-c", "other"))
        self.assertEqual(self.pods("team-c"), {})
        asked_about = {ns for _, _, ns, _ in list(self.kubernetes.audit())[requests_before:]}
        self.assertEqual(asked_about, {"team-a", "team-b", chart.NAMESPACE})
        self.assertEqual(self.refused_requests(), [])

    def pods(self, namespace):
        path = f"/api/v1/namespaces/{namespace}/pods?labelSelector=app.kubernetes.io/managed-by%3Dslotwright"
        return {p["metadata"]["name"]: p["metadata"]["uid"] for p in self.kubernetes.request("GET", path)["items"]}

    def test_11_uninstalling_leaves_resources_and_pods_and_a_new_installation_goes_on_with_them(self):
        before = self.pods("team-a")
        self.stop_operators()
        self.helm("uninstall", "slotwright")
        wait_until("the operator's pods are gone", lambda: self.operator_pods_problem(0))
        self.assertEqual(self.pods("team-a"), before)
        self.assertIsNotNone(self.condition("team-a", "demo"))
        self.helm("install", "slotwright", str(chart.CHART))
        self.start_operators()
        self.change("demo", {"config": {"maxmemory-policy": "allkeys-lfu"}})
        self.assertEqual(self.pods("team-a"), before)
        self.ready("team-c", "other")
        self.assertEqual(self.refused_requests(), [])

    def test_12_a_release_of_another_name_takes_the_definition_over_only_if_told_to(self):
        self.stop_operators()
        self.helm("uninstall", "slotwright")
        install = ("install", "another", str(chart.CHART))
        refused = self.try_helm(*install)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("redisclusters.slotwright.dev", refused.stderr)
        self.assertEqual(self.annotations_of_the_definition()["meta.helm.sh/release-name"], "slotwright")
        self.helm(*install, "--take-ownership")
        self.assertEqual(self.annotations_of_the_definition()["meta.helm.sh/release-name"], "another")
        self.assertIsNotNone(self.condition("team-a", "demo"))


if __name__ == "__main__":
    unittest.main(failfast=True)
