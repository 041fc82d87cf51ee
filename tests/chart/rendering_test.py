"""The chart renders with every switch, refuses bad values, and holds the project's CustomResourceDefinition."""

import json
import pathlib
import re
import subprocess
import tempfile
import unittest

import yaml

import chart


class AsHelmReadsIt(yaml.SafeLoader):
    """Takes n and 1e3 for something else than text, as Python does not."""


AsHelmReadsIt.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"([yYnN]|\d+e\d+)$"), None)


class Rendering(unittest.TestCase):
    def test_lint_has_nothing_to_say(self):
        run = chart.helm("lint", "--strict", str(chart.CHART))
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_every_variant_passes_lint_and_renders(self):
        for name, values in chart.VARIANTS.items():
            with self.subTest(name):
                run = chart.helm("lint", "--strict", str(chart.CHART), values=values)
                self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
                self.assertTrue(chart.objects(name))

    def test_every_value_is_set_by_some_variant(self):
        """A switch that no variant turns is not tested."""
        with open(chart.CHART / "values.yaml", encoding="utf-8") as file:
            defaults = yaml.safe_load(file)
        # Given to Kubernetes as they are.
        verbatim = {"podSecurityContext", "securityContext", "metrics.dashboard.labels"}

        def leaves(values, prefix=""):
            for key, value in values.items():
                path = prefix + key
                if isinstance(value, dict) and value and path not in verbatim:
                    yield from leaves(value, path + ".")
                else:
                    yield path

        def has(values, path):
            for key in path.split("."):
                if not isinstance(values, dict) or key not in values:
                    return False
                values = values[key]
            return True

        untouched = [
            path
            for path in leaves(defaults)
            if path not in verbatim and not any(has(values, path) for values in chart.VARIANTS.values())
        ]
        # Requests alone are replaced by nobody.
        self.assertEqual([p for p in untouched if not p.startswith("resources.requests")], [])

    def test_every_value_has_a_comment_and_a_place_in_the_schema(self):
        text = (chart.CHART / "values.yaml").read_text(encoding="utf-8")
        lines = text.splitlines()
        schema = json.loads((chart.CHART / "values.schema.json").read_text(encoding="utf-8"))

        def explained(line):
            while lines[line - 1].strip().startswith("#"):
                line -= 1
                if lines[line].strip().startswith("# --"):
                    return True
            return False

        def walk(mapping, path, schema):
            for key, value in mapping.value:
                name = f"{path}{key.value}"
                with self.subTest(name):
                    self.assertIn(key.value, schema.get("properties", {}))
                    inner = schema["properties"][key.value]
                    if not explained(key.start_mark.line):
                        self.assertIsInstance(value, yaml.MappingNode, "has no comment that begins with # --")
                        walk(value, name + ".", definitions[inner["$ref"].split("/")[-1]] if "$ref" in inner else inner)

        definitions = schema["definitions"]
        walk(yaml.compose(text), "", schema)

    def test_the_package_renders_as_the_folder_does(self):
        with tempfile.TemporaryDirectory() as folder:
            run = chart.helm("package", str(chart.CHART), "--destination", folder)
            self.assertEqual(run.returncode, 0, run.stderr)
            (package,) = pathlib.Path(folder).iterdir()
            packed = chart.template({}, chart=package)
            self.assertEqual(packed.returncode, 0, packed.stderr)
            self.assertEqual(packed.stdout, chart.template({}).stdout)

    def test_names_that_yaml_takes_for_something_else_stay_names(self):
        """Everything is as it is with another name in their place."""

        def rendered(name, part):
            own = {
                # A part of the release's name, which then is the whole name of all objects.
                "nameOverride": part,
                "priorityClassName": name,
                "operator": {"leaseName": name},
                "serviceAccount": {"name": name},
                "watch": {"namespaces": [name]},
            }
            run = chart.template(chart.merged(chart.VARIANTS["everything"], own), release=name, namespace=name)
            self.assertEqual(run.returncode, 0, run.stderr)
            return [json.dumps(o) for o in yaml.load_all(run.stdout, AsHelmReadsIt) if o]

        parts = {"123": "", "true": "true", "null": "null", "n": "n", "0x10": "x", "1e3": "e"}
        for name, part in parts.items():
            with self.subTest(name):
                other = "qqq" + part
                expected = sorted(o.replace(other, name) for o in rendered(other, part))
                self.assertEqual(sorted(rendered(name, part)), expected)

    def test_the_notes_give_a_namespace_that_is_a_number_as_text(self):
        run = chart.helm(
            "install", "slotwright", str(chart.CHART), "--dry-run=client", values={"watch": {"namespaces": ["123"]}}
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn('metadata: {name: demo, namespace: "123"}', run.stdout)

    def test_dots_of_the_release_s_name_are_in_no_name(self):
        for values in ({}, {"nameOverride": "rel"}):
            run = chart.template(values, release="my.rel")
            objects = [o for o in yaml.safe_load_all(run.stdout) if o and o["kind"] != "CustomResourceDefinition"]
            self.assertFalse([o["metadata"]["name"] for o in objects if "." in o["metadata"]["name"]])
            self.assertEqual({o["metadata"]["labels"]["app.kubernetes.io/instance"] for o in objects}, {"my.rel"})

    def test_no_registry_is_named(self):
        for name in chart.VARIANTS:
            if "image" in chart.VARIANTS[name]:
                continue
            deployment = chart.one(name, "Deployment")
            for container in deployment["spec"]["template"]["spec"]["containers"]:
                self.assertNotIn(".", container["image"].split("/")[0].split(":")[0])

    def test_the_chart_is_of_the_program_s_version(self):
        cmake = (chart.ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
        version = re.search(r"project\(slotwright VERSION (\S+)", cmake)[1]
        with open(chart.CHART / "Chart.yaml", encoding="utf-8") as file:
            self.assertEqual(str(yaml.safe_load(file)["appVersion"]), version)


class BadValues(unittest.TestCase):
    REFUSED = {
        "a value that is not there": {"replicaCount": 2},
        "a nested one": {"operator": {"logLevell": "info"}},
        "a level that is not there": {"operator": {"logLevel": "trace"}},
        "no worker": {"operator": {"maxConcurrentReconciles": 0}},
        "too many workers": {"operator": {"maxConcurrentReconciles": 257}},
        "replicas as text": {"replicas": "two"},
        "a negative number of replicas": {"replicas": -1},
        "an operator without an election": {"operator": {"extraArgs": ["--no-leader-elect"]}},
        "an operator without one, in other words": {"operator": {"extraArgs": ["--leader-elect=disable"]}},
        "an operator without one, as a number": {"operator": {"extraArgs": ["--leader-elect=-1"]}},
        "an option that a value gives, in two words": {"operator": {"extraArgs": ["--log-level", "debug"]}},
        "a misspelt variable": {"operator": {"extraEnv": [{"name": "A", "valeu": "x"}]}},
        "a namespace in upper case": {"watch": {"namespaces": ["Team"]}},
        "namespaces as text": {"watch": {"namespaces": "a,b"}},
        "a pull policy": {"image": {"pullPolicy": "Sometimes"}},
        "a short digest": {"image": {"digest": "sha256:12"}},
        "the port of the probes for metrics": {"metrics": {"port": 8081}},
        "a privileged port": {"metrics": {"port": 80}},
        "an alert that is not there": {"metrics": {"prometheusRule": {"disabled": ["Nope"]}}},
        "an interval without a unit": {"metrics": {"serviceMonitor": {"interval": "30"}}},
        "an interval with seconds before minutes": {"metrics": {"serviceMonitor": {"interval": "30s1m"}}},
        "an aggregation mode": {"rbac": {"aggregateToDefaultRoles": True}},
        "a name that is none": {"fullnameOverride": "Slot_Wright"},
        "a name for all that is none": {"nameOverride": "Foo_Bar"},
        "an account's name that is none": {"serviceAccount": {"name": "a_b"}},
        "an account's name with an empty part": {"serviceAccount": {"name": "a..b"}},
        "an address without a mask": {"networkPolicy": {"apiServerCidrs": ["10.0.0.1"]}},
        "a mask of more bits than an address has": {"networkPolicy": {"apiServerCidrs": ["10.0.0.0/33"]}},
        "a mask of more bits than a long address has": {"networkPolicy": {"apiServerCidrs": ["fd00::/129"]}},
        "a label with a blank": {"extraLabels": {"a": "b c"}},
    }

    def test_are_refused_by_the_schema(self):
        for name, values in self.REFUSED.items():
            with self.subTest(name):
                run = chart.template(values)
                self.assertNotEqual(run.returncode, 0, "accepted")
                self.assertIn("schema", run.stderr)

    def test_an_option_that_the_chart_gives_is_refused_in_extra_arguments(self):
        args = chart.one("everything", "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]
        for argument in args[1:]:
            with self.subTest(argument):
                self.assertIn("schema", chart.template({"operator": {"extraArgs": [argument]}}).stderr)

    def test_a_value_that_is_taken_away_is_refused_unless_nothing_misses_it(self):
        with open(chart.CHART / "values.yaml", encoding="utf-8") as file:
            defaults = yaml.safe_load(file)

        def without_each(values):
            for key, value in values.items():
                yield {key: None}
                if isinstance(value, dict):
                    yield from ({key: inner} for inner in without_each(value))

        for missing in without_each(defaults):
            with self.subTest(missing):
                run = chart.template(chart.merged(chart.VARIANTS["everything"], missing))
                if run.returncode != 0:
                    self.assertIn("schema", run.stderr)
                # An argument or a port of nothing.
                self.assertNotRegex(run.stdout, r"(?m)(<nil>|[^=]=)$")

    def test_alerts_and_monitors_without_metrics_are_refused(self):
        for name in ("prometheusRule", "serviceMonitor", "podMonitor"):
            run = chart.template({"metrics": {"enabled": False, name: {"enabled": True}}})
            self.assertNotEqual(run.returncode, 0, name)
            self.assertIn(f"metrics.{name}.enabled needs metrics.enabled", run.stderr)

    def test_both_monitors_are_refused(self):
        run = chart.template({"metrics": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}})
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("scraped twice", run.stderr)


class Definition(unittest.TestCase):
    def test_is_the_project_s_own_with_helm_s_metadata(self):
        with open(chart.ROOT / "crds" / "redisclusters.yaml", encoding="utf-8") as file:
            source = yaml.safe_load(file)
        rendered = chart.one("labels", "CustomResourceDefinition")
        annotations = rendered["metadata"].pop("annotations")
        self.assertEqual(annotations, {"helm.sh/resource-policy": "keep", "note": "x"})
        self.assertEqual(rendered["metadata"].pop("labels")["team"], "data")
        self.assertEqual(rendered, source)

    def test_holds_nothing_that_helm_would_expand(self):
        self.assertNotIn("{{", (chart.ROOT / "crds" / "redisclusters.yaml").read_text(encoding="utf-8"))

    def test_is_left_out_on_demand(self):
        self.assertEqual(chart.of_kind("no crds", "CustomResourceDefinition"), [])

    def test_has_no_links_that_some_tools_leave_out(self):
        self.assertEqual([file for file in chart.CHART.rglob("*") if file.is_symlink()], [])


if __name__ == "__main__":
    unittest.main()
