// Creating, reading, changing, listing and deleting: what holds for every resource.
#include "tests/conformance/server_under_test.h"

namespace slotwright::conformance {
namespace {

namespace types = reconciler::types;
using reconciler::StringAt;
using types::kConfigMaps;

using ObjectsTest = ConformanceTest;

TEST_F(ObjectsTest, ANewObjectGetsUidVersionAndTime) {
  const Json made = Create(kConfigMaps, ConfigMap("a"));
  EXPECT_EQ(StringAt(made, {"metadata", "uid"}).size(), 36U);
  EXPECT_FALSE(StringAt(made, {"metadata", "resourceVersion"}).empty());
  EXPECT_GT(reconciler::ParseTime(StringAt(made, {"metadata", "creationTimestamp"})), reconciler::WallTime{});
  EXPECT_EQ(Get(kConfigMaps, "a"), made);
}

TEST_F(ObjectsTest, ANameIsGeneratedFromItsBeginning) {
  Json object = ConfigMap("x");
  object["metadata"].erase("name");
  object["metadata"]["generateName"] = "made-";
  const std::string name = StringAt(Create(kConfigMaps, object), {"metadata", "name"});
  EXPECT_TRUE(name.starts_with("made-"));
  EXPECT_EQ(name.size(), 10U);
}

struct Refusal {
  const char* what;
  const char* method;
  std::string path;
  Json body;
  int status;
  const char* reason;
  std::string message;
};

TEST_F(ObjectsTest, ARefusalHasCodeReasonAndWords) {
  Create(kConfigMaps, ConfigMap("taken"));
  Json versioned = ConfigMap("versioned");
  versioned["metadata"]["resourceVersion"] = "1";
  const std::vector<Refusal> refusals = {
      {"missing", "GET", Path(kConfigMaps, "none"), Json(), 404, "NotFound", "configmaps \"none\" not found"},
      {"missing custom", "GET", Path(kWidgets, "none"), Json(), 404, "NotFound",
       "widgets.conformance.slotwright.dev \"none\" not found"},
      {"taken", "POST", Path(kConfigMaps), ConfigMap("taken"), 409, "AlreadyExists",
       "configmaps \"taken\" already exists"},
      {"no namespace",
       "POST",
       "/api/v1/namespaces/no-such-namespace/configmaps",
       {{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", "a"}}}},
       404,
       "NotFound",
       "namespaces \"no-such-namespace\" not found"},
      {"version on create", "POST", Path(kConfigMaps), versioned, 500, "",
       "resourceVersion should not be set on objects to be created"},
      {"replace missing", "PUT", Path(kWidgets, "none"), Widget("none"), 404, "NotFound",
       "widgets.conformance.slotwright.dev \"none\" not found"},
      {"delete missing", "DELETE", Path(kConfigMaps, "none"), Json(), 404, "NotFound", "configmaps \"none\" not found"},
  };
  for (const auto& refusal : refusals) {
    Reply reply = Send(refusal.method, refusal.path, refusal.body);
    EXPECT_EQ(reply.status, refusal.status) << refusal.what;
    EXPECT_EQ(reply.reason(), refusal.reason) << refusal.what;
    EXPECT_EQ(reply.message(), refusal.message) << refusal.what;
    EXPECT_EQ(reply.body.value("kind", ""), "Status") << refusal.what;
    EXPECT_EQ(reply.body.value("code", 0), refusal.status) << refusal.what;
  }
}

TEST_F(ObjectsTest, AWrongNameIsRefusedWithItsField) {
  Reply reply = Send("POST", Path(kConfigMaps), ConfigMap("Bad_Name"));
  EXPECT_EQ(reply.status, 422);
  EXPECT_EQ(reply.reason(), "Invalid");
  EXPECT_EQ(reply.body["details"]["causes"][0]["field"], "metadata.name");
  EXPECT_TRUE(
      reply.message().starts_with("ConfigMap \"Bad_Name\" is invalid: metadata.name: Invalid value: "
                                  "\"Bad_Name\": a lowercase RFC 1123 subdomain"))
      << reply.message();
}

TEST_F(ObjectsTest, AnUpdateOfAnOldVersionConflicts) {
  const Json old = Create(kConfigMaps, ConfigMap("a"));
  ASSERT_EQ(MergePatch(kConfigMaps, "a", {{"data", {{"key", "new"}}}}).status, 200);
  Reply reply = Send("PUT", Path(kConfigMaps, "a"), old);
  EXPECT_EQ(reply.status, 409);
  EXPECT_EQ(reply.reason(), "Conflict");
  EXPECT_EQ(
      reply.message(),
      "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes "
      "to the latest version and try again");
}

TEST_F(ObjectsTest, AnUpdateWithoutVersionWinsForBuiltinTypesAndIsRefusedForCustomOnes) {
  Create(kConfigMaps, ConfigMap("a"));
  EXPECT_EQ(Send("PUT", Path(kConfigMaps, "a"), ConfigMap("a", {{"key", "new"}})).status, 200);
  Create(kWidgets, Widget("a"));
  Reply reply = Send("PUT", Path(kWidgets, "a"), Widget("a"));
  EXPECT_EQ(reply.status, 422);
  EXPECT_NE(reply.message().find("metadata.resourceVersion: Invalid value: "), std::string::npos) << reply.message();
  EXPECT_NE(reply.message().find("must be specified for an update"), std::string::npos) << reply.message();
}

TEST_F(ObjectsTest, AnUpdateThatChangesNothingKeepsTheVersion) {
  const Json made = Create(kConfigMaps, ConfigMap("a"));
  Reply reply = MergePatch(kConfigMaps, "a", {{"data", {{"key", "value"}}}});
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(StringAt(reply.body, {"metadata", "resourceVersion"}), StringAt(made, {"metadata", "resourceVersion"}));
}

TEST_F(ObjectsTest, APatchOfAnOldVersionConflicts) {
  const Json made = Create(kConfigMaps, ConfigMap("a"));
  MergePatch(kConfigMaps, "a", {{"data", {{"key", "new"}}}});
  const Json patch = {{"metadata", {{"resourceVersion", StringAt(made, {"metadata", "resourceVersion"})}}},
                      {"data", {{"key", "newer"}}}};
  EXPECT_EQ(MergePatch(kConfigMaps, "a", patch).status, 409);
}

TEST_F(ObjectsTest, AMergePatchRemovesWhatIsNull) {
  Create(kConfigMaps, ConfigMap("a", {{"one", "1"}, {"two", "2"}}));
  Reply reply = MergePatch(kConfigMaps, "a", {{"data", {{"one", nullptr}, {"three", "3"}}}});
  EXPECT_EQ(reply.body["data"], Json({{"two", "2"}, {"three", "3"}}));
}

TEST_F(ObjectsTest, AJsonPatchIsAllOrNothing) {
  Create(kConfigMaps, ConfigMap("a"));
  const auto patch = [this](const Json& operations) {
    return Send("PATCH", Path(kConfigMaps, "a"), operations, "application/json-patch+json");
  };
  Reply good = patch(Json::array({{{"op", "test"}, {"path", "/data/key"}, {"value", "value"}},
                                  {{"op", "replace"}, {"path", "/data/key"}, {"value", "new"}}}));
  EXPECT_EQ(good.status, 200);
  EXPECT_EQ(good.body["data"]["key"], "new");
  Reply bad = patch(Json::array({{{"op", "replace"}, {"path", "/data/key"}, {"value", "newer"}},
                                 {{"op", "test"}, {"path", "/data/key"}, {"value", "value"}}}));
  EXPECT_EQ(bad.status, 422);
  EXPECT_EQ(Get(kConfigMaps, "a")["data"]["key"], "new");
}

TEST_F(ObjectsTest, AStrategicMergePatchMergesListsByKey) {
  Create(types::kPods, HomelessPod("a"));
  const Json patch = {{"spec", {{"containers", Json::array({{{"name", "main"}, {"image", "other:2"}}})}}}};
  Reply reply = Send("PATCH", Path(types::kPods, "a"), patch, "application/strategic-merge-patch+json");
  EXPECT_EQ(reply.status, 200) << reply.message();
  EXPECT_EQ(reply.body["spec"]["containers"].size(), 1U);
  EXPECT_EQ(reply.body["spec"]["containers"][0]["image"], "other:2");
  EXPECT_EQ(reply.body["spec"]["containers"][0]["terminationMessagePath"], "/dev/termination-log");
}

TEST_F(ObjectsTest, CustomResourcesTakeNoStrategicMergePatch) {
  Create(kWidgets, Widget("a"));
  EXPECT_EQ(Send("PATCH", Path(kWidgets, "a"), Json::object(), "application/strategic-merge-patch+json").status, 415);
}

TEST_F(ObjectsTest, ADryRunChangesNothing) {
  Reply reply = Send("POST", Path(kConfigMaps) + "?dryRun=All", ConfigMap("a"));
  EXPECT_EQ(reply.status, 201);
  EXPECT_FALSE(StringAt(reply.body, {"metadata", "uid"}).empty());
  EXPECT_EQ(Send("GET", Path(kConfigMaps, "a")).status, 404);
}

TEST_F(ObjectsTest, ADeletionOfAnotherUidIsRefused) {
  const Json made = Create(kConfigMaps, ConfigMap("a"));
  const Json wrong = {{"preconditions", {{"uid", "00000000-0000-4000-8000-000000000000"}}}};
  Reply refused = Send("DELETE", Path(kConfigMaps, "a"), wrong);
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(refused.reason(), "Conflict");
  const Json right = {{"preconditions", {{"uid", StringAt(made, {"metadata", "uid"})}}}};
  Reply done = Send("DELETE", Path(kConfigMaps, "a"), right);
  EXPECT_EQ(done.status, 200);
  EXPECT_EQ(done.body.value("kind", ""), "Status");
  EXPECT_EQ(Send("GET", Path(kConfigMaps, "a")).status, 404);
}

TEST_F(ObjectsTest, AFinalizerHoldsADeletionUntilItIsRemoved) {
  Json object = ConfigMap("a");
  object["metadata"]["finalizers"] = {"conformance.slotwright.dev/hold"};
  Create(kConfigMaps, object);
  ASSERT_EQ(Send("DELETE", Path(kConfigMaps, "a")).status, 200);
  EXPECT_FALSE(StringAt(Get(kConfigMaps, "a"), {"metadata", "deletionTimestamp"}).empty());
  const Json more = {
      {"metadata", {{"finalizers", {"conformance.slotwright.dev/hold", "conformance.slotwright.dev/new"}}}}};
  Reply refused = MergePatch(kConfigMaps, "a", more);
  EXPECT_EQ(refused.status, 422);
  EXPECT_NE(refused.message().find("no new finalizers can be added if the object is being deleted"), std::string::npos);
  EXPECT_EQ(MergePatch(kConfigMaps, "a", {{"metadata", {{"finalizers", nullptr}}}}).status, 200);
  EXPECT_TRUE(Disappears(kConfigMaps, "a"));
}

TEST_F(ObjectsTest, ACollectionIsDeletedBySelector) {
  for (const char* name : {"a", "b", "c"}) {
    Json object = ConfigMap(name);
    object["metadata"]["labels"] = {{"group", name == std::string("c") ? "other" : "one"}};
    Create(kConfigMaps, object);
  }
  EXPECT_EQ(Send("DELETE", Path(kConfigMaps) + "?labelSelector=group%3Done").status, 200);
  EXPECT_EQ(Send("GET", Path(kConfigMaps, "a")).status, 404);
  EXPECT_EQ(Send("GET", Path(kConfigMaps, "c")).status, 200);
}

TEST_F(ObjectsTest, ANamespaceTakesItsContentWithItAndTakesNothingNew) {
  Json held = ConfigMap("held");
  held["metadata"]["finalizers"] = {"conformance.slotwright.dev/hold"};
  Create(kConfigMaps, held);
  Create(kConfigMaps, ConfigMap("free"));
  ASSERT_EQ(Send("DELETE", "/api/v1/namespaces/" + ns()).status, 200);
  EXPECT_TRUE(Disappears(kConfigMaps, "free"));
  Reply refused = Send("POST", Path(kConfigMaps), ConfigMap("late"));
  EXPECT_EQ(refused.status, 403);
  EXPECT_NE(refused.message().find("because it is being terminated"), std::string::npos) << refused.message();
  EXPECT_EQ(Send("GET", "/api/v1/namespaces/" + ns()).body["status"]["phase"], "Terminating");
  EXPECT_EQ(MergePatch(kConfigMaps, "held", {{"metadata", {{"finalizers", nullptr}}}}).status, 200);
  EXPECT_TRUE(Eventually([this] { return Send("GET", "/api/v1/namespaces/" + ns()).status == 404; }));
}

TEST_F(ObjectsTest, SecretsTakeTextAndKeepIt) {
  const Json made = Create({"", "v1", "secrets", "Secret"}, {{"apiVersion", "v1"},
                                                             {"kind", "Secret"},
                                                             {"metadata", {{"name", "s"}}},
                                                             {"stringData", {{"password", "secret"}}}});
  EXPECT_EQ(made["data"]["password"], "c2VjcmV0");
  EXPECT_FALSE(made.contains("stringData"));
  EXPECT_EQ(made["type"], "Opaque");
}

TEST_F(ObjectsTest, ImmutableConfigurationStaysAsItIs) {
  Json object = ConfigMap("a");
  object["immutable"] = true;
  Create(kConfigMaps, object);
  Reply reply = MergePatch(kConfigMaps, "a", {{"data", {{"key", "new"}}}});
  EXPECT_EQ(reply.status, 422);
  EXPECT_EQ(reply.message(), "ConfigMap \"a\" is invalid: data: Forbidden: field is immutable when `immutable` is set");
}

TEST_F(ObjectsTest, AServiceGetsAnAddressUnlessItWantsNone) {
  const auto service = [](const char* name, const Json& extra) {
    Json spec = {{"selector", {{"app", "x"}}}, {"ports", Json::array({{{"port", 6379}}})}};
    spec.update(extra);
    return Json{{"apiVersion", "v1"}, {"kind", "Service"}, {"metadata", {{"name", name}}}, {"spec", spec}};
  };
  const Json made = Create(types::kServices, service("with", Json::object()));
  EXPECT_FALSE(StringAt(made, {"spec", "clusterIP"}).empty());
  EXPECT_EQ(made["spec"]["ports"][0]["targetPort"], 6379);
  EXPECT_EQ(made["spec"]["ports"][0]["protocol"], "TCP");
  const Json headless = Create(types::kServices, service("without", {{"clusterIP", "None"}}));
  EXPECT_EQ(headless["spec"]["clusterIP"], "None");
}

}  // namespace
}  // namespace slotwright::conformance
