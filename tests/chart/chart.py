"""The chart as the tests see it: rendered by helm, as a list of objects."""

import functools
import json
import os
import pathlib
import re
import subprocess

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "slotwright"
HELM = os.environ.get("HELM", "helm")
NAMESPACE = "slotwright-system"
CLUSTER_SCOPED = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace"}

# What each switch turns on beside the defaults, each rendered by itself and all that can be together.
VARIANTS = {
    "defaults": {},
    "two namespaces": {"watch": {"namespaces": ["team-a", "team-b"]}},
    "its own namespace, installed without rights on the cluster": {
        "watch": {"namespaces": [NAMESPACE]},
        "crds": {"install": False},
    },
    "no crds": {"crds": {"install": False}},
    "no rbac": {"rbac": {"create": False}},
    "no service account": {"serviceAccount": {"create": False}},
    "foreign service account": {"serviceAccount": {"create": False, "name": "theirs"}},
    "named service account": {"serviceAccount": {"name": "operator", "annotations": {"a": "b"}}},
    "roles never aggregated": {"rbac": {"aggregateToDefaultRoles": "Never"}},
    "roles always aggregated": {
        "rbac": {"aggregateToDefaultRoles": "Always"},
        "watch": {"namespaces": ["team-a"]},
    },
    "one replica": {"replicas": 1},
    "no budget": {"podDisruptionBudget": {"enabled": False}},
    "names": {"nameOverride": "sw", "fullnameOverride": "redis-operator"},
    "long name": {"fullnameOverride": "a" * 54},
    "image by digest": {"image": {"repository": "mirror/slotwright", "digest": "sha256:" + "0" * 64}},
    "image by tag": {
        "image": {"tag": "dev", "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "mine"}],
    },
    "operator options": {
        "operator": {
            "maxConcurrentReconciles": 50,
            "logLevel": "debug",
            "logFormat": "text",
            "leaseName": "other",
            "extraArgs": ["--context=x", "--leader-elect-lease-duration=20s"],
            "extraEnv": [{"name": "A", "value": "b"}],
        }
    },
    "placement": {
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [{"topologyKey": "rack", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}],
        "priorityClassName": "system-cluster-critical",
        "resources": {"limits": {"memory": "1Gi", "cpu": "1"}},
        "terminationGracePeriodSeconds": 60,
    },
    "labels": {
        "extraLabels": {"team": "data"},
        "extraAnnotations": {"note": "x"},
        "podLabels": {"pod": "label"},
        "podAnnotations": {"pod": "annotation"},
    },
    "no metrics": {"metrics": {"enabled": False}},
    "other port": {"metrics": {"port": 9090}},
    "service monitor": {
        "metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "p"}, "interval": "1m30s"}}
    },
    "pod monitor": {"metrics": {"podMonitor": {"enabled": True, "labels": {"release": "p"}, "interval": "30s"}}},
    "alerts": {
        "metrics": {
            "prometheusRule": {
                "enabled": True,
                "labels": {"release": "p"},
                "alertLabels": {"team": "data"},
                "runbookUrl": "docs/operations.md#",
                "replicationLagBytes": 1000000000,
                "disabled": ["SlotwrightQueueSlow"],
            }
        }
    },
    "dashboard": {"metrics": {"dashboard": {"enabled": True, "annotations": {"folder": "Redis"}}}},
    "network policy": {"networkPolicy": {"enabled": True}},
    "narrow network policy": {
        "networkPolicy": {
            "enabled": True,
            "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
            "apiServerCidrs": ["10.96.0.1/32", "fd00::1/128"],
            "apiServerPorts": [443],
        },
        "watch": {"namespaces": ["team-a"]},
    },
}


def merged(*values):
    result = {}
    for value in values:
        for key, item in value.items():
            both = isinstance(item, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], item) if both else item
    return result


VARIANTS["alerts of two namespaces"] = merged(VARIANTS["alerts"], {"watch": {"namespaces": ["team", "team-b"]}})
VARIANTS["everything"] = merged(
    VARIANTS["alerts"],
    VARIANTS["dashboard"],
    VARIANTS["service monitor"],
    VARIANTS["narrow network policy"],
    VARIANTS["roles always aggregated"],
    VARIANTS["labels"],
)


def helm(*arguments, values=None):
    command = [HELM, *arguments]
    if values is not None:
        command += ["--values", "-"]
    # As JSON, where text is quoted: YAML of Python leaves 1e3 bare, which is a number to helm.
    return subprocess.run(
        command, input=json.dumps(values or {}), capture_output=True, text=True, timeout=120, check=False
    )


def template(values, release="slotwright", namespace=NAMESPACE, chart=CHART):
    # The oldest that the chart takes; a helm that was built by hand believes in an older one still.
    return helm("template", release, str(chart), "--namespace", namespace, "--kube-version", "1.29.0", values=values)


@functools.cache
def _rendered(name):
    run = template(VARIANTS[name])
    assert run.returncode == 0, f"{name}: {run.stderr}"
    return run.stdout


def objects(name):
    """The objects of a variant."""
    return [o for o in yaml.safe_load_all(_rendered(name)) if o]


def of_kind(name, *kinds):
    return [o for o in objects(name) if o["kind"] in kinds]


def one(name, kind):
    found = of_kind(name, kind)
    assert len(found) == 1, f"{name}: {len(found)} objects of kind {kind}"
    return found[0]


def documented_rights():
    """Resource -> verbs, as the table of docs/security.md has them, and the words of its row."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    table = text[text.index("| resource | verbs | why |") :].split("\n\n")[0]
    verbs, words = {}, {}
    for row in table.splitlines()[2:]:
        resources, given, why = (cell.strip() for cell in row.strip("|").split("|"))
        for resource in re.findall(r"`(.+?)`", resources):
            verbs[resource] = set(re.findall(r"\b(?:get|list|watch|create|update|patch|delete)\b", given))
            words[resource] = why
    return verbs, words
