// Each field of the resource: changed, removed, out of bounds, of the wrong type, and set to what cannot work. A
// cluster that was changed ends as one that was made so; one that got something bad is left alone and goes on when it
// is put right.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "operator/crd.h"
#include "reconciler/base/log.h"
#include "reconciler/base/yaml.h"
#include "tests/simulation/world.h"

namespace slotwright::simulation {
namespace {

using reconciler::Json;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Every field set, so that each can be removed.
const Json kFull = Json::parse(R"({
  "masters": 3, "replicasPerMaster": 1, "image": "redis:7.0", "imagePullPolicy": "Always",
  "imagePullSecrets": [{"name": "registry"}], "port": 6379,
  "config": {"maxmemory-policy": "allkeys-lru", "io-threads": "2"},
  "auth": {"secretName": "mine", "key": "secret"},
  "storage": {"size": "1Gi", "storageClassName": "fast", "retain": "Delete"},
  "resources": {"requests": {"memory": "64Mi"}, "limits": {"memory": "128Mi"}},
  "placement": {"topologyKeys": ["topology.kubernetes.io/zone"], "spreadMasters": false, "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "redis", "operator": "Exists"}], "affinity": {"nodeAffinity": {}}, "priorityClassName": "high"},
  "podTemplate": {"metadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}}},
  "rebalance": {"mode": "Automatic", "method": "Keys", "thresholdPercent": 10},
  "update": {"strategy": "Rolling"}, "healing": {"takeover": "Never", "lostShard": "AssignEmpty"}
})");

struct Bad {
  Json value;
  std::string said;       ///< In the Ready condition.
  bool by_a_pod = false;  ///< It shows only once one is made so: that one is named as well.
};

struct Leaf {
  friend void PrintTo(const Leaf& leaf, std::ostream* out) { *out << leaf.path; }
  std::string path;           ///< JSON pointer below spec.
  std::vector<Json> good;     ///< Other values that must work.
  std::vector<Bad> bad = {};  ///< What cannot work.
  bool removable = true;
  bool is_fixed = false;  ///< Once the cluster is formed; what is bad can be put right before.
};

const std::vector<Leaf>& Leaves() {
  static const std::vector<Leaf> kLeaves = {
      {"/masters", {1, 2, 5}},
      {"/replicasPerMaster", {0, 2, 5}},
      {"/image", {"redis:7.2"}, {{kMissingImage, "ErrImagePull", true}}, false},
      {"/imagePullPolicy", {"IfNotPresent", "Never"}},
      {"/imagePullSecrets", {Json::array(), Json::parse(R"([{"name":"a"},{"name":"b"}])")}},
      {"/port", {}, {}, false},  // cannot be changed
      {"/config",
       {Json::object(),
        {{"maxmemory-policy", "noeviction"}},
        {{"io-threads", "4"}},
        {{"cluster-node-timeout", "3000"}}},
       {{{{"port", "1"}}, "spec.config.port"},
        {{{"requirepass", "x"}}, "spec.config.requirepass"},
        {{{"io-threads", "2"}, {"maxmemory-policy", kRefusedValue}}, "spec.config.maxmemory-policy"},
        {{{"io-threads", "2"}, {"maxmemory-policy", "allkeys-lru"}, {"databases", kRefusedValue}},
         "CrashLoopBackOff",
         true}}},
      {"/auth/secretName", {}, {{"none", "spec.auth.secretName"}, {"short", "at least 16"}}, false, true},
      {"/auth/key", {}, {{"none", "spec.auth.key"}}, false, true},
      {"/storage/size", {"2Gi"}, {{"0", "spec.storage.size"}, {"512Mi", "do not shrink"}}, false},
      {"/storage/storageClassName", {}, {{"slow", "cannot be changed"}}, false},
      {"/storage/retain", {"Retain"}},
      {"/resources/requests",
       {{{"cpu", "1"}}, Json::object()},
       {{{{"memory", "1Mi"}}, "spec.resources.requests.memory"}}},
      {"/resources/limits", {{{"memory", "1Gi"}, {"cpu", 2}}}, {{{{"memory", "1"}}, "spec.resources.limits.memory"}}},
      {"/placement/topologyKeys", {Json::array(), {"a", "b", "c", "d"}}},
      {"/placement/spreadMasters", {true}},
      {"/placement/nodeSelector", {{{"disk", "hdd"}}, Json::object()}, {{{{"disk", kNowhere}}, "Unschedulable", true}}},
      {"/placement/tolerations", {Json::array()}},
      {"/placement/affinity", {Json::object()}},
      {"/placement/priorityClassName", {"low", ""}},
      {"/podTemplate/metadata/labels", {{{"team", "c"}}, Json::object()}},
      {"/podTemplate/metadata/annotations", {{{"note", "c"}}, Json::object()}},
      {"/rebalance/mode", {"Manual"}},
      {"/rebalance/method", {"Auto"}, {}, true},
      {"/rebalance/thresholdPercent", {1, 100}},
      {"/update/strategy", {"Manual"}},
      {"/healing/takeover", {"Fenced"}},
      {"/healing/lostShard", {"Wait"}},
  };
  return kLeaves;
}

// All that the schema says about spec, by JSON pointer; what has no properties of its own is a leaf.
void Collect(const Json& schema, const std::string& path, std::map<std::string, Json>& leaves) {
  if (!schema.contains("properties")) {
    leaves[path] = schema;
    return;
  }
  for (const auto& [name, property] : schema["properties"].items()) Collect(property, path + "/" + name, leaves);
}

std::map<std::string, Json> SchemaLeaves() {
  const auto crds = *reconciler::ParseYaml(std::string(kCrdYaml));
  const Json& spec = crds[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
  std::map<std::string, Json> leaves;
  Collect(spec, "", leaves);
  return leaves;
}

// A merge patch that sets one field; null removes it.
Json Patch(const std::string& path, const Json& value) {
  Json patch;
  patch[Json::json_pointer(path)] = value;
  return patch;
}

// The whole specification with one field as it should be. Unlike a merge patch this replaces maps.
Json With(const std::string& path, const Json& value) {
  Json spec = kFull;
  if (value.is_null()) {
    const Json::json_pointer pointer(path);
    spec[pointer.parent_pointer()].erase(pointer.back());
  } else {
    spec[Json::json_pointer(path)] = value;
  }
  return spec;
}

// A merge patch that makes one field of a specification that of another, maps included.
Json Difference(const std::string& path, const Json& from, const Json& to) {
  const Json::json_pointer pointer(path);
  Json change = to.contains(pointer) ? to.at(pointer) : Json();
  if (change.is_object() && from.at(pointer).is_object()) {
    for (const auto& [name, old] : from.at(pointer).items()) {
      if (!change.contains(name)) change[name] = nullptr;
    }
  }
  return Patch(path, change);
}

std::vector<std::string> Without(std::vector<std::string> processes, const std::vector<std::string>& others) {
  std::erase_if(processes, [&](const auto& process) { return std::ranges::find(others, process) != others.end(); });
  return processes;
}

class SchemaWalk : public ::testing::TestWithParam<Leaf> {
 protected:
  void SetUp() override { reconciler::ConfigureLog(reconciler::LogLevel::kError, reconciler::LogFormat::kText); }

  static std::unique_ptr<World> BeingMade(const Json& spec) {
    auto world = std::make_unique<World>(7);
    world->PutSecret("mine", "secret", "a password of mine");
    world->PutSecret("short", "secret", "short");
    world->Apply(spec);
    return world;
  }
  static std::unique_ptr<World> Made(const Json& spec) {
    auto world = BeingMade(spec);
    (void)Settles(*world);
    return world;
  }

  // True if it converged. Pods of an older specification may stay under the strategy Manual: that is where such a
  // change ends.
  static bool Settles(World& world) {
    const bool converged = world.Converges(seconds(300));
    const bool held_back = world.ReadyMessage().find("UpdatePending") != std::string::npos;
    EXPECT_TRUE(converged || held_back) << world.ReadyMessage();
    world.Run(seconds(3));
    EXPECT_TRUE(world.StaysSilent(seconds(15))) << world.effects.log().back();
    EXPECT_TRUE(world.violations().empty()) << world.violations().front();
    return converged;
  }

  static void ExpectSame(World& changed, World& made) {
    const auto expected = made.Objects();
    const auto actual = changed.Objects();
    for (const auto& [name, object] : expected) {
      ASSERT_TRUE(actual.contains(name)) << name << " is missing";
      EXPECT_EQ(actual.at(name), object) << name << ": " << Json::diff(object, actual.at(name)).dump(2);
      if (::testing::Test::HasFailure()) return;
    }
    EXPECT_EQ(actual.size(), expected.size()) << "something is left over";
    EXPECT_EQ(changed.Topology(), made.Topology());
  }
};

TEST_P(SchemaWalk, AChangedClusterEndsAsOneThatWasMadeSo) {
  std::vector<Json> values = GetParam().good;
  if (GetParam().removable) values.emplace_back(nullptr);
  for (const Json& value : values) {
    SCOPED_TRACE("spec" + GetParam().path + " = " + value.dump());
    const auto changed = Made(kFull);
    changed->StartClients();
    changed->Run(seconds(2));
    const Json spec = With(GetParam().path, value);
    changed->Apply(Difference(GetParam().path, kFull, spec));
    const bool held_back = !Settles(*changed);
    changed->StopClients();
    EXPECT_THAT(changed->LostWrites(), IsEmpty());
    const auto made = Made(spec);
    ExpectSame(*changed, *made);
    EXPECT_TRUE(held_back || changed->Differences().empty()) << changed->Differences().front();
    if (HasFailure()) return;
  }
}

TEST_P(SchemaWalk, ABadValueOfWhatIsFixedIsRefusedAndCanBePutRightBefore) {
  if (!GetParam().is_fixed) return;
  const auto made = Made(kFull);
  for (const auto& [value, said, by_a_pod] : GetParam().bad) {
    SCOPED_TRACE("spec" + GetParam().path + " = " + value.dump());
    const Json spec = With(GetParam().path, value);
    EXPECT_THAT(made->TryApply(Difference(GetParam().path, kFull, spec)), HasSubstr("spec.auth cannot be changed"));
    const auto world = BeingMade(spec);
    world->Run(seconds(30));
    EXPECT_THAT(world->ReadyMessage(), HasSubstr(said));
    world->Apply(Difference(GetParam().path, spec, kFull));
    Settles(*world);
    ExpectSame(*world, *made);
  }
}

TEST_P(SchemaWalk, ABadValueIsSaidHarmsNothingAndCanBePutRight) {
  if (GetParam().is_fixed) return;
  for (const auto& [value, said, by_a_pod] : GetParam().bad) {
    SCOPED_TRACE("spec" + GetParam().path + " = " + value.dump());
    const auto world = Made(kFull);
    const auto before = world->Processes();
    world->StartClients();
    const Json spec = With(GetParam().path, value);
    world->Apply(Difference(GetParam().path, kFull, spec));
    world->Run(seconds(60));
    EXPECT_THAT(world->ReadyMessage(), HasSubstr(said));
    const auto touched = Without(before, world->Processes());
    EXPECT_EQ(touched.size(), by_a_pod ? 1U : 0U) << world->ReadyMessage();
    for (const auto& process : touched) {
      EXPECT_THAT(world->ReadyMessage(), HasSubstr(process.substr(0, process.find(' '))));
    }
    world->Apply(Difference(GetParam().path, spec, kFull));
    Settles(*world);
    world->StopClients();
    EXPECT_THAT(world->LostWrites(), IsEmpty());
    const auto made = Made(kFull);
    ExpectSame(*world, *made);
    if (HasFailure()) return;
  }
}

// Out of bounds, not in the list, of another type: by what the schema itself says.
TEST_P(SchemaWalk, WhatTheSchemaForbidsIsRefusedByItsName) {
  const auto schema = SchemaLeaves().at(GetParam().path);
  std::vector<Json> forbidden;
  if (schema.contains("minimum")) forbidden.emplace_back(schema["minimum"].get<int>() - 1);
  if (schema.contains("maximum")) forbidden.emplace_back(schema["maximum"].get<int>() + 1);
  if (schema.contains("enum")) forbidden.emplace_back("Nonsense");
  if (schema.contains("minLength")) forbidden.emplace_back("");
  if (schema.contains("maxLength")) forbidden.emplace_back(std::string(schema["maxLength"].get<size_t>() + 1, 'x'));
  if (schema.contains("maxItems")) {
    forbidden.emplace_back(std::vector<std::string>(schema["maxItems"].get<size_t>() + 1, "x"));
  }
  if (schema.contains("pattern")) forbidden.emplace_back("two\nlines");
  if (schema.contains("maxProperties")) {
    Json too_many = Json::object();
    for (size_t i = 0; i <= schema["maxProperties"].get<size_t>(); ++i) too_many["k" + std::to_string(i)] = "1";
    forbidden.push_back(std::move(too_many));
  }
  if (schema.contains("additionalProperties")) {
    const Json& of_values = schema["additionalProperties"];
    if (of_values.contains("pattern")) forbidden.push_back({{"k", "two\nlines"}});
    if (of_values.contains("maxLength")) {
      forbidden.push_back({{"k", std::string(of_values["maxLength"].get<size_t>() + 1, 'x')}});
    }
    forbidden.push_back({{"k", Json::array({1})}});
  }
  const std::string type = schema.value("type", "");
  forbidden.push_back(type == "array" ? Json("text") : Json::array({1}));
  const auto world = Made(kFull);
  const auto before = world->Objects();
  for (const Json& value : forbidden) {
    const std::string problem = world->TryApply(Patch(GetParam().path, value));
    std::string field = "spec" + GetParam().path;
    std::ranges::replace(field, '/', '.');
    EXPECT_THAT(problem, HasSubstr(field)) << value.dump().substr(0, 60);
  }
  EXPECT_TRUE(world->StaysSilent(seconds(10)));
  EXPECT_EQ(world->Objects(), before);
}

std::string NameOf(const ::testing::TestParamInfo<Leaf>& info) {
  std::string name = info.param.path.substr(1);
  std::ranges::replace(name, '/', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Fields, SchemaWalk, ::testing::ValuesIn(Leaves()), NameOf);

TEST(TheSchemaWalk, LeavesNoFieldOut) {
  std::set<std::string> walked;
  for (const auto& leaf : Leaves()) walked.insert(leaf.path);
  for (const auto& [path, schema] : SchemaLeaves()) EXPECT_THAT(walked, Contains(path));
  EXPECT_EQ(walked.size(), SchemaLeaves().size());
}

TEST(TheSchemaWalk, SaysOfWhatCannotChangeThatItCannot) {
  World world(7);
  world.Apply({{"masters", 1}});
  EXPECT_THAT(world.TryApply({{"port", 7000}}), HasSubstr("port cannot be changed"));
  EXPECT_THAT(world.TryApply({{"storage", {{"size", "1Gi"}}}}), HasSubstr("storage cannot be added"));
}

}  // namespace
}  // namespace slotwright::simulation
