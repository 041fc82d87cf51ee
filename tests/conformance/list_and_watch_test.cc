// Lists in pages, selectors, and watches: what informers are built on.
#include "tests/conformance/server_under_test.h"

namespace slotwright::conformance {
namespace {

using reconciler::StringAt;
using reconciler::types::kConfigMaps;

class ListAndWatchTest : public ConformanceTest {
 protected:
  // Named a, b, c, …, labelled with their place.
  void CreateConfigMaps(int count) {
    for (int i = 0; i < count; ++i) {
      Json object = ConfigMap(std::string(1, static_cast<char>('a' + i)));
      object["metadata"]["labels"] = {{"place", std::to_string(i)}, {"odd", i % 2 == 1 ? "yes" : "no"}};
      Create(kConfigMaps, object);
    }
  }

  std::string NamesOf(const std::string& query) {
    Reply reply = Send("GET", Path(kConfigMaps) + "?" + query);
    EXPECT_EQ(reply.status, 200) << query << ": " << reply.message();
    std::string names;
    for (const auto& item : reply.body["items"]) {
      const std::string name = StringAt(item, {"metadata", "name"});
      if (name != "kube-root-ca.crt") names += name;  // every namespace of a real cluster has it
    }
    return names;
  }

  std::string Version() { return StringAt(Send("GET", Path(kConfigMaps)).body, {"metadata", "resourceVersion"}); }

  reconciler::WatchOptions From(const std::string& version) {
    return {.ns = ns(), .label_selector = "watched=yes", .resource_version = version};
  }

  void SetLabel(const std::string& name, const Json& value) {
    EXPECT_EQ(MergePatch(kConfigMaps, name, {{"metadata", {{"labels", {{"watched", value}}}}}}).status, 200);
  }

  Json Watched(const std::string& name) {
    Json object = ConfigMap(name);
    object["metadata"]["labels"] = {{"watched", "yes"}};
    return object;
  }
};

TEST_F(ListAndWatchTest, SelectorsSelect) {
  CreateConfigMaps(4);
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"labelSelector=place%3D1", "b"},
      {"labelSelector=place%3D%3D1", "b"},
      {"labelSelector=place,place!%3D1", "acd"},
      {"labelSelector=place%20in%20(0,3)", "ad"},
      {"labelSelector=place,place%20notin%20(0,3)", "bc"},
      {"labelSelector=odd%3Dyes,place!%3D3", "b"},
      {"labelSelector=odd", "abcd"},
      {"labelSelector=!odd", ""},
      {"fieldSelector=metadata.name%3Dc", "c"},
      {"fieldSelector=metadata.name!%3Dc,metadata.name!%3Dkube-root-ca.crt", "abd"},
  };
  for (const auto& [query, names] : cases) EXPECT_EQ(NamesOf(query), names) << query;
}

TEST_F(ListAndWatchTest, UnknownFieldsAndBrokenSelectorsAreRefused) {
  for (const char* query : {"fieldSelector=spec.color%3Dred", "labelSelector=a%20near%20b"}) {
    EXPECT_EQ(Send("GET", Path(kConfigMaps) + "?" + query).status, 400) << query;
  }
}

TEST_F(ListAndWatchTest, PagesShowOneStateWhateverHappensBetweenThem) {
  CreateConfigMaps(5);
  const std::string selector = "labelSelector=place&limit=2";
  Reply first = Send("GET", Path(kConfigMaps) + "?" + selector);
  ASSERT_EQ(first.body["items"].size(), 2U);
  const std::string token = StringAt(first.body, {"metadata", "continue"});
  ASSERT_FALSE(token.empty());
  ASSERT_EQ(Send("DELETE", Path(kConfigMaps, "d")).status, 200);
  const Reply second =
      Send("GET", Path(kConfigMaps) + "?" + selector + "&continue=" + reconciler::PercentEncode(token));
  ASSERT_EQ(second.body["items"].size(), 2U) << second.message();
  EXPECT_EQ(StringAt(second.body["items"][0], {"metadata", "name"}), "c");
  EXPECT_EQ(StringAt(second.body["items"][1], {"metadata", "name"}), "d");
  EXPECT_EQ(StringAt(second.body, {"metadata", "resourceVersion"}),
            StringAt(first.body, {"metadata", "resourceVersion"}));
}

TEST_F(ListAndWatchTest, AnOldVersionIsListedExactly) {
  CreateConfigMaps(1);
  const std::string version = Version();
  Create(kConfigMaps, ConfigMap("late"));
  EXPECT_EQ(NamesOf("resourceVersion=" + version + "&resourceVersionMatch=Exact"), "a");
  EXPECT_EQ(NamesOf("resourceVersion=0&labelSelector=place"), "a");
}

TEST_F(ListAndWatchTest, AFutureVersionIsNotListed) {
  Reply reply = Send("GET", Path(kConfigMaps) + "?resourceVersion=999999999&resourceVersionMatch=NotOlderThan");
  EXPECT_EQ(reply.status, 504);
  EXPECT_EQ(reply.reason(), "Timeout");
  EXPECT_NE(reply.message().find("Too large resource version"), std::string::npos) << reply.message();
}

TEST_F(ListAndWatchTest, AWatchGoesOnFromItsVersion) {
  Create(kConfigMaps, Watched("before"));
  const std::string version = Version();
  Create(kConfigMaps, Watched("missed"));
  Watcher watch(client(), kConfigMaps, From(version));
  EXPECT_EQ(watch.Event(0), "ADDED missed");
  MergePatch(kConfigMaps, "missed", {{"data", {{"key", "new"}}}});
  EXPECT_EQ(watch.Event(1), "MODIFIED missed");
  EXPECT_EQ(watch.Object(1)["data"]["key"], "new");
  Send("DELETE", Path(kConfigMaps, "before"));
  EXPECT_EQ(watch.Event(2), "DELETED before");
  EXPECT_GT(std::stoull(StringAt(watch.Object(2), {"metadata", "resourceVersion"})),
            std::stoull(StringAt(watch.Object(1), {"metadata", "resourceVersion"})));
}

