"""What the operator may do, held to the promises of docs/security.md; server_test.py asks a real API server."""

import re
import unittest

import chart

READ = {"get", "list", "watch"}


def rules(name, *kinds):
    """All rules of all roles; those for people too."""
    return [(o, rule) for o in chart.of_kind(name, *(kinds or ("Role", "ClusterRole"))) for rule in o["rules"]]


def for_people(role):
    return role["metadata"]["name"].endswith(("-view", "-edit"))


class Rights(unittest.TestCase):
    def test_name_everything_they_give(self):
        for name in chart.VARIANTS:
            for role, rule in rules(name):
                with self.subTest(name, role=role["metadata"]["name"]):
                    self.assertNotIn("nonResourceURLs", rule)
                    for field in ("apiGroups", "resources", "verbs"):
                        self.assertNotIn("*", "".join(rule[field]))

    def test_never_list_secrets_and_never_escalate(self):
        for name in chart.VARIANTS:
            for _, rule in rules(name):
                if "secrets" in rule["resources"]:
                    self.assertEqual(set(rule["verbs"]), {"get", "create"})
                forbidden = {
                    "nodes",
                    "pods/exec",
                    "pods/attach",
                    "pods/portforward",
                    "serviceaccounts",
                    "roles",
                    "clusterroles",
                }
                self.assertFalse(forbidden & set(rule["resources"]))
                self.assertFalse({"impersonate", "escalate", "bind"} & set(rule["verbs"]))

    def test_are_nobody_s_where_helm_may_make_none(self):
        self.assertEqual(chart.of_kind("no rbac", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"), [])

    def test_never_change_what_people_describe(self):
        for name in chart.VARIANTS:
            for role, rule in rules(name):
                if not for_people(role) and "redisclusters" in rule["resources"]:
                    self.assertLessEqual(set(rule["verbs"]), READ)

    def test_each_rule_of_the_operator_has_its_reason_beside_it(self):
        text = (chart.CHART / "templates" / "_helpers.tpl").read_text(encoding="utf-8")
        template = text[text.index('define "slotwright.rules"') :]
        groups = re.findall(r"((?:^#.*\n)*)^- apiGroups", template, re.M)
        reasons = sum(1 for comment in groups if comment)
        # The first group of the resource itself has one reason for its two rules.
        self.assertEqual(reasons, len(groups) - 1)

    def test_are_those_of_the_documentation_s_table(self):
        given = {}
        for role, rule in rules("defaults"):
            for resource in rule["resources"] if not for_people(role) else ():
                given.setdefault(resource, set()).update(rule["verbs"])
        documented, why = chart.documented_rights()
        self.assertEqual(documented, given)
        # What is given in the operator's own namespace also where that is not watched.
        for role, rule in rules("two namespaces", "Role"):
            for resource in rule["resources"] if role["metadata"]["namespace"] == chart.NAMESPACE else ():
                self.assertIn("own namespace", why[resource])

    def test_with_namespaces_listed_are_roles_in_exactly_these(self):
        name = "two namespaces"
        self.assertEqual([o for o in chart.objects(name) if o["kind"] in ("ClusterRole", "ClusterRoleBinding")], [])
        working = [o for o in chart.of_kind(name, "Role") if not o["metadata"]["name"].endswith("-leader")]
        bindings = [o for o in chart.of_kind(name, "RoleBinding") if not o["metadata"]["name"].endswith("-leader")]
        for found in (working, bindings):
            self.assertEqual(sorted(o["metadata"]["namespace"] for o in found), ["team-a", "team-b"])
        everywhere = [o for o in chart.of_kind("defaults", "ClusterRole") if not for_people(o)]
        for role in working:
            self.assertEqual(role["rules"], everywhere[0]["rules"])

    def test_of_a_person_without_rights_on_the_cluster_are_enough_for_its_own_namespace(self):
        found = chart.objects("its own namespace, installed without rights on the cluster")
        self.assertEqual([o["kind"] for o in found if o["kind"] in chart.CLUSTER_SCOPED], [])

    def test_on_leases_are_for_one_lease_in_its_own_namespace(self):
        for name in chart.VARIANTS:
            for role, rule in rules(name):
                if "leases" not in rule["resources"]:
                    continue
                self.assertEqual((role["kind"], role["metadata"]["namespace"]), ("Role", chart.NAMESPACE))
                if set(rule["verbs"]) != {"create"}:
                    lease = next(
                        a.split("=", 1)[1]
                        for a in chart.one(name, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]
                        if a.startswith("--leader-election-id=")
                    )
                    self.assertEqual(rule["resourceNames"], [lease])

    def test_are_bound_to_the_account_that_the_pods_use(self):
        for name in chart.VARIANTS:
            account = chart.one(name, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
            for binding in chart.of_kind(name, "RoleBinding", "ClusterRoleBinding"):
                self.assertEqual(
                    binding["subjects"], [{"kind": "ServiceAccount", "name": account, "namespace": chart.NAMESPACE}]
                )
            for created in chart.of_kind(name, "ServiceAccount"):
                self.assertEqual(created["metadata"]["name"], account)

    def test_of_people_are_aggregated_only_where_cluster_roles_are_wanted(self):
        def aggregated(name):
            return [o["metadata"]["name"] for o in chart.of_kind(name, "ClusterRole") if for_people(o)]

        self.assertEqual(aggregated("defaults"), ["slotwright-view", "slotwright-edit"])
        self.assertEqual(len(aggregated("roles always aggregated")), 2)
        self.assertEqual(aggregated("roles never aggregated"), [])
        self.assertEqual(aggregated("two namespaces"), [])


if __name__ == "__main__":
    unittest.main()
