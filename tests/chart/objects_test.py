"""The operator's pods and the objects around them."""

import os
import subprocess
import unittest

import chart


class Pods(unittest.TestCase):
    def test_pass_pod_security_restricted_and_have_a_root_that_cannot_be_written(self):
        allowed_volumes = {
            "configMap",
            "csi",
            "downwardAPI",
            "emptyDir",
            "ephemeral",
            "persistentVolumeClaim",
            "projected",
            "secret",
        }
        for name in chart.VARIANTS:
            spec = chart.one(name, "Deployment")["spec"]["template"]["spec"]
            with self.subTest(name):
                self.assertTrue(spec["securityContext"]["runAsNonRoot"])
                self.assertGreater(spec["securityContext"]["runAsUser"], 0)
                self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                for field in ("hostNetwork", "hostPID", "hostIPC"):
                    self.assertFalse(spec.get(field))
                for volume in spec.get("volumes", []):
                    self.assertLessEqual(set(volume) - {"name"}, allowed_volumes)
                for container in spec["containers"] + spec.get("initContainers", []):
                    context = container["securityContext"]
                    self.assertIs(context["allowPrivilegeEscalation"], False)
                    self.assertIs(context["readOnlyRootFilesystem"], True)
                    self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
                    self.assertFalse(context.get("privileged"))
                    self.assertFalse(any("hostPort" in port for port in container.get("ports", [])))

    def test_are_two_apart_with_a_budget(self):
        deployment = chart.one("defaults", "Deployment")
        self.assertEqual(deployment["spec"]["replicas"], 2)
        spec = deployment["spec"]["template"]["spec"]
        self.assertIn("preferredDuringSchedulingIgnoredDuringExecution", spec["affinity"]["podAntiAffinity"])
        self.assertEqual(spec["topologySpreadConstraints"][0]["whenUnsatisfiable"], "ScheduleAnyway")
        self.assertEqual(chart.one("defaults", "PodDisruptionBudget")["spec"]["maxUnavailable"], 1)
        for name in ("one replica", "no budget"):
            self.assertEqual(chart.of_kind(name, "PodDisruptionBudget"), [])

    def test_are_selected_by_every_selector(self):
        for name in chart.VARIANTS:
            deployment = chart.one(name, "Deployment")
            labels = deployment["spec"]["template"]["metadata"]["labels"]
            selectors = [deployment["spec"]["selector"]["matchLabels"]]
            for o in chart.of_kind(name, "Service"):
                selectors.append(o["spec"]["selector"])
            for o in chart.of_kind(name, "PodDisruptionBudget", "PodMonitor"):
                selectors.append(o["spec"]["selector"]["matchLabels"])
            for o in chart.of_kind(name, "NetworkPolicy"):
                selectors.append(o["spec"]["podSelector"]["matchLabels"])
            for o in chart.of_kind(name, "ServiceMonitor"):
                (service,) = chart.of_kind(name, "Service")
                self.assertLessEqual(
                    o["spec"]["selector"]["matchLabels"].items(), service["metadata"]["labels"].items()
                )
            for selector in selectors:
                self.assertLessEqual(selector.items(), labels.items(), name)
                # Nothing that an upgrade changes: the selector of a Deployment cannot be changed.
                self.assertNotIn("helm.sh/chart", selector)
                self.assertNotIn("app.kubernetes.io/version", selector)

    def test_get_only_options_that_the_program_has(self):
        program = os.environ.get("SLOTWRIGHT")
        if not program:
            self.skipTest("SLOTWRIGHT names no program")
        help_text = subprocess.run([program, "operator", "--help"], capture_output=True, text=True, check=True).stdout
        for name in chart.VARIANTS:
            container = chart.one(name, "Deployment")["spec"]["template"]["spec"]["containers"][0]
            self.assertEqual(container["args"][0], "operator")
            for argument in container["args"][1:]:
                self.assertRegex(help_text, rf"(?m)^\s+{argument.split('=')[0]}\b")
            for variable in container["env"]:
                if variable["name"] != "A":
                    self.assertIn(f"Env:{variable['name']}", help_text)

    def test_watch_the_namespaces_that_are_listed(self):
        def watched(name):
            args = chart.one(name, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]
            return [a.split("=")[1] for a in args if a.startswith("--namespace=")]

        self.assertEqual(watched("defaults"), [])
        self.assertEqual(watched("two namespaces"), ["team-a", "team-b"])


class Objects(unittest.TestCase):
    def test_carry_the_recommended_labels_and_those_that_were_asked_for(self):
        for name in chart.VARIANTS:
            for o in chart.objects(name):
                labels = o["metadata"]["labels"]
                for key in ("name", "instance", "version", "component", "part-of", "managed-by"):
                    self.assertIn(f"app.kubernetes.io/{key}", labels, f"{name}: {o['kind']}")
                if name == "labels":
                    self.assertEqual(labels["team"], "data")
                    self.assertEqual(o["metadata"]["annotations"]["note"], "x")

    def test_are_in_a_namespace_unless_they_cannot_be(self):
        for name in chart.VARIANTS:
            for o in chart.objects(name):
                self.assertEqual(
                    "namespace" not in o["metadata"], o["kind"] in chart.CLUSTER_SCOPED, f"{name}: {o['kind']}"
                )

    def test_have_names_that_kubernetes_takes(self):
        for o in chart.objects("long name"):
            if o["kind"] != "CustomResourceDefinition":
                self.assertLessEqual(len(o["metadata"]["name"]), 63)

    def test_of_optional_kinds_are_off_by_default(self):
        kinds = {o["kind"] for o in chart.objects("defaults")}
        self.assertFalse(kinds & {"ServiceMonitor", "PodMonitor", "PrometheusRule", "ConfigMap", "NetworkPolicy"})
        kinds = {o["kind"] for name in ("everything", "pod monitor") for o in chart.objects(name)}
        self.assertLessEqual({"ServiceMonitor", "PodMonitor", "PrometheusRule", "ConfigMap", "NetworkPolicy"}, kinds)

    def test_without_metrics_neither_a_service_nor_a_monitor_is_made(self):
        kinds = {o["kind"] for o in chart.objects("no metrics")}
        self.assertFalse(kinds & {"Service", "ServiceMonitor"})
        self.assertIn(
            "--metrics-bind-address=0",
            chart.one("no metrics", "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"],
        )


if __name__ == "__main__":
    unittest.main()
