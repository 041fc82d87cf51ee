// What a control plane does beyond its API: garbage collection, pods, disruption budgets, reviews.
#include "tests/conformance/server_under_test.h"

namespace slotwright::conformance {
namespace {

namespace types = reconciler::types;
using reconciler::StringAt;
using types::kConfigMaps;
using types::kPods;

class ClusterTest : public ConformanceTest {
 protected:
  Json Owned(const std::string& name, const Json& owner, bool blocks = false) {
    Json object = ConfigMap(name);
    object["metadata"]["ownerReferences"] = Json::array({{{"apiVersion", owner["apiVersion"]},
                                                          {"kind", owner["kind"]},
                                                          {"name", owner["metadata"]["name"]},
                                                          {"uid", owner["metadata"]["uid"]},
                                                          {"controller", true},
                                                          {"blockOwnerDeletion", blocks}}});
    return object;
  }

  void MarkReady(const std::string& pod) {
    const Json status = {{"phase", "Running"}, {"conditions", Json::array({{{"type", "Ready"}, {"status", "True"}}})}};
    EXPECT_EQ(MergePatch(kPods, pod, {{"status", status}}, "status").status, 200);
  }

  void Delete(const std::string& name, const char* propagation) {
    EXPECT_EQ(Send("DELETE", Path(kWidgets, name), {{"propagationPolicy", propagation}}).status, 200);
  }
};

TEST_F(ClusterTest, DependentsGoWithTheirOwner) {
  const Json owner = Create(kWidgets, Widget("owner"));
  Create(kConfigMaps, Owned("dependent", owner));
  Delete("owner", "Background");
  EXPECT_TRUE(Disappears(kWidgets, "owner"));
  EXPECT_TRUE(Disappears(kConfigMaps, "dependent"));
}

TEST_F(ClusterTest, AnOwnerThatNeverWasTakesItsDependentToo) {
  Json ghost = Widget("ghost");
  ghost["metadata"]["uid"] = "00000000-0000-4000-8000-000000000000";
  Create(kConfigMaps, Owned("dependent", ghost));
  EXPECT_TRUE(Disappears(kConfigMaps, "dependent"));
}

TEST_F(ClusterTest, OrphansStayWithoutOwner) {
  const Json owner = Create(kWidgets, Widget("owner"));
  Create(kConfigMaps, Owned("dependent", owner));
  Delete("owner", "Orphan");
  EXPECT_TRUE(Disappears(kWidgets, "owner"));
  EXPECT_FALSE(Get(kConfigMaps, "dependent")["metadata"].contains("ownerReferences"));
}

TEST_F(ClusterTest, InTheForegroundTheOwnerGoesLast) {
  const Json owner = Create(kWidgets, Widget("owner"));
  Json held = Owned("dependent", owner, true);
  held["metadata"]["finalizers"] = {"conformance.slotwright.dev/hold"};
  Create(kConfigMaps, held);
  Delete("owner", "Foreground");
  // As in Disappears: a real collector looks for new types each half minute.
  ASSERT_TRUE(
      Eventually([this] { return !StringAt(Get(kConfigMaps, "dependent"), {"metadata", "deletionTimestamp"}).empty(); },
                 std::chrono::seconds(70)));
  EXPECT_EQ(Get(kWidgets, "owner")["metadata"]["finalizers"], Json({"foregroundDeletion"}));
  MergePatch(kConfigMaps, "dependent", {{"metadata", {{"finalizers", nullptr}}}});
  EXPECT_TRUE(Disappears(kConfigMaps, "dependent"));
  EXPECT_TRUE(Disappears(kWidgets, "owner"));
}

TEST_F(ClusterTest, APodGetsDefaults) {
  const Json pod = Create(kPods, HomelessPod("a"));
  EXPECT_EQ(pod["spec"]["restartPolicy"], "Always");
  EXPECT_EQ(pod["spec"]["terminationGracePeriodSeconds"], 30);
  EXPECT_EQ(pod["spec"]["containers"][0]["imagePullPolicy"], "IfNotPresent");
  EXPECT_EQ(pod["status"]["phase"], "Pending");
  EXPECT_EQ(pod["status"]["qosClass"], "BestEffort");
}

TEST_F(ClusterTest, APodsSpecCannotBeChangedButForItsImage) {
  Create(kPods, HomelessPod("a"));
  Reply refused = MergePatch(kPods, "a", {{"spec", {{"hostname", "other"}}}});
  EXPECT_EQ(refused.status, 422);
  EXPECT_TRUE(
      refused.message().starts_with("Pod \"a\" is invalid: spec: Forbidden: pod updates may not change fields "
                                    "other than `spec.containers[*].image`"))
      << refused.message();
}

TEST_F(ClusterTest, APodWithoutImageOrContainersIsRefused) {
  Json pod = HomelessPod("a");
  pod["spec"]["containers"] = Json::array();
  EXPECT_EQ(Send("POST", Path(kPods), pod).message(), "Pod \"a\" is invalid: spec.containers: Required value");
  pod = HomelessPod("a");
  pod["spec"]["containers"][0].erase("image");
  EXPECT_EQ(Send("POST", Path(kPods), pod).message(), "Pod \"a\" is invalid: spec.containers[0].image: Required value");
}

TEST_F(ClusterTest, APodThatFitsNowhereSaysSoAndIsDeletedAtOnce) {
  Create(kPods, HomelessPod("a"));
  ASSERT_TRUE(Eventually([this] {
    for (const auto& condition : Get(kPods, "a")["status"].value("conditions", Json::array())) {
      if (condition["type"] == "PodScheduled") return condition["reason"] == "Unschedulable";
    }
    return false;
  }));
  EXPECT_EQ(Send("DELETE", Path(kPods, "a")).status, 200);
  EXPECT_EQ(Send("GET", Path(kPods, "a")).status, 404);
}

TEST_F(ClusterTest, ABoundPodIsDeletedGracefully) {
  Json pod = HomelessPod("a");
  pod["spec"].erase("nodeSelector");
  pod["spec"]["nodeName"] = "no-such-node";
  Create(kPods, pod);
  EXPECT_EQ(Send("DELETE", Path(kPods, "a")).status, 200);
  const Json dying = Get(kPods, "a");
  EXPECT_EQ(dying["metadata"]["deletionGracePeriodSeconds"], 30);
  EXPECT_FALSE(StringAt(dying, {"metadata", "deletionTimestamp"}).empty());
  EXPECT_EQ(Send("DELETE", Path(kPods, "a"), {{"gracePeriodSeconds", 0}}).status, 200);
  EXPECT_TRUE(Disappears(kPods, "a"));
}

TEST_F(ClusterTest, ABudgetCountsReadyPodsAndStopsEvictions) {
  const ResourceType& budgets = types::kPodDisruptionBudgets;
  for (const char* name : {"a", "b"}) {
    Create(kPods, HomelessPod(name, {{"app", "x"}}));
    MarkReady(name);
  }
  Create(budgets, {{"apiVersion", "policy/v1"},
                   {"kind", "PodDisruptionBudget"},
                   {"metadata", {{"name", "budget"}}},
                   {"spec", {{"minAvailable", 1}, {"selector", {{"matchLabels", {{"app", "x"}}}}}}}});
  ASSERT_TRUE(Eventually([&] { return Get(budgets, "budget")["status"].value("currentHealthy", 0) == 2; }));
  const Json status = Get(budgets, "budget")["status"];
  EXPECT_EQ(status["expectedPods"], 2);
  EXPECT_EQ(status["desiredHealthy"], 1);
  EXPECT_EQ(status["disruptionsAllowed"], 1);
  const auto evict = [this](const std::string& name, const Json& options = Json::object()) {
    return Send("POST", Path(kPods, name, "eviction"),
                {{"apiVersion", "policy/v1"},
                 {"kind", "Eviction"},
                 {"metadata", {{"name", name}, {"namespace", ns()}}},
                 {"deleteOptions", options}});
  };
  EXPECT_EQ(evict("a", {{"dryRun", {"All"}}}).status, 201);
  EXPECT_EQ(evict("b", {{"dryRun", {"All"}}}).status, 201) << "a trial takes nothing from the budget";
  EXPECT_EQ(Get(budgets, "budget")["status"]["disruptionsAllowed"], 1);
  EXPECT_EQ(evict("a").status, 201);
  EXPECT_TRUE(Disappears(kPods, "a"));
  Reply refused = evict("b");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.reason(), "TooManyRequests");
  EXPECT_EQ(refused.message(), "Cannot evict pod as it would violate the pod's disruption budget.");
  EXPECT_EQ(refused.body["details"]["causes"][0]["message"],
            "The disruption budget budget needs 1 healthy pods and has 1 currently");
}

TEST_F(ClusterTest, EventsAreFoundByTheirObject) {
  for (const char* name : {"one", "two"}) {
    Create(types::kEvents, {{"apiVersion", "v1"},
                            {"kind", "Event"},
                            {"metadata", {{"name", name}}},
                            {"involvedObject", {{"kind", "Widget"}, {"name", name}, {"namespace", ns()}}},
                            {"reason", "Tested"},
                            {"type", "Normal"}});
  }
  Reply reply = Send("GET", Path(types::kEvents) + "?fieldSelector=involvedObject.name%3Dtwo,reason%3DTested");
  ASSERT_EQ(reply.body["items"].size(), 1U);
  EXPECT_EQ(reply.body["items"][0]["metadata"]["name"], "two");
}

TEST_F(ClusterTest, AWriterMayAskWhatItMayDo) {
  Reply reply = Send("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                     {{"apiVersion", "authorization.k8s.io/v1"},
                      {"kind", "SelfSubjectAccessReview"},
                      {"spec", {{"resourceAttributes", {{"verb", "create"}, {"resource", "pods"}}}}}});
  EXPECT_EQ(reply.status, 201);
  EXPECT_EQ(reply.body["status"]["allowed"], true);
}

TEST_F(ClusterTest, ALeaseIsTakenOnlyFromItsLastKnownState) {
  const Json lease = {{"apiVersion", "coordination.k8s.io/v1"},
                      {"kind", "Lease"},
                      {"metadata", {{"name", "leader"}}},
                      {"spec", {{"holderIdentity", "a"}, {"leaseDurationSeconds", 15}}}};
  Json first = Create(types::kLeases, lease);
  Json second = first;
  first["spec"]["holderIdentity"] = "b";
  second["spec"]["holderIdentity"] = "c";
  EXPECT_EQ(Send("PUT", Path(types::kLeases, "leader"), first).status, 200);
  EXPECT_EQ(Send("PUT", Path(types::kLeases, "leader"), second).status, 409);
}

}  // namespace
}  // namespace slotwright::conformance
