"""Alerts and dashboard ask for nothing that the operator does not export."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import yaml

import chart


def registered():
    """Names of all metrics that the sources register; server_test.py asks a running operator for them."""
    names = set()
    for file in (
        "controllers/cluster_metrics.cc",
        "reconciler/metrics/runtime_metrics.cc",
        "reconciler/metrics/process_collector.cc",
    ):
        text = (chart.ROOT / file).read_text(encoding="utf-8")
        names |= set(
            re.findall(
                r'"((?:slotwright|controller_runtime|workqueue|rest_client|leader_election|process)_[a-z_]+)"', text
            )
        )
    return names


def exported():
    """Names of all series, histograms as the three that they are."""
    names = registered()
    return names | {
        f"{name}_{suffix}" for name in names if name.endswith("_seconds") for suffix in ("bucket", "sum", "count")
    }


def metrics_in(expression):
    return set(
        re.findall(
            r"\b((?:slotwright|controller_runtime|workqueue|rest_client|leader_election|process)_[a-z_]+)", expression
        )
    )


class Observability(unittest.TestCase):
    def alerts(self, name="alerts"):
        return chart.one(name, "PrometheusRule")["spec"]["groups"][0]["rules"]

    def test_alerts_ask_only_for_metrics_that_the_program_exports(self):
        for alert in self.alerts():
            with self.subTest(alert["alert"]):
                self.assertTrue(metrics_in(alert["expr"]))
                self.assertLessEqual(metrics_in(alert["expr"]), exported())
                self.assertNotIn("@", alert["expr"] + json.dumps(alert["annotations"]))

    def test_the_dashboard_asks_only_for_metrics_that_the_program_exports(self):
        dashboard = json.loads(chart.one("dashboard", "ConfigMap")["data"]["slotwright.json"])
        expressions = [t["expr"] for panel in dashboard["panels"] for t in panel.get("targets", [])]
        self.assertGreater(len(expressions), 10)
        for expression in expressions:
            with self.subTest(expression):
                self.assertTrue(metrics_in(expression))
                self.assertLessEqual(metrics_in(expression), exported())

    def test_the_dashboard_shows_no_process_of_another_program(self):
        dashboard = json.loads(chart.one("dashboard", "ConfigMap")["data"]["slotwright.json"])
        (job,) = (v for v in dashboard["templating"]["list"] if v["name"] == "job")
        # All is then what the query finds, not whatever has the name of a metric.
        self.assertNotIn("allValue", job)
        self.assertIn('{controller="rediscluster"}', job["query"]["query"])
        self.assertLessEqual(metrics_in(job["query"]["query"]), exported())

    def test_each_alert_has_a_runbook(self):
        operations = (chart.ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
        headings = {h.lower() for h in re.findall(r"^#+ (\w+)$", operations, re.M)}
        for alert in self.alerts():
            self.assertIn(alert["alert"].lower(), headings)
            self.assertEqual(alert["annotations"]["runbook_url"], f"docs/operations.md#{alert['alert'].lower()}")
            self.assertEqual(alert["labels"]["team"], "data")
            self.assertIn("for", alert)

    def test_alerts_are_left_out_and_tuned_on_demand(self):
        names = [alert["alert"] for alert in self.alerts()]
        self.assertNotIn("SlotwrightQueueSlow", names)
        lag = next(a for a in self.alerts() if a["alert"] == "SlotwrightReplicationLag")
        self.assertTrue(lag["expr"].endswith("> 1000000000"), lag["expr"])
        schema = json.loads((chart.CHART / "values.schema.json").read_text(encoding="utf-8"))
        known = schema["properties"]["metrics"]["properties"]["prometheusRule"]["properties"]["disabled"]["items"][
            "enum"
        ]
        self.assertEqual(set(known), set(names) | {"SlotwrightQueueSlow"})

    def test_alerts_are_about_clusters_in_the_watched_namespaces(self):
        for name, selector in (("alerts", ""), ("alerts of two namespaces", '{namespace=~"team|team-b"}')):
            found = [s for a in self.alerts(name) for s in re.findall(r"\bslotwright_\w+(\{.*?\})?", a["expr"])]
            self.assertEqual(set(found), {selector})

    def test_alerts_fire_when_they_should(self):
        promtool = os.environ["PROMTOOL"]
        tests = pathlib.Path(__file__).with_name("alerts.yaml").read_text(encoding="utf-8")
        for name in ("alerts", "alerts of two namespaces"):
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                rules = {"groups": chart.one(name, "PrometheusRule")["spec"]["groups"]}
                (pathlib.Path(folder) / "rules.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
                (pathlib.Path(folder) / "alerts.yaml").write_text(tests, encoding="utf-8")
                for command in (["check", "rules", "rules.yaml"], ["test", "rules", "alerts.yaml"]):
                    run = subprocess.run([promtool, *command], cwd=folder, capture_output=True, text=True, check=False)
                    self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_scraping_keeps_the_namespace_of_the_cluster(self):
        monitor = chart.one("service monitor", "ServiceMonitor")
        self.assertTrue(all(e["honorLabels"] for e in monitor["spec"]["endpoints"]))
        monitor = chart.one("pod monitor", "PodMonitor")
        self.assertTrue(all(e["honorLabels"] for e in monitor["spec"]["podMetricsEndpoints"]))


if __name__ == "__main__":
    unittest.main()
