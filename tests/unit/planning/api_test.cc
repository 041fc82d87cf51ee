// Reading and checking the resource.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "controllers/api/conditions.h"
#include "controllers/api/redis_cluster.h"
#include "tests/unit/planning/world.h"

namespace slotwright::testing {
namespace {

using reconciler::Json;
using ::testing::HasSubstr;

TEST(RedisClusterJson, ReadsEveryField) {
  Json object = ClusterObject(5, 2);
  object["metadata"]["annotations"]["slotwright.dev/paused"] = "true";
  object["spec"].update(Json::parse(R"({
    "imagePullPolicy": "Always", "imagePullSecrets": [{"name": "pull"}], "port": 7000,
    "config": {"maxmemory-policy": "allkeys-lru"}, "auth": {"secretName": "mine", "key": "pw"},
    "storage": {"size": "10Gi", "storageClassName": "fast", "retain": "Delete"},
    "resources": {"limits": {"memory": "1Gi"}},
    "placement": {"topologyKeys": ["zone"], "nodeSelector": {"a": "b"}, "tolerations": [{"key": "k"}],
                  "priorityClassName": "high", "affinity": {"nodeAffinity": {}}},
    "rebalance": {"mode": "Manual", "method": "Atomic", "thresholdPercent": 7}, "update": {"strategy": "Manual"},
    "podTemplate": {"metadata": {"labels": {"team": "x"}, "annotations": {"n": "y"}}},
    "healing": {"lostShard": "AssignEmpty", "takeover": "Never"}})"));
  object["status"] = {{"formedAt", "2026-11-23T06:00:00Z"}};
  const auto cluster = ParseRedisCluster(object);
  ASSERT_TRUE(cluster) << cluster.error().message;
  const auto& spec = cluster->spec;
  EXPECT_TRUE(cluster->paused);
  EXPECT_EQ(cluster->formed_at, "2026-11-23T06:00:00Z");
  EXPECT_EQ(spec.masters, 5);
  EXPECT_EQ(spec.pods(), 15);
  EXPECT_EQ(spec.image_pull_policy, "Always");
  EXPECT_EQ(spec.image_pull_secrets, std::vector<std::string>{"pull"});
  EXPECT_EQ(spec.config.at("maxmemory-policy"), "allkeys-lru");
  EXPECT_EQ(cluster->password_secret(), "mine");
  EXPECT_EQ(spec.auth.key, "pw");
  EXPECT_FALSE(cluster->generates_password());
  EXPECT_EQ(spec.storage->size, "10Gi");
  EXPECT_EQ(spec.storage->storage_class_name, "fast");
  EXPECT_FALSE(spec.storage->retain);
  EXPECT_EQ(spec.placement.topology_keys, std::vector<std::string>{"zone"});
  EXPECT_EQ(spec.placement.priority_class_name, "high");
  EXPECT_EQ(spec.pod_labels.at("team"), "x");
  EXPECT_TRUE(spec.placement.affinity.contains("nodeAffinity"));
  EXPECT_EQ(spec.placement.node_selector.at("a"), "b");
  EXPECT_EQ(spec.placement.tolerations.at(0).at("key"), "k");
  EXPECT_EQ(spec.resources.at("limits").at("memory"), "1Gi");
  EXPECT_EQ(spec.pod_annotations.at("n"), "y");
  EXPECT_FALSE(spec.rebalance.automatic);
  EXPECT_EQ(spec.rebalance.method, MigrationMethod::kAtomic);
  EXPECT_EQ(spec.rebalance.threshold_percent, 7);
  EXPECT_EQ(spec.update, UpdateStrategy::kManual);
  EXPECT_EQ(spec.lost_shard, LostShardPolicy::kAssignEmpty);
  EXPECT_EQ(spec.takeover, TakeoverPolicy::kNever);
}

TEST(BusPort, IsTheClustersOwnAndStaysTheSameForEver) {
  EXPECT_EQ(BusPortOf("default", "demo", 6379), 29168);
  EXPECT_EQ(BusPortOf("default", "demo", 7000), BusPortOf("default", "demo", 6379));
  std::set<int> ports;
  for (int i = 0; i < 100; ++i) {
    const std::string name = fmt::format("demo-{}", i);
    const int port = BusPortOf("default", name, 6379);
    EXPECT_TRUE(port >= 16384 && port <= 32767) << port;
    EXPECT_NE(BusPortOf("default", name, port), port);
    ports.insert(port);
    ports.insert(BusPortOf("other", name, 6379));
  }
  EXPECT_GE(ports.size(), 198U);
}

TEST(RedisClusterJson, HasTheDefaultsOfTheSchema) {
  const auto cluster = ParseRedisCluster(
      {{"metadata", {{"name", "demo"}, {"namespace", "default"}}}, {"spec", {{"image", "redis:7.0"}}}});
  ASSERT_TRUE(cluster);
  EXPECT_EQ(cluster->spec.masters, 3);
  EXPECT_EQ(cluster->spec.replicas_per_master, 1);
  EXPECT_EQ(cluster->spec.port, 6379);
  EXPECT_EQ(cluster->password_secret(), "demo-auth");
  EXPECT_EQ(cluster->spec.lost_shard, LostShardPolicy::kWait);
  EXPECT_EQ(cluster->spec.placement.topology_keys, std::vector<std::string>{"kubernetes.io/hostname"});
}

TEST(Validation, LeavesRoomForTheNodesThemselvesAmongMaxclients) {
  auto cluster = *ParseRedisCluster(ClusterObject(3, 1));
  for (const auto& [value, fine] : {std::pair("10000", true), std::pair("76", true), std::pair("75", false),
                                    std::pair("1", false), std::pair("many", false), std::pair("99999999999", false)}) {
    cluster.spec.config["maxclients"] = value;
    const auto errors = Validate(cluster);
    ASSERT_EQ(errors.empty(), fine) << value;
    if (fine) continue;
    EXPECT_THAT(errors[0].ToString(), HasSubstr(fmt::format("spec.config.maxclients: \"{}\": use at least 76", value)));
  }
}

TEST(Validation, WantsANodeTimeoutThatTheStartScriptCanWaitFor) {
  auto cluster = *ParseRedisCluster(ClusterObject(3, 1));
  for (const auto& [value, fine] : {std::pair("500", true), std::pair("600000", true), std::pair("499", false),
                                    std::pair("600001", false), std::pair("5s", false), std::pair("", false)}) {
    cluster.spec.config["cluster-node-timeout"] = value;
    const auto errors = Validate(cluster);
    ASSERT_EQ(errors.empty(), fine) << value;
    if (fine) continue;
    EXPECT_EQ(errors[0].ToString(),
              fmt::format("spec.config.cluster-node-timeout: \"{}\": use milliseconds, 500 to 600000", value));
  }
}

TEST(RedisClusterJson, RefusesAWrongTypeInsteadOfGuessing) {
  Json object = ClusterObject();
  object["spec"]["masters"] = "three";
  const auto cluster = ParseRedisCluster(object);
  ASSERT_FALSE(cluster);
  EXPECT_EQ(cluster.error().kind, reconciler::ErrorKind::kInvalid);
  EXPECT_THAT(cluster.error().message, HasSubstr("default/demo"));
}

TEST(Password, IsRefusedWithAReasonThatDoesNotShowIt) {
  EXPECT_FALSE(PasswordProblem("sixteen-letters!"));
  EXPECT_THAT(*PasswordProblem("fifteen-letters"), HasSubstr("15 characters"));
  EXPECT_THAT(*PasswordProblem("a-good-password-but\n"), HasSubstr("line break"));
  EXPECT_TRUE(PasswordProblem(std::string(600, 'x')));
}

TEST(Quantity, IsReadAsKubernetesWritesIt) {
  const std::vector<std::pair<const char*, std::optional<std::int64_t>>> table = {
      {"1Gi", 1LL << 30},    {"500M", 500'000'000}, {"1e9", 1'000'000'000}, {"100", 100},
      {"1.5Ki", 1536},       {"1500m", 1},          {"", std::nullopt},     {"Gi", std::nullopt},
      {"1Qi", std::nullopt}, {"-1", std::nullopt},  {"nan", std::nullopt}};
  for (const auto& [text, bytes] : table) EXPECT_EQ(ParseQuantity(text), bytes) << text;
}

TEST(Conditions, KeepTheirTransitionTimeUntilTheStatusChanges) {
  const auto at = [](const char* text) { return reconciler::ParseTime(text); };
  const Json first =
      WithCondition(Json::array(), {"Ready", ConditionStatus::kFalse, "A", "a"}, 1, at("2026-11-23T06:00:00Z"));
  const Json second = WithCondition(first, {"Ready", ConditionStatus::kFalse, "B", "b"}, 2, at("2026-11-23T07:00:00Z"));
  EXPECT_EQ(FindCondition(second, "Ready")["lastTransitionTime"], "2026-11-23T06:00:00Z");
  EXPECT_EQ(FindCondition(second, "Ready")["reason"], "B");
  EXPECT_EQ(FindCondition(second, "Ready")["observedGeneration"], 2);
  const Json third = WithCondition(second, {"Ready", ConditionStatus::kTrue, "C", "c"}, 2, at("2026-11-23T08:00:00Z"));
  EXPECT_EQ(FindCondition(third, "Ready")["lastTransitionTime"], "2026-11-23T08:00:00Z");
  EXPECT_EQ(third.size(), 1U);
}

// The API server refuses a status with a message of more than 32768 characters, and with it all that it says.
TEST(Conditions, ClipWhatIsTooLongBetweenCharacters) {
  const auto message_of = [](const std::string& message) {
    const Json conditions = WithCondition(Json::array(), {"Ready", ConditionStatus::kFalse, "A", message}, 1, {});
    return FindCondition(conditions, "Ready")["message"].get<std::string>();
  };
  std::string longest(4093, 'x');
  EXPECT_EQ(message_of(longest + "€"), longest + "€");
  longest.pop_back();
  EXPECT_EQ(message_of(longest + "€€"), longest + "…");
  EXPECT_EQ(message_of("\xff"), "\uFFFD") << "as the API server gets it, or it would be written anew each time";
}

}  // namespace
}  // namespace slotwright::testing