TEST_F(ListAndWatchTest, AWatchWithoutVersionBeginsWithWhatIsThere) {
  Create(kConfigMaps, Watched("here"));
  Watcher watch(client(), kConfigMaps, From(""));
  EXPECT_EQ(watch.Event(0), "ADDED here");
  EXPECT_EQ(watch.Event(1), "BOOKMARK ");
  EXPECT_EQ(watch.Object(1)["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
  Create(kConfigMaps, Watched("new"));
  EXPECT_EQ(watch.Event(2), "ADDED new");
}

TEST_F(ListAndWatchTest, AnObjectThatLeavesTheSelectionIsDeletedForTheWatch) {
  Create(kConfigMaps, ConfigMap("a"));
  Watcher watch(client(), kConfigMaps, From(Version()));
  SetLabel("a", "yes");
  EXPECT_EQ(watch.Event(0), "ADDED a");
  SetLabel("a", nullptr);
  EXPECT_EQ(watch.Event(1), "DELETED a");
  Send("DELETE", Path(kConfigMaps, "a"));
  Create(kConfigMaps, Watched("next"));
  EXPECT_EQ(watch.Event(2), "ADDED next");
}

TEST_F(ListAndWatchTest, AWatchOfOneNameSeesOnlyIt) {
  const std::string version = Version();
  Create(kConfigMaps, ConfigMap("other"));
  Create(kConfigMaps, ConfigMap("wanted"));
  Watcher watch(client(), kConfigMaps,
                {.ns = ns(), .field_selector = "metadata.name=wanted", .resource_version = version});
  EXPECT_EQ(watch.Event(0), "ADDED wanted");
}

TEST_F(ListAndWatchTest, AWatchFromAForgottenVersionSaysExpired) {
  // More changes than the embedded server remembers here; a real one has forgotten version 1 after some minutes.
  for (int i = 0; i < 80 && !IsReal(); ++i) {
    if (i == 0) Create(kConfigMaps, ConfigMap("a"));
    MergePatch(kConfigMaps, "a", {{"data", {{"key", std::to_string(i)}}}});
  }
  Watcher watch(client(), kConfigMaps, {.ns = ns(), .resource_version = "1"});
  const std::string end = watch.End();
  if (IsReal() && end == "still open") GTEST_SKIP() << "this cluster is too young to have forgotten anything";
  EXPECT_EQ(end, "Expired");
}

TEST_F(ListAndWatchTest, AWatchEndsAfterItsTimeWithABookmarkBefore) {
  Create(kConfigMaps, Watched("a"));
  auto options = From(Version());
  options.server_timeout = std::chrono::seconds(10);
  Watcher watch(client(), kConfigMaps, options);
  EXPECT_TRUE(watch.Event(0).starts_with("BOOKMARK"));
  EXPECT_FALSE(StringAt(watch.Object(0), {"metadata", "resourceVersion"}).empty());
  EXPECT_EQ(watch.End(), "");
}

TEST_F(ListAndWatchTest, AStreamedListEndsWithItsBookmark) {
  Create(kConfigMaps, Watched("a"));
  std::vector<Json> events;
  reconciler::HttpRequest request{
      .target = Path(kConfigMaps) +
                "?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
                "&labelSelector=watched%3Dyes&timeoutSeconds=3"};
  request.headers["Accept"] = "application/json";
  const auto end =
      transport().Stream(request, [&events](std::string_view line) { events.push_back(Json::parse(line)); }, {});
  ASSERT_TRUE(end) << end.error().message;
  ASSERT_GE(events.size(), 2U);
  EXPECT_EQ(events[0]["type"], "ADDED");
  EXPECT_EQ(events[1]["type"], "BOOKMARK");
  EXPECT_EQ(events[1]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
}

TEST_F(ListAndWatchTest, TablesHaveTheColumnsThatKubectlPrints) {
  constexpr const char* kTable = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
  Create(kWidgets, Widget("w", {{"size", 7}}));
  MergePatch(kWidgets, "w", {{"status", {{"conditions", Json::array({{{"type", "Ready"}, {"status", "True"}}})}}}},
             "status");
  Reply reply = Send("GET", Path(kWidgets), Json(), "", kTable);
  EXPECT_EQ(reply.body["kind"], "Table");
  std::string columns;
  for (const auto& column : reply.body["columnDefinitions"]) columns += column["name"].get<std::string>() + " ";
  EXPECT_EQ(columns, "Name Size Ready Color Age ");
  Json& row = reply.body["rows"][0];
  EXPECT_EQ(row["cells"][0], "w");
  EXPECT_EQ(row["cells"][1], 7);
  EXPECT_EQ(row["cells"][2], "True");
  EXPECT_EQ(row["cells"][3], "Red");
  EXPECT_EQ(row["object"]["kind"], "PartialObjectMetadata");
  Reply pods = Send("GET", Path(reconciler::types::kPods), Json(), "", kTable);
  columns.clear();
  for (const auto& column : pods.body["columnDefinitions"]) columns += column["name"].get<std::string>() + ",";
  EXPECT_EQ(columns, "Name,Ready,Status,Restarts,Age,IP,Node,Nominated Node,Readiness Gates,");
}

}  // namespace
}  // namespace slotwright::conformance
